//! Calls as people write them.

use std::sync::OnceLock;

use seccomp_policies::explain::explain;
use seccomp_policies::language::{Policy, check_sources};
use seccomp_policies::pattern::{Answer, Judge, Pattern, is_carried_out};
use seccomp_policies::syscalls::Arch;

/// A policy to ask, with tests of both widths.
const POLICY: &str = "\
role r
tier filter
otherwise errno EPERM

read: fd == 3 && count <= 64                                      -- input
write: fd in {1, 2}                                               -- output
openat: errno ENOENT if dfd == AT_FDCWD && (flags & O_CREAT) != 0 -- no new files
openat: (flags & O_ACCMODE) == O_RDONLY                           -- files
mmap: addr == 0 && prot in ~(PROT_READ|PROT_WRITE)                -- memory
ioctl: fd == 3 && cmd:u64 == 0x5401                               -- a terminal
futex:                                                            -- waiting
exit_group:                                                       -- the end
";

/// The policy for an architecture.
pub fn policy(arch: Arch) -> &'static Policy {
    static POLICIES: OnceLock<[Policy; 2]> = OnceLock::new();
    let read = |arch| {
        let checked = check_sources("r.policy", &[("r.policy", POLICY)], arch);
        checked.unwrap_or_else(|errors| panic!("{errors}")).policy
    };
    let policies = POLICIES.get_or_init(|| Arch::ALL.map(read));
    policies.iter().find(|policy| policy.arch == arch).expect("there is one for each architecture")
}

/// A call as `explain` takes it. The call that stands for a pattern is one of it, and a policy answers it as it does the
/// pattern.
pub fn pattern(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else { return false };
    let mut taken = false;
    for arch in Arch::ALL {
        match Pattern::parse(text, arch) {
            Ok(pattern) => {
                assert_judged(&pattern, text, arch);
                taken = true;
            }
            Err(errors) => assert!(errors.render(true).contains("error"), "{errors:?}"),
        }
    }
    taken
}

/// The call that stands for a pattern is one of it, and is answered as the pattern is.
fn assert_judged(pattern: &Pattern, text: &str, arch: Arch) {
    let policy = policy(arch);
    let call = pattern.example(arch);
    assert!(pattern.condition().holds(&call), "{pattern:?}");
    let carried_out = is_carried_out(policy.decide(&call));
    let answer = Judge::new(policy).judge(pattern).answer();
    match answer {
        Answer::Allowed => assert!(carried_out, "{pattern:?}"),
        Answer::Refused => assert!(!carried_out, "{pattern:?}"),
        Answer::Depends => {}
    }
    assert_eq!(explain(policy, pattern, text).answer, answer, "{pattern:?}");
}
