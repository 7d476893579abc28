//! The keyboard controller: the pulse on the reset line that ends a run, and answers for a driver that looks for a
//! keyboard and a mouse. It has one port, at which nothing is plugged in, and raises no interrupt.
//!
//! Linux `reboot=k` and every PC firmware reset the machine by command 0xfe at port 0x64. A command that asks for an
//! answer gets it at once: Linux waits half a second for each one that does not come (`I8042_CTL_TIMEOUT` in
//! `drivers/input/serio/i8042.h`).

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Data port.
pub const DATA: u16 = 0x60;
/// Status (read) and command (write) port.
pub const COMMAND: u16 = 0x64;

/// Commands, as Linux `include/linux/i8042.h` and `drivers/input/serio/i8042.h` have them.
mod command {
    pub(super) const READ_CONFIGURATION: u8 = 0x20;
    pub(super) const WRITE_CONFIGURATION: u8 = 0x60;
    pub(super) const TEST_SECOND_PORT: u8 = 0xa9;
    pub(super) const SELF_TEST: u8 = 0xaa;
    pub(super) const TEST_FIRST_PORT: u8 = 0xab;
    pub(super) const DISABLE_FIRST_PORT: u8 = 0xad;
    pub(super) const ENABLE_FIRST_PORT: u8 = 0xae;
    pub(super) const ECHO_AS_FIRST_PORT: u8 = 0xd2;
    pub(super) const ECHO_AS_SECOND_PORT: u8 = 0xd3;
    pub(super) const PULSE_RESET: u8 = 0xfe;
}

/// Status: a byte waits at [`DATA`].
const OUTPUT_FULL: u8 = 0x01;
/// Status, always: the system is initialized (bit 2), the keyboard is not locked (bit 4). That a command is still to
/// be taken (bit 1), or a byte comes from a second port (bit 5), is never so.
const STATUS: u8 = 0x14;

/// The configuration that firmware leaves: initialized (bit 2), second port off (5), key codes translated (6).
const CONFIGURATION: u8 = 0x64;
/// Configuration: the first port is off.
const FIRST_PORT_OFF: u8 = 0x10;

/// Answers to tests.
const SELF_TEST_PASSED: u8 = 0x55;
const PORT_WORKS: u8 = 0x00;
/// The clock line is stuck, as where there is no port.
const PORT_BROKEN: u8 = 0x01;

/// What the next byte at [`DATA`] is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Expected {
    /// For whoever is plugged in, which is nobody, or the parameter of a command without effect here.
    #[default]
    Nothing,
    /// The new configuration.
    Configuration,
    /// A byte that comes back.
    Echo,
}

#[derive(Debug)]
struct State {
    configuration: u8,
    answer: Option<u8>,
    expected: Expected,
}

/// The controller, shared by the vCPU threads.
#[derive(Debug)]
pub struct I8042 {
    /// Held for one access; nobody waits while holding it.
    state: Mutex<State>,
}

impl Default for I8042 {
    fn default() -> Self {
        let state = State { configuration: CONFIGURATION, answer: None, expected: Expected::Nothing };
        Self { state: Mutex::new(state) }
    }
}

impl I8042 {
    fn lock(&self) -> MutexGuard<'_, State> {
        // A thread that panicked inside is parked and the run is ending.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The guest reads [`COMMAND`].
    pub fn status(&self) -> u8 {
        let full = if self.lock().answer.is_some() { OUTPUT_FULL } else { 0 };
        STATUS | full
    }

    /// The guest reads [`DATA`]: the answer to its last command, once; else no key.
    pub fn take_answer(&self) -> u8 {
        self.lock().answer.take().unwrap_or(0)
    }

    /// The guest writes [`DATA`].
    pub fn write(&self, value: u8) {
        let mut state = self.lock();
        match std::mem::take(&mut state.expected) {
            Expected::Nothing => {}
            Expected::Configuration => state.configuration = value,
            Expected::Echo => state.answer = Some(value),
        }
    }

    /// The guest writes [`COMMAND`]; true when that resets the machine.
    pub fn command(&self, value: u8) -> bool {
        let mut state = self.lock();
        // A command takes the place of one that still waits for its parameter.
        state.expected = match value {
            command::WRITE_CONFIGURATION => Expected::Configuration,
            // Without a second port the byte comes back as one of the first: the status does not tell otherwise.
            command::ECHO_AS_FIRST_PORT | command::ECHO_AS_SECOND_PORT => Expected::Echo,
            // Those to the output port (0xd1) and the second port (0xd4) take a byte that changes nothing.
            _ => Expected::Nothing,
        };
        match value {
            command::READ_CONFIGURATION => state.answer = Some(state.configuration),
            command::SELF_TEST => state.answer = Some(SELF_TEST_PASSED),
            command::TEST_FIRST_PORT => state.answer = Some(PORT_WORKS),
            command::TEST_SECOND_PORT => state.answer = Some(PORT_BROKEN),
            command::DISABLE_FIRST_PORT => state.configuration |= FIRST_PORT_OFF,
            command::ENABLE_FIRST_PORT => state.configuration &= !FIRST_PORT_OFF,
            _ => {}
        }
        value == command::PULSE_RESET
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What Linux's driver reads in answer to a command with these parameters; none where it would wait.
    fn ask(controller: &I8042, command: u8, parameters: &[u8]) -> Option<u8> {
        assert!(!controller.command(command));
        for &parameter in parameters {
            controller.write(parameter);
        }
        (controller.status() & OUTPUT_FULL != 0).then(|| controller.take_answer())
    }

    #[test]
    fn one_command_of_all_resets() {
        let controller = I8042::default();
        let resetting: Vec<u8> = (0..=u8::MAX).filter(|&value| controller.command(value)).collect();
        assert_eq!(resetting, [0xfe]);
    }

    #[test]
    fn a_driver_waits_for_no_answer_and_finds_one_port() {
        // In the order of `i8042_probe()`, Linux drivers/input/serio/i8042.c.
        let controller = I8042::default();
        assert_eq!(controller.status() & OUTPUT_FULL, 0, "nothing to flush");
        assert_eq!(ask(&controller, 0xaa, &[]), Some(0x55));
        let configuration = ask(&controller, 0x20, &[]).expect("an answer");
        assert_eq!(ask(&controller, 0x20, &[]), Some(configuration), "the driver wants it stable");
        assert_eq!(configuration & FIRST_PORT_OFF, 0);
        let quiet = configuration | FIRST_PORT_OFF;
        assert_eq!(ask(&controller, 0x60, &[quiet]), None);
        assert_eq!(ask(&controller, 0x20, &[]), Some(quiet));
        assert_eq!(ask(&controller, 0xd3, &[0x5a]), Some(0x5a));
        assert_eq!(controller.status() & 0x20, 0, "the echo does not come from a second port");
        assert_eq!(ask(&controller, 0xa9, &[]), Some(0x01), "there is no second port");
        assert_eq!(ask(&controller, 0x60, &[configuration]), None);
        assert_eq!(ask(&controller, 0x20, &[]), Some(configuration));
    }

    #[test]
    fn what_is_sent_to_a_keyboard_or_a_mouse_is_not_answered() {
        let controller = I8042::default();
        controller.write(0xf2);
        assert_eq!(controller.status(), STATUS);
        assert_eq!(ask(&controller, 0xd4, &[0xf2]), None);
        assert_eq!(ask(&controller, 0xd1, &[0x00]), None);
        assert_eq!(controller.take_answer(), 0);
    }

    #[test]
    fn a_command_takes_the_place_of_one_that_waits_for_its_parameter() {
        let controller = I8042::default();
        controller.command(0x60);
        assert_eq!(ask(&controller, 0x20, &[0xff]), Some(CONFIGURATION));
        assert_eq!(ask(&controller, 0x20, &[]), Some(CONFIGURATION));
    }

    #[test]
    fn the_first_port_is_turned_off_and_on_by_command() {
        let controller = I8042::default();
        controller.command(0xad);
        assert_eq!(ask(&controller, 0x20, &[]), Some(CONFIGURATION | FIRST_PORT_OFF));
        controller.command(0xae);
        assert_eq!(ask(&controller, 0x20, &[]), Some(CONFIGURATION));
        assert_eq!(ask(&controller, 0xab, &[]), Some(0));
    }
}
