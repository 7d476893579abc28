//! For build scripts: a folder of policies becomes Rust source, or the build fails with the words that say why.
//!
//! ```no_run
//! // build.rs
//! use std::process::ExitCode;
//!
//! fn main() -> ExitCode {
//!     seccomp_policies::build("policies")
//! }
//! ```
//!
//! Every `ROLE.policy` directly in the folder is checked, compiled for the target of the build and proved; what the
//! policies include may lie deeper. [`include_policies!`](crate::include_policies) is how the program takes the result.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::{env, fs, io};

use crate::compile::Weights;
use crate::embed::{self, Proved};
use crate::language::{self, Checked, Diagnostics};
use crate::syscalls::Arch;

/// The file in `OUT_DIR` that [`include_policies!`](crate::include_policies) includes.
const GENERATED: &str = "policies.rs";

/// Why a folder of policies does not become source. Each fails the build.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A variable that cargo sets for build scripts is missing.
    #[error("{0} is not set; cargo sets it for build scripts, so call this from `build.rs`")]
    NotABuildScript(&'static str),
    /// The target has no table of calls.
    #[error("policies cannot be compiled for {0}; the targets are x86_64 and aarch64")]
    Target(String),
    /// The folder cannot be read.
    #[error("cannot list the policies in {}: {source}", folder.display())]
    Folder {
        /// The folder.
        folder: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// There is nothing to embed.
    #[error("there is no policy in {}; a thread role's policy is a file ROLE.policy in it", .0.display())]
    NoPolicy(PathBuf),
    /// The text is not a policy.
    #[error("{findings}\n{} does not hold for {arch}", file.display())]
    Check {
        /// The policy.
        file: PathBuf,
        /// The target that it was checked for.
        arch: Arch,
        /// What is wrong with it, as `ringfence policy check` says it.
        findings: Box<Diagnostics>,
    },
    /// The policy does not compile, or a program is not what its text says.
    #[error("{}, for {arch}: {source}", file.display())]
    Prove {
        /// The policy.
        file: PathBuf,
        /// The target that it was compiled for.
        arch: Arch,
        /// Why.
        source: Box<embed::Error>,
    },
    /// The file has another name than the role in it.
    #[error(
        "{} is the policy of role `{role}`; name the file {role}.policy, so that each role has one policy and is found \
         by its name",
        file.display()
    )]
    Name {
        /// The policy.
        file: PathBuf,
        /// The role that it is for.
        role: String,
    },
    /// A role or a slot has a name that Rust does not take.
    #[error("in {}, {source}", folder.display())]
    Nameless {
        /// The folder.
        folder: PathBuf,
        /// Which, and why.
        source: embed::Nameless,
    },
    /// The source cannot be written.
    #[error("cannot write {}: {source}", file.display())]
    Write {
        /// The file.
        file: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// Checks, compiles, proves and embeds every policy of a folder, for the target of the build: all that most build
/// scripts need. [`Build`] has the choices.
///
/// `folder`: relative to the folder of the package, which is where cargo runs build scripts.
pub fn build(folder: impl Into<PathBuf>) -> ExitCode {
    Build::new(folder).run()
}

/// A folder of policies and what the build makes of it.
#[derive(Clone, Debug)]
pub struct Build {
    folder: PathBuf,
    also: Vec<Arch>,
}

impl Build {
    /// Policies for the target of the build alone. Messages name files below `folder` as it is given here.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into(), also: Vec::new() }
    }

    /// Every policy must hold for this architecture as well, and compile and be proved; nothing of that is embedded.
    /// For a program that is built for several targets, so that each build finds what would fail another.
    #[must_use]
    pub fn also(mut self, arch: Arch) -> Self {
        self.also.push(arch);
        self
    }

    /// The whole of a build script: writes the source to `OUT_DIR`, tells cargo what to watch, and turns an error into
    /// a message and a failure.
    pub fn run(&self) -> ExitCode {
        match self.write() {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("{error}");
                ExitCode::FAILURE
            }
        }
    }

    /// As [`run`](Self::run), for a build script with work of its own.
    ///
    /// # Errors
    /// See [`Error`]: a missing variable of cargo's, a policy that does not hold, a file that cannot be read or written.
    pub fn write(&self) -> Result<(), Error> {
        let out = variable("OUT_DIR")?;
        let target = variable("CARGO_CFG_TARGET_ARCH")?.to_string_lossy().into_owned();
        let arch = Arch::from_name(&target).ok_or(Error::Target(target))?;
        // Cargo watches all of a folder, included files as well. It runs a failed build script again in any case.
        watch(&self.folder, "");
        let policies = self.prove(arch)?;
        for (name, _) in policies.iter().flat_map(Proved::sources) {
            watch(&self.folder, name);
        }
        let source = self.generate(&policies)?;
        let file = Path::new(&out).join(GENERATED);
        fs::write(&file, source).map_err(|source| Error::Write { file, source })
    }

    /// The source for one architecture, without a build script's surroundings: see [`embed::generate`].
    ///
    /// # Errors
    /// Every [`Error`] that lies in the folder and its policies.
    pub fn source(&self, arch: Arch) -> Result<String, Error> {
        self.generate(&self.prove(arch)?)
    }

    fn generate(&self, policies: &[Proved]) -> Result<String, Error> {
        embed::generate(policies).map_err(|source| Error::Nameless { folder: self.folder.clone(), source })
    }

    fn prove(&self, arch: Arch) -> Result<Vec<Proved>, Error> {
        let files = self.files().map_err(|source| Error::Folder { folder: self.folder.clone(), source })?;
        if files.is_empty() {
            return Err(Error::NoPolicy(self.folder.clone()));
        }
        files.iter().map(|file| self.prove_file(file, arch)).collect()
    }

    /// Every policy directly in the folder, by name; what they include lies deeper.
    fn files(&self) -> io::Result<Vec<PathBuf>> {
        let mut files = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "policy") {
                files.push(path);
            }
        }
        files.sort();
        Ok(files)
    }

    fn prove_file(&self, file: &Path, arch: Arch) -> Result<Proved, Error> {
        let proved = prove(file, arch)?;
        for other in self.also.iter().filter(|other| **other != arch) {
            prove(file, *other)?;
        }
        let role = proved.role();
        if file.file_stem().is_none_or(|stem| stem != role) {
            return Err(Error::Name { file: file.to_owned(), role: role.to_owned() });
        }
        Ok(proved)
    }
}

fn prove(file: &Path, arch: Arch) -> Result<Proved, Error> {
    let Checked { policy, sources, notes, profile, .. } = language::load(file, arch)
        .map_err(|findings| Error::Check { file: file.to_owned(), arch, findings: Box::new(findings) })?;
    // Cargo shows this under -vv, and when the build fails.
    if !notes.is_empty() {
        eprintln!("{notes}");
    }
    let weights = Weights::CacheAware(profile.as_ref());
    embed::prove(&policy, &weights, sources).map_err(|source| Error::Prove {
        file: file.to_owned(),
        arch,
        source: Box::new(source),
    })
}

/// Cargo reads paths from the folder of the package, and the build script may have gone to another one.
fn watch(folder: &Path, name: &str) {
    let path = folder.canonicalize().unwrap_or(folder.to_owned()).join(name);
    println!("cargo::rerun-if-changed={}", path.display());
}

fn variable(name: &'static str) -> Result<OsString, Error> {
    env::var_os(name).ok_or(Error::NotABuildScript(name))
}
