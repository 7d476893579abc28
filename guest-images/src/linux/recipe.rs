//! The recipe, carried in the binary: a script with its configuration, patch and root file system.
//!
//! The script says itself what it does and what it lacks (`build --help`); here it is only unpacked and started.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};

/// A file of the recipe.
#[derive(Clone, Copy, Debug)]
pub struct RecipeFile {
    /// Its path in the recipe's folder.
    pub path: &'static str,
    /// What it holds.
    pub text: &'static str,
}

macro_rules! recipe {
    ($($path:literal),* $(,)?) => {
        &[$(RecipeFile { path: $path, text: include_str!(concat!("../../linux/", $path)) }),*]
    };
}

/// Every file of `guest-images/linux`.
pub const RECIPE: &[RecipeFile] = recipe![
    "build",
    "emulated-ring0.config",
    "emulated-ring0.patch",
    "kernel.config",
    "lib/kernel.sh",
    "lib/progress.sh",
    "lib/requirements.sh",
    "lib/unused-sources",
    "lib/user-space.sh",
    "ordinary.config",
    "programs/vsock.c",
    "rootfs/etc/fstab",
    "rootfs/init",
    "rootfs/scripts/tour",
];

/// The name, in the folder of the images, of the folder that the recipe is unpacked to.
const RECIPE_FOLDER: &str = "recipe";

/// What is to be made.
#[derive(Clone, Debug)]
pub struct Order {
    /// Where the images go.
    pub out: PathBuf,
    /// The kernel for ordinary hosts, whatever this host is; otherwise the one that this host needs.
    pub ordinary: bool,
    /// Missing packages are installed, not only named.
    pub install_packages: bool,
}

/// Why the guest was not made.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file of the recipe cannot be written.
    #[error("cannot write the recipe of the Linux guest to {}: {source}; choose another folder with --out", path.display())]
    Unpack {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Somebody else's folder is where the recipe goes.
    #[error(
        "{} is no file of a recipe of the Linux guest, and the recipe would take its folder's place; choose another \
         folder with --out, or move it away", path.display()
    )]
    Foreign {
        /// What is in the folder.
        path: PathBuf,
    },
    /// No bash.
    #[error("cannot start bash, which runs the recipe of the Linux guest: {0}; install the package bash")]
    Start(#[source] io::Error),
    /// The script said why and ended.
    #[error("the Linux guest was not made ({0}); the reason stands above")]
    Failed(ExitStatus),
}

/// Makes the Linux guest, showing progress on standard output; returns when it is there.
///
/// Takes minutes the first time and no time when nothing changed.
///
/// # Errors
/// See [`Error`].
pub fn build(order: &Order) -> Result<(), Error> {
    let folder = order.out.join(RECIPE_FOLDER);
    unpack(&folder)?;
    let mut script = Command::new("bash");
    script.arg(folder.join("build")).arg("--out").arg(&order.out);
    if order.ordinary {
        script.arg("--ordinary");
    }
    if order.install_packages {
        script.arg("--install-packages");
    }
    let status = script.status().map_err(Error::Start)?;
    if status.success() { Ok(()) } else { Err(Error::Failed(status)) }
}

/// Writes the recipe to `folder`, in place of what an earlier version left there.
fn unpack(folder: &Path) -> Result<(), Error> {
    if folder.exists() {
        let failed = |source| Error::Unpack { path: folder.to_owned(), source };
        if let Some(path) = foreign_entry(folder).map_err(failed)? {
            return Err(Error::Foreign { path });
        }
        fs::remove_dir_all(folder).map_err(failed)?;
    }
    for file in RECIPE {
        let path = folder.join(file.path);
        write(&path, file.text).map_err(|source| Error::Unpack { path, source })?;
    }
    Ok(())
}

/// Something in the folder that no recipe would have put there: `--out` may name any folder of the user's.
fn foreign_entry(folder: &Path) -> io::Result<Option<PathBuf>> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        let is_ours = |file: &RecipeFile| Path::new(file.path).iter().next() == Some(&name);
        if !RECIPE.iter().any(is_ours) {
            return Ok(Some(entry.path()));
        }
    }
    Ok(None)
}

fn write(path: &Path, text: &str) -> io::Result<()> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    fs::write(path, text)?;
    let mode = if text.starts_with("#!") { 0o755 } else { 0o644 };
    fs::set_permissions(path, fs::Permissions::from_mode(mode))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn files_below(folder: &Path, prefix: &str, found: &mut BTreeSet<String>) {
        for entry in fs::read_dir(folder).expect("the folder can be read") {
            let entry = entry.expect("the entry can be read");
            let name = format!("{prefix}{}", entry.file_name().to_str().expect("names are ASCII"));
            if entry.file_type().expect("the type is known").is_dir() {
                files_below(&entry.path(), &format!("{name}/"), found);
            } else {
                found.insert(name);
            }
        }
    }

    #[test]
    fn recipe_carries_every_file_of_the_linux_folder() {
        let mut on_disk = BTreeSet::new();
        files_below(&Path::new(env!("CARGO_MANIFEST_DIR")).join("linux"), "", &mut on_disk);
        let carried: BTreeSet<String> = RECIPE.iter().map(|file| file.path.to_owned()).collect();
        assert_eq!(carried, on_disk);
    }

    #[test]
    fn unpacked_script_explains_itself_and_refuses_an_unknown_option() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        unpack(folder.path()).expect("the recipe is unpacked");
        let run = |option: &str| {
            let output =
                Command::new(folder.path().join("build")).arg(option).output().expect("the script starts");
            (
                output.status.success(),
                String::from_utf8(output.stdout).expect("text"),
                String::from_utf8(output.stderr).expect("text"),
            )
        };
        let (succeeded, help, _) = run("--help");
        assert!(succeeded && help.contains("--install-packages"), "{help}");
        let (succeeded, _, refusal) = run("--colour");
        assert!(!succeeded && refusal.contains("unknown option --colour"), "{refusal}");
    }

    #[test]
    fn a_folder_of_the_user_s_is_not_taken_for_an_older_recipe() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let soup = folder.path().join("recipe/soup.txt");
        write(&soup, "leeks").expect("a file of the user's");
        let error = unpack(&folder.path().join("recipe")).expect_err("it is refused");
        assert!(error.to_string().starts_with(&soup.display().to_string()), "{error}");
        assert_eq!(fs::read_to_string(&soup).expect("it is still there"), "leeks");
    }

    #[test]
    fn unpacking_removes_what_an_older_recipe_left() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let target = folder.path().join("recipe");
        write(&target.join("rootfs/etc/gone"), "").expect("an old file");
        unpack(&target).expect("the recipe is unpacked");
        assert!(!target.join("rootfs/etc/gone").exists());
        assert!(target.join("rootfs/init").exists());
    }
}
