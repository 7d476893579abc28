//! What the process has mapped while its guest runs.

use ringfence_tests::binary;
use ringfence_tests::procfs;

use crate::threads::spinning;

#[test]
fn no_memory_is_writable_and_executable() {
    let run = spinning(2, &[]);
    for mapping in procfs::mappings(run.pid()) {
        let permissions = &mapping.permissions;
        assert!(!(permissions.contains('w') && permissions.contains('x')), "{mapping:?}");
    }
}

#[test]
fn only_the_binary_its_libraries_and_the_kernels_own_pages_are_executable() {
    let run = spinning(2, &[]);
    let binary = binary::ringfence().canonicalize().expect("the binary is there");
    let executable =
        procfs::mappings(run.pid()).into_iter().filter(|mapping| mapping.permissions.contains('x'));
    let names: Vec<_> = executable.map(|mapping| mapping.name).collect();
    let is_known = |name: &String| {
        let is_library = name.starts_with('/') && name.contains(".so");
        *name == binary.to_string_lossy() || is_library || ["[vdso]", "[vsyscall]"].contains(&name.as_str())
    };
    assert!(names.iter().all(is_known), "{names:?}");
    assert!(names.iter().any(|name| *name == binary.to_string_lossy()), "{names:?}");
}
