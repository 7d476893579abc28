//! Which files an include may name, in this language and in minijail's.
//!
//! Policies of crosvm name the path that they are installed at, `/usr/share/policy/crosvm/common_device.policy`. Under
//! a root the file may stand at that path, or at its end alone: `common_device.policy`.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Component, Path, PathBuf};

/// The longest path with the zero behind it: Linux `include/uapi/linux/limits.h`. Each end of a path is looked for, so that
/// the work grows with the square of its length.
const PATH_MAX: usize = libc::PATH_MAX as usize;

/// Folders that files may be read from; nothing outside of them is opened.
#[derive(Debug, Default)]
pub(crate) struct Roots {
    /// The policy's own folder.
    own: Option<PathBuf>,
    /// Those that stand for the root of the system which the policy is installed on.
    given: Vec<PathBuf>,
}

impl Roots {
    /// The folder that the policy lies in, and those that the caller names.
    pub(crate) fn new(own: Option<&Path>, given: &[PathBuf]) -> Self {
        let real = |folder: &Path| {
            let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
            fs::canonicalize(folder).ok()
        };
        Self { own: own.and_then(real), given: given.iter().filter_map(|root| real(root)).collect() }
    }

    /// The policy's own folder, links followed.
    pub(crate) fn own(&self) -> Option<&Path> {
        self.own.as_deref()
    }

    /// The file that a policy in `folder` means by `path`, links followed; the error says why there is none.
    pub(crate) fn find(&self, folder: Option<&Path>, path: &str) -> Result<PathBuf, String> {
        if path.len() >= PATH_MAX {
            return Err(format!("it has {} bytes, and a path may have {}", path.len(), PATH_MAX - 1));
        }
        let candidates = if path.starts_with('/') {
            self.installed(Path::new(path))
        } else {
            folder.map(|folder| normal(&folder.join(path))).into_iter().collect()
        };
        let inside: Vec<PathBuf> = candidates.into_iter().filter(|file| self.contain(file)).collect();
        if inside.is_empty() {
            return Err("it lies outside of the folders that may be read".to_owned());
        }
        let Some(file) = inside.iter().find_map(|file| fs::canonicalize(file).ok()) else {
            return Err("there is no such file".to_owned());
        };
        if self.contain(&file) {
            Ok(file)
        } else {
            Err("it is a link to a file outside of the folders that may be read".to_owned())
        }
    }

    /// Where a file may be that is installed at `path`, best first: the path itself, the path under each root, and its
    /// ends under each root, longest first.
    fn installed(&self, path: &Path) -> Vec<PathBuf> {
        let path = normal(path);
        let names: Vec<&std::ffi::OsStr> = path.iter().skip(1).collect();
        let ends = (0..names.len()).map(|skipped| names[skipped..].iter().collect::<PathBuf>());
        let ends: Vec<PathBuf> = ends.collect();
        let under = |root: &'_ PathBuf| ends.iter().map(|end| root.join(end)).collect::<Vec<_>>();
        let mapped = self.given.iter().flat_map(under).collect::<Vec<_>>();
        std::iter::once(path.clone()).chain(mapped).collect()
    }

    fn contain(&self, file: &Path) -> bool {
        self.own.iter().chain(&self.given).any(|root| file.starts_with(root))
    }
}

/// The path without `.` and `..`, by its words alone.
fn normal(path: &Path) -> PathBuf {
    let mut parts = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => {
                parts.pop();
            }
            other => parts.push(other),
        }
    }
    parts
}

/// The text of a file of at most `limit` bytes; the error says why there is none.
pub(crate) fn read(file: &Path, limit: usize) -> Result<String, String> {
    let mut bytes = Vec::new();
    let most = limit as u64 + 1;
    let read = File::open(file).and_then(|file| file.take(most).read_to_end(&mut bytes));
    match read {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Err("permission denied".to_owned()),
        Err(error) => Err(error.to_string()),
        Ok(_) if bytes.len() > limit => Err(format!("it has more than {limit} bytes")),
        Ok(_) => String::from_utf8(bytes).map_err(|_| "it is not UTF-8 text".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for file in
            ["policy/a.policy", "policy/sub/b.policy", "root/usr/share/c.policy", "root/d.policy", "secret"]
        {
            let file = folder.path().join(file);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, "read: 1").unwrap();
        }
        folder
    }

    /// The file found, relative to the tree.
    fn found(path: &str) -> Result<String, String> {
        let tree = tree();
        let real = fs::canonicalize(tree.path()).unwrap();
        std::os::unix::fs::symlink(real.join("secret"), real.join("policy/link.policy")).unwrap();
        let roots = Roots::new(Some(&real.join("policy")), &[real.join("root")]);
        let path = path.replace("TREE", real.to_str().unwrap());
        let file = roots.find(Some(&real.join("policy")), &path)?;
        Ok(file.strip_prefix(&real).unwrap().to_str().unwrap().to_owned())
    }

    #[test]
    fn a_relative_path_is_one_from_the_files_own_folder() {
        assert_eq!(found("./a.policy").as_deref(), Ok("policy/a.policy"));
        assert_eq!(found("./sub/../sub/b.policy").as_deref(), Ok("policy/sub/b.policy"));
    }

    #[test]
    fn an_installed_path_is_looked_for_under_the_roots_at_its_whole_and_at_its_ends() {
        assert_eq!(found("/usr/share/c.policy").as_deref(), Ok("root/usr/share/c.policy"));
        assert_eq!(found("/usr/share/policy/d.policy").as_deref(), Ok("root/d.policy"));
        assert_eq!(found("TREE/policy/a.policy").as_deref(), Ok("policy/a.policy"));
    }

    #[test]
    fn nothing_outside_of_the_roots_is_found() {
        let outside = "it lies outside of the folders that may be read";
        assert_eq!(found("./../secret").unwrap_err(), outside);
        assert_eq!(found("./../missing").unwrap_err(), outside);
        assert_eq!(found("/../../etc/passwd").unwrap_err(), "there is no such file");
        assert_eq!(found("TREE/secret").unwrap_err(), "there is no such file");
        assert_eq!(
            found("./link.policy").unwrap_err(),
            "it is a link to a file outside of the folders that may be read"
        );
        assert_eq!(found("./missing.policy").unwrap_err(), "there is no such file");
    }

    #[test]
    fn a_path_that_no_system_call_takes_is_not_looked_for() {
        let long = format!("/{}", "a/".repeat(3000));
        assert_eq!(found(&long).unwrap_err(), "it has 6001 bytes, and a path may have 4095");
    }

    #[test]
    fn a_large_file_and_one_that_is_no_text_are_refused() {
        let tree = tree();
        let file = tree.path().join("secret");
        assert_eq!(read(&file, 7).as_deref(), Ok("read: 1"));
        assert_eq!(read(&file, 6).unwrap_err(), "it has more than 6 bytes");
        fs::write(&file, [0xff, 0xfe]).unwrap();
        assert_eq!(read(&file, 7).unwrap_err(), "it is not UTF-8 text");
    }
}
