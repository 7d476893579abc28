//! Port I/O: which device an access meets.
//!
//! Every device here is 8 bits wide, so a wider access meets several registers, as on an ISA bus. What nobody
//! claims reads as all ones and takes writes in silence.

use super::i8042::{self, Commanded, I8042};
use super::serial::{Full, Raised, Serial};
use super::{exit_port, pvpanic, serial, sleep};

/// What an access asks of the machine, beyond the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Go on.
    Continue,
    /// The guest pulled the reset line.
    Reset,
    /// The guest switched the machine off.
    PowerOff,
    /// The guest says that its kernel has panicked.
    GuestPanic,
    /// The guest wrote this byte to the exit port.
    Exit(u8),
}

/// What a machine has beyond the ports that each one has.
#[derive(Clone, Copy, Debug, Default)]
pub struct Extras {
    /// The port that ends tests.
    pub exit_port: bool,
    /// A keyboard, plugged into the controller.
    pub keyboard: bool,
}

/// All that a guest meets by port I/O.
#[derive(Debug)]
pub struct Ports {
    serial: Serial,
    keyboard: I8042,
    exit_port: bool,
}

/// The keyboard has something for the guest.
const KEYBOARD: Raised = Raised { interrupt: false, output: false, input: true };

/// What no device drives: the bus floats high.
const FLOATING: u8 = 0xff;

impl Ports {
    /// The ports of a machine.
    pub fn new(serial: Serial, extras: Extras) -> Self {
        Self { serial, keyboard: I8042::new(extras.keyboard), exit_port: extras.exit_port }
    }

    /// The serial port.
    pub fn serial(&self) -> &Serial {
        &self.serial
    }

    /// The keyboard and its controller.
    pub fn keyboard(&self) -> &I8042 {
        &self.keyboard
    }

    /// The guest reads one byte.
    pub fn read(&self, port: u16) -> (u8, Raised) {
        match port {
            serial::BASE..=SERIAL_LAST => self.serial.read(serial_offset(port)),
            i8042::DATA => {
                let (value, announce) = self.keyboard.read();
                (value, if announce { KEYBOARD } else { Raised::default() })
            }
            i8042::COMMAND => (self.keyboard.status(), Raised::default()),
            pvpanic::PORT => (pvpanic::EVENTS, Raised::default()),
            sleep::CONTROL | sleep::STATUS => (sleep::READS_AS, Raised::default()),
            _ => (FLOATING, Raised::default()),
        }
    }

    /// The guest writes one byte.
    ///
    /// # Errors
    /// [`Full`]: the byte is output and has to wait for room; nothing has happened.
    pub fn write(&self, port: u16, value: u8) -> Result<(Effect, Raised), Full> {
        let effect = match port {
            serial::BASE..=SERIAL_LAST => {
                return Ok((Effect::Continue, self.serial.write(serial_offset(port), value)?));
            }
            i8042::DATA if self.keyboard.write(value) => return Ok((Effect::Continue, KEYBOARD)),
            i8042::COMMAND => match self.keyboard.command(value) {
                Commanded::Done => Effect::Continue,
                Commanded::Announce => return Ok((Effect::Continue, KEYBOARD)),
                Commanded::Reset => Effect::Reset,
            },
            sleep::CONTROL if sleep::switches_off(value) => Effect::PowerOff,
            pvpanic::PORT if pvpanic::ends(value) => Effect::GuestPanic,
            exit_port::PORT if self.exit_port => Effect::Exit(value),
            _ => Effect::Continue,
        };
        Ok((effect, Raised::default()))
    }
}

const SERIAL_LAST: u16 = serial::BASE + serial::PORTS - 1;

fn serial_offset(port: u16) -> u8 {
    (port.wrapping_sub(serial::BASE) % serial::PORTS) as u8
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::devices::output::Output;

    fn ports(exit_port: bool) -> Ports {
        let serial = Serial::new(Box::leak(Box::new(Output::default())));
        Ports::new(serial, Extras { exit_port, keyboard: false })
    }

    #[test]
    fn of_all_ports_and_bytes_three_have_an_effect_beyond_their_device() {
        let ports = ports(false);
        for port in 0..=u16::MAX {
            for value in [0x00, 0x02, 0x34, 0xf4, 0xfe] {
                let expected = match (port, value) {
                    (0x64, 0xfe) => Effect::Reset,
                    (0x600, 0x34 | 0xf4) => Effect::PowerOff,
                    _ => Effect::Continue,
                };
                assert_eq!(ports.write(port, value).unwrap().0, expected, "{port:#x} {value:#x}");
            }
            let told = ports.write(port, 0x01).unwrap().0 == Effect::GuestPanic;
            assert_eq!(told, port == 0x505, "{port:#x}");
        }
    }

    #[test]
    fn the_panic_port_says_which_events_it_knows_and_the_sleep_registers_that_nothing_woke() {
        let ports = ports(false);
        assert_eq!(ports.read(0x505).0, 3);
        ports.write(0x600, 0x14).unwrap();
        assert_eq!((ports.read(0x600).0, ports.read(0x601).0), (0, 0));
    }

    #[test]
    fn the_exit_port_is_there_only_when_asked_for() {
        assert_eq!(ports(false).write(0xf4, 3).unwrap().0, Effect::Continue);
        assert_eq!(ports(true).write(0xf4, 3).unwrap().0, Effect::Exit(3));
    }

    #[test]
    fn the_keyboard_controller_answers_at_its_two_ports() {
        let ports = ports(false);
        assert_eq!(ports.read(0x64).0 & 1, 0);
        ports.write(0x64, 0xaa).unwrap();
        assert_eq!(ports.read(0x64).0 & 1, 1);
        assert_eq!((ports.read(0x60).0, ports.read(0x60).0), (0x55, 0));
    }

    #[test]
    fn a_port_that_nobody_claims_reads_all_ones() {
        let ports = ports(true);
        assert_eq!(ports.read(0x80).0, 0xff);
        assert_eq!(ports.read(0x3f7).0, 0xff);
        assert_eq!(ports.read(0x400).0, 0xff);
        assert_ne!(ports.read(0x3fd).0, 0xff, "the line status register is there");
    }
}
