//! The binary under test, built by cargo: the plain one, and the one whose threads can be told to misbehave.
#![forbid(unsafe_code)]

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The plain binary, with this test's profile. Built the first time that a test process asks.
///
/// # Panics
/// When it cannot be built; cargo's messages are on standard error.
pub fn ringfence() -> &'static Path {
    static PLAIN: OnceLock<PathBuf> = OnceLock::new();
    PLAIN.get_or_init(|| build("ringfence", &[]))
}

/// The binary with the feature `provoke`, which has a name of its own so that it never takes the plain one's place.
///
/// # Panics
/// As [`ringfence`].
pub fn provoking() -> &'static Path {
    static PROVOKING: OnceLock<PathBuf> = OnceLock::new();
    PROVOKING.get_or_init(|| build("ringfence-provoking", &["--features", "provoke"]))
}

/// The monitor's build script as cargo built it last. It runs where it is built, and lies in no architecture's folder.
///
/// # Panics
/// When the monitor has not been built.
pub fn build_script() -> PathBuf {
    let place = Place::of_this_test();
    let folder = place.target.join(&place.folder).join("build");
    let entries = fs::read_dir(folder).expect("cargo keeps build scripts here");
    let scripts = entries
        .map(|entry| entry.expect("the folder can be read").path())
        .filter(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("ringfence-")))
        .map(|path| path.join("build-script-build"))
        .filter(|script| script.exists());
    let age = |script: &PathBuf| {
        fs::metadata(script).and_then(|metadata| metadata.modified()).expect("it is there")
    };
    scripts.max_by_key(age).expect("the monitor has been built")
}

/// Where cargo puts what it builds.
struct Place {
    target: PathBuf,
    /// The folder of the architecture below it, where cargo is told of one.
    architecture: PathBuf,
    /// The profile's folder below that.
    folder: String,
}

impl Place {
    /// A test is at `<target>/[<architecture>/]<profile's folder>/deps/<test>`.
    fn of_this_test() -> Self {
        let test = env::current_exe().expect("a process knows its own file");
        let folder = test.parent().and_then(Path::parent).expect("cargo puts tests two folders deep");
        let above = folder.parent().expect("the profile's folder is in another");
        let (target, architecture) = match (above.parent(), name_of(above)) {
            (Some(target), name) if name.starts_with(&format!("{}-", env::consts::ARCH)) => (target, name),
            _ => (above, ""),
        };
        Self {
            target: target.to_owned(),
            architecture: architecture.into(),
            folder: name_of(folder).to_owned(),
        }
    }

    /// The name of the profile that uses the folder.
    fn profile(&self) -> &str {
        if self.folder == "debug" { "dev" } else { &self.folder }
    }
}

fn name_of(folder: &Path) -> &str {
    folder.file_name().and_then(|name| name.to_str()).unwrap_or_default()
}

fn build(name: &str, features: &[&str]) -> PathBuf {
    let place = Place::of_this_test();
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(cargo)
        .args(["build", "--quiet", "--package", "ringfence", "--bin", name])
        .args(["--profile", place.profile()])
        .arg("--target-dir")
        .arg(&place.target)
        .args(features)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .status()
        .expect("cargo runs");
    assert!(status.success(), "cargo could not build the binary under test: {status}");
    place.target.join(&place.architecture).join(&place.folder).join(name)
}
