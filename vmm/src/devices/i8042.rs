//! The keyboard controller, as much of it as ends a run: the pulse on the reset line.
//!
//! Linux `reboot=k` and every PC firmware reset the machine by command 0xfe at port 0x64.

use std::cell::Cell;
use std::convert::Infallible;

use vm_superio::{I8042Device, Trigger};

/// Data port.
pub const DATA: u16 = 0x60;
/// Status (read) and command (write) port.
pub const COMMAND: u16 = 0x64;
/// Offset of [`COMMAND`] from [`DATA`].
const COMMAND_OFFSET: u8 = 4;

#[derive(Debug, Default)]
struct ResetLine(Cell<bool>);

impl Trigger for ResetLine {
    type E = Infallible;

    fn trigger(&self) -> Result<(), Infallible> {
        self.0.set(true);
        Ok(())
    }
}

/// What a read of either port gives: no key, no mouse, ready for a command.
pub fn read() -> u8 {
    I8042Device::new(ResetLine::default()).read(COMMAND_OFFSET)
}

/// Whether this byte, written to [`COMMAND`], resets the machine.
pub fn command_resets(value: u8) -> bool {
    let mut controller = I8042Device::new(ResetLine::default());
    let _ = controller.write(COMMAND_OFFSET, value);
    controller.reset_evt().0.get()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_command_of_all_resets() {
        let resetting: Vec<u8> = (0..=u8::MAX).filter(|&value| command_resets(value)).collect();
        assert_eq!(resetting, [0xfe]);
    }
}
