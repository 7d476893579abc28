//! The port by which a guest says that its kernel has panicked: QEMU's `pvpanic` on an ISA bus.
//!
//! Source: QEMU docs/specs/pvpanic.rst, Linux `include/uapi/misc/pvpanic.h`.

/// The port, QEMU's too. A guest finds it in the DSDT, as `QEMU0001`.
pub const PORT: u16 = 0x505;

/// The kernel has panicked, and the machine is of no use any more.
const PANICKED: u8 = 1 << 0;
/// It has panicked, and a crash kernel takes over, which ends the run its own way.
const CRASH_LOADED: u8 = 1 << 1;

/// What the port reads as: the events that it knows.
pub const EVENTS: u8 = PANICKED | CRASH_LOADED;

/// Whether `value`, written to [`PORT`], ends the run.
pub fn ends(value: u8) -> bool {
    value & PANICKED != 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_ends_the_run_and_one_with_a_crash_kernel_does_not() {
        assert!(ends(1));
        assert!(ends(3));
        assert!(!ends(2));
        assert!(!ends(0));
    }
}
