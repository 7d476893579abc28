//! What other programs wrote of calls, and reports of our own.

use seccomp_policies::simulate::simulate;
use seccomp_policies::syscalls::Arch;
use seccomp_policies::trace::{Counts, calls, counts};

use super::patterns::policy;

/// A log of `strace` or a table of it or of `perf trace`. Each line is a call, or a part of one, or not used; each call
/// is one of its pattern, and gets an answer.
pub fn strace(bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes);
    let mut taken = false;
    for arch in Arch::ALL {
        let trace = calls(&text, arch);
        assert!(trace.calls.len() + trace.skipped.len() <= text.lines().count(), "{trace:?}");
        for call in &trace.calls {
            assert!(call.pattern.condition().holds(&call.pattern.example(arch)), "{call:?}");
        }
        let made = trace.calls.len();
        taken |= made > 0;
        let simulated = simulate(policy(arch), trace);
        let total = simulated.total;
        assert_eq!(total.allowed + total.depends + total.refused, made, "{simulated:?}");
        let found: usize = simulated.findings.iter().map(|finding| finding.count).sum();
        assert_eq!(found, total.depends + total.refused, "{simulated:?}");
        taken |= counted(&text, arch, None).is_some();
    }
    taken
}

/// JSON that a run reports. The counts of one role are among those of all.
pub fn report(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else { return false };
    let arch = Arch::X86_64;
    let of_role = counted(text, arch, Some("vcpu"));
    // A thread without counts is an error where it is asked for.
    let Some(all) = counted(text, arch, None) else { return of_role.is_some() };
    if let Some(of_role) = of_role {
        for (call, count) in &of_role.calls {
            assert!(all.calls.get(call).is_some_and(|all| all >= count), "{call}");
        }
    }
    true
}

/// The counts of a text; a text without a call has none.
fn counted(text: &str, arch: Arch, role: Option<&str>) -> Option<Counts> {
    match counts(text, arch, role) {
        Ok(counts) => {
            assert!(!counts.calls.is_empty(), "no call is an error");
            Some(counts)
        }
        Err(error) => {
            assert!(!error.to_string().is_empty());
            None
        }
    }
}
