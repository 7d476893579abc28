//! Waits that the kernel continues by a call of its own.

use super::allowed::{Allowed, Part, tested};
use super::{Finding, Lint};
use crate::language::{Condition, Relation};

/// `TIMER_ABSTIME`, Linux `include/uapi/linux/time.h`.
const ABSOLUTE: u64 = 1;
/// `FUTEX_CMD_MASK` within the flags that are defined, Linux `include/uapi/linux/futex.h`.
const FUTEX_COMMAND: u64 = 0x7f;
/// `FUTEX_WAIT` and `FUTEX_WAIT_BITSET`.
const FUTEX_WAITS: [u64; 2] = [0, 9];

/// The kernel continues some waits after a stop (a debugger, SIGSTOP) by `restart_syscall`, which a filter sees:
/// `restart_syscall(2)`, and `set_restart_fn` in Linux `kernel/time/hrtimer.c`, `kernel/futex/waitwake.c`, `fs/select.c`.
pub(super) fn missing(allowed: &Allowed) -> Vec<Finding> {
    if allowed.of_calls(&["restart_syscall"]).next().is_some() {
        return Vec::new();
    }
    let timed = allowed.parts.iter().filter(|part| is_continued(allowed, part));
    let found = timed.map(|part| {
        part.finding(
            Lint::MissingRestart,
            format!("`{}` may wait, and `restart_syscall` is refused", part.call.name),
            "continued by restart_syscall after a stop",
            "add `restart_syscall: -- the kernel goes on with a wait after a stop`, or a debugger's stop ends the program"
                .to_owned(),
        )
    });
    found.collect()
}

fn is_continued(allowed: &Allowed, part: &Part) -> bool {
    match part.call.name {
        "nanosleep" => true,
        // A wait until some time needs no continuing: the call itself is made again.
        "clock_nanosleep" => allowed.allows_other_than(part, "flags", ABSOLUTE),
        "poll" => allowed.allows_other_than(part, "timeout_msecs", 0),
        "futex" => FUTEX_WAITS.iter().any(|operation| waits_for_a_time(allowed, part, *operation)),
        _ => false,
    }
}

/// Whether a futex operation, private or not and by any clock, is allowed with a timeout.
fn waits_for_a_time(allowed: &Allowed, part: &Part, operation: u64) -> bool {
    let operation = tested(part.call, "op", Relation::Masked { mask: FUTEX_COMMAND, value: operation });
    let timeout = tested(part.call, "utime", Relation::NotEqual(0));
    let both = operation.zip(timeout).map(|(operation, timeout)| Condition::All(vec![operation, timeout]));
    both.is_some_and(|both| allowed.allows(part, &both))
}
