//! Files that policies of minijail include.

use std::fs;
use std::path::{Path, PathBuf};

use insta::assert_snapshot;
use seccomp_policies::action::Action::{Allow, Errno, KillThread};
use seccomp_policies::import::{Format, Imported, Options, read};
use seccomp_policies::language::Diagnostics;

use super::{assert_decides, message, only};

/// A folder with these files.
fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    folder
}

fn read_file(path: &Path, root: PathBuf) -> Result<Imported, Diagnostics> {
    read(path, Some(Format::Minijail), &Options { roots: vec![root], ..Options::default() })
}

/// The message for the policy `p/m.policy` among these files, with `root` as a root.
fn refused(files: &[(&str, &str)]) -> String {
    let folder = folder(files);
    let real = fs::canonicalize(folder.path()).unwrap();
    let message = message(read_file(&real.join("p/m.policy"), real.join("root")));
    message.replace(real.to_str().unwrap(), "")
}

#[test]
fn includes_are_found_beside_the_policy_and_under_the_root() {
    let folder = folder(&[
        ("p/m.policy", "@include ./own.policy\n@include /usr/share/policy/common.policy\nread: 1"),
        ("p/own.policy", "write: 1\n@include ./sub/more.policy"),
        ("p/sub/more.policy", "@frequency ./calls.frequency\nclose: arg0 == 3"),
        ("p/sub/calls.frequency", "# counted\nread: 10\nwrite: 5\nread: 1\n"),
        ("root/common.policy", "ioctl: return EPERM"),
    ]);
    let policy = only(read_file(&folder.path().join("p/m.policy"), folder.path().join("root")).unwrap());
    assert_decides(
        &policy,
        &[
            ("read", &[], Allow),
            ("write", &[], Allow),
            ("close", &[3], Allow),
            ("close", &[4], KillThread),
            ("ioctl", &[], Errno(1)),
        ],
    );
    let places: Vec<_> = policy.rules.iter().map(|rule| (rule.file.as_str(), rule.line)).collect();
    let root = folder.path().join("p/m.policy");
    assert_eq!(
        places,
        [
            ("./own.policy", 1),
            ("./sub/more.policy", 2),
            ("/usr/share/policy/common.policy", 1),
            (root.to_str().unwrap(), 3)
        ]
    );
}

#[test]
fn crosvms_policy_of_a_block_device_is_its_own_lines_and_those_that_it_includes() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/corpora/minijail");
    let (policy, folder);
    if corpus.is_dir() {
        policy = corpus.join("block_device.policy");
        folder = corpus;
    } else {
        println!("no corpus of crosvm's policies here; a small one of the same form is read instead");
        let own = self::folder(&[
            (
                "block_device.policy",
                "@include /usr/share/policy/crosvm/common_device.policy\nprctl: arg0 == PR_SET_NAME\nopenat: return ENOENT",
            ),
            (
                "common_device.policy",
                "read: 1\nclone: arg0 & CLONE_THREAD\nmmap: arg2 in ~PROT_EXEC\nprctl: arg0 == PR_SET_VMA\ntgkill: arg2 == SIGABRT\nioctl: arg1 == 0xc018aa3f || arg1 == 0xaa00\nioctl: arg1 == 0x1277",
            ),
        ]);
        folder = own.keep();
        policy = folder.join("block_device.policy");
    }
    let policy = only(read_file(&policy, folder).unwrap());
    assert_decides(
        &policy,
        &[
            ("read", &[], Allow),
            ("clone", &[0x10000], Allow),
            ("clone", &[0x100], KillThread),
            ("mmap", &[0, 0, 3], Allow),
            ("mmap", &[0, 0, 4], KillThread),
            ("prctl", &[15], Allow),
            ("prctl", &[0x5356_4d41], Allow),
            ("prctl", &[38], KillThread),
            ("openat", &[], Errno(2)),
            ("tgkill", &[0, 0, 6], Allow),
            ("tgkill", &[0, 0, 9], KillThread),
            ("ioctl", &[0, 0xc018_aa3f], Allow),
            ("ioctl", &[0, 0x1277], Allow),
            ("ioctl", &[0, 0x1278], KillThread),
            ("execve", &[], KillThread),
        ],
    );
}

#[test]
fn a_missing_file_is_underlined() {
    assert_snapshot!(refused(&[("p/m.policy", "read: 1\n@include ./missing.policy")]), @r#"
    error: cannot read `./missing.policy`: there is no such file
     --> /p/m.policy:2:10
      |
    2 | @include ./missing.policy
      |          ^^^^^^^^^^^^^^^^ named here
      |
      = help: give the folder that holds it as a root; `./` is relative to this file, and `/` to a root
    "#);
}

#[test]
fn a_file_outside_of_the_roots_is_not_read() {
    assert_snapshot!(refused(&[("p/m.policy", "@include ./../secret.policy\nread: 1"), ("secret.policy", "write: 1")]), @r#"
    error: cannot read `./../secret.policy`: it lies outside of the folders that may be read
     --> /p/m.policy:1:10
      |
    1 | @include ./../secret.policy
      |          ^^^^^^^^^^^^^^^^^^ named here
      |
      = help: give the folder that holds it as a root; `./` is relative to this file, and `/` to a root
    "#);
}

#[test]
fn a_policy_that_includes_itself_is_refused() {
    assert_snapshot!(refused(&[("p/m.policy", "@include ./a.policy"), ("p/a.policy", "read: 1\n@include ./m.policy")]), @r#"
    error: `./m.policy` includes itself
     --> /p/a.policy:2:10
      |
    2 | @include ./m.policy
      |          ^^^^^^^^^^ this include closes a circle
      |
      = help: take this include away
    "#);
}

#[test]
fn a_file_included_twice_shows_both_places() {
    assert_snapshot!(refused(&[("p/m.policy", "@include ./a.policy\n@include ./a.policy"), ("p/a.policy", "read: 1")]), @r#"
    error: `./a.policy` is included twice
     --> /p/m.policy:2:10
      |
    1 | @include ./a.policy
      |          ---------- first included here
    2 | @include ./a.policy
      |          ^^^^^^^^^^ included again here
      |
      = help: take this include away
    "#);
}

#[test]
fn includes_nest_ten_deep_and_no_deeper() {
    let names: Vec<String> = (0..12).map(|level| format!("p/{level}.policy")).collect();
    let texts: Vec<String> = (0..12).map(|level| format!("@include ./{}.policy\n", level + 1)).collect();
    let nested = |last: usize| {
        let mut files: Vec<(&str, &str)> = vec![("p/m.policy", "@include ./0.policy")];
        files.extend((0..last).map(|level| (names[level].as_str(), texts[level].as_str())));
        files.push((names[last].as_str(), "read: 1"));
        refused(&files)
    };
    assert_eq!(nested(9), "");
    assert_snapshot!(nested(10), @r#"
    error: includes nest deeper than 10 files
     --> /p/9.policy:1:10
      |
    1 | @include ./10.policy
      |          ^^^^^^^^^^^ one level too deep
      |
      = help: include the file from the policy itself
    "#);
}

#[test]
fn a_frequency_file_has_counts_alone() {
    assert_snapshot!(refused(&[("p/m.policy", "@frequency ./f\nread: 1"), ("p/f", "read: 10\nwrite 5\nclose: -1")]), @r#"
    error: this is no count of a call
     --> /p/f:2:1
      |
    2 | write 5
      | ^^^^^^^ not `CALL: COUNT`
      |
      = help: a frequency file has lines such as `read: 407296`

    error: this is no count of a call
     --> /p/f:3:1
      |
    3 | close: -1
      | ^^^^^^^^^ not `CALL: COUNT`
      |
      = help: a frequency file has lines such as `read: 407296`
    "#);
}
