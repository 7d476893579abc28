//! The monitor's build script as the release build runs it: policies in, proved programs out.
#![forbid(unsafe_code)]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};
use std::{env, fs, io};

use tempfile::TempDir;

/// The package whose build script it is.
const PACKAGE: &str = "ringfence";

/// Why it could not be timed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Not built.
    #[error("there is no build script of `{PACKAGE}` in {}: build it with `cargo build --release`", folder.display())]
    Missing {
        /// Where it was looked for.
        folder: PathBuf,
    },
    /// The system did not run it, or gave it no folder.
    #[error("cannot run {}: {source}", script.display())]
    Run {
        /// The build script.
        script: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// It did not do its work.
    #[error("{} wrote no source: {said}", script.display())]
    Failed {
        /// The build script.
        script: PathBuf,
        /// What it said.
        said: String,
    },
}

/// The compiled build script.
#[derive(Clone, Debug)]
pub struct BuildScript(PathBuf);

impl BuildScript {
    /// The latest in the target folder that the benchmark itself lies in.
    ///
    /// # Errors
    /// [`Error::Missing`]
    pub fn find() -> Result<Self, Error> {
        let benchmark = env::current_exe().unwrap_or_default();
        // `target/ARCHITECTURE/release/deps/` holds the benchmark, `target/release/build/` a folder for each build script,
        // which runs where it is built.
        let folder = benchmark.ancestors().nth(4).unwrap_or(&benchmark).join("release/build");
        let latest = scripts(&folder).into_iter().max_by_key(|(_, built)| *built);
        latest.map(|(path, _)| Self(path)).ok_or(Error::Missing { folder })
    }

    /// From the start of its process to its end, with a folder of its own to write to.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn run(&self) -> Result<Duration, Error> {
        let failed = |source| Error::Run { script: self.0.clone(), source };
        let out = TempDir::new().map_err(failed)?;
        let mut command = Command::new(&self.0);
        command
            .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("../vmm"))
            .env("OUT_DIR", out.path())
            .env("CARGO_CFG_TARGET_ARCH", env::consts::ARCH);
        let start = Instant::now();
        let output = command.output().map_err(failed)?;
        let time = start.elapsed();
        if output.status.success() && out.path().join("policies.rs").is_file() {
            return Ok(time);
        }
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        Err(Error::Failed { script: self.0.clone(), said })
    }
}

/// Every build script of the package, and when it was built.
fn scripts(folder: &Path) -> Vec<(PathBuf, std::time::SystemTime)> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    // Cargo adds a hash to the name; other packages' names go on with a word.
    let is_ours = |name: &str| {
        let hash = name.strip_prefix(PACKAGE).and_then(|rest| rest.strip_prefix('-'));
        hash.is_some_and(|hash| hash.bytes().all(|byte| byte.is_ascii_hexdigit()))
    };
    entries
        .filter(|entry| entry.file_name().to_str().is_some_and(is_ours))
        .map(|entry| entry.path().join("build-script-build"))
        .filter_map(|path| Some((path.clone(), fs::metadata(&path).and_then(|found| found.modified()).ok()?)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_script_beside_the_test_does_its_work() {
        assert!(BuildScript::find().unwrap().run().unwrap() > Duration::ZERO);
    }

    #[test]
    fn a_script_that_writes_nothing_is_no_measurement() {
        let error = BuildScript("/bin/true".into()).run().unwrap_err();
        assert!(matches!(error, Error::Failed { .. }), "{error}");
        let error = BuildScript("/nonexistent".into()).run().unwrap_err();
        assert!(matches!(error, Error::Run { .. }), "{error}");
    }

    #[test]
    fn folders_of_other_packages_hold_no_script_of_this_one() {
        let folder = TempDir::new().unwrap();
        for name in ["ringfence-0123456789abcdef", "ringfence-tests-0123456789abcdef", "other-0123"] {
            let package = folder.path().join(name);
            fs::create_dir(&package).unwrap();
            fs::write(package.join("build-script-build"), "").unwrap();
        }
        // Where a script has run, another folder has what it wrote.
        fs::create_dir(folder.path().join("ringfence-fedcba9876543210")).unwrap();
        let found: Vec<_> = scripts(folder.path()).into_iter().map(|(path, _)| path).collect();
        assert_eq!(found, [folder.path().join("ringfence-0123456789abcdef/build-script-build")]);
    }
}
