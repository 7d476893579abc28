//! The exit port of tests: a byte written there ends the run with an exit code that says so.
//!
//! Port 0xf4 is the default of QEMU's `isa-debug-exit`. It exists only with `--exit-port`.

/// The port.
pub const PORT: u16 = 0xf4;

/// The lowest exit code of a run that ended here; the others of this program are below or above 16 to 79.
const FIRST_CODE: u8 = 16;
/// How much of the byte goes into the exit code.
const VALUE_MASK: u8 = 63;

/// The exit code of a run that ended by `value` at the exit port.
pub fn exit_code(value: u8) -> u8 {
    FIRST_CODE + (value & VALUE_MASK)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_value_fakes_another_exit_code() {
        assert!((0..=u8::MAX).all(|value| (16..80).contains(&exit_code(value))));
        assert_eq!(exit_code(42), 58);
    }
}
