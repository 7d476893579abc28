//! The keyboard controller: the pulse on the reset line that ends a run, and answers for a driver that looks for a
//! keyboard and a mouse. It has one port, at which nothing is plugged in but where a keyboard was asked for.
//!
//! Linux `reboot=k` and every PC firmware reset the machine by command 0xfe at port 0x64. A command that asks for an
//! answer gets it at once: Linux waits half a second for each one that does not come (`I8042_CTL_TIMEOUT` in
//! `drivers/input/serio/i8042.h`). What the keyboard says is announced by an interrupt, as a driver for keyboards does
//! not poll. vCPU threads cannot raise it; they ring io, and io does.

mod keyboard;

use std::sync::{Mutex, MutexGuard, PoisonError};

use self::keyboard::Keyboard;

/// Data port.
pub const DATA: u16 = 0x60;
/// Status (read) and command (write) port.
pub const COMMAND: u16 = 0x64;
/// Interrupt line of the keyboard.
pub const IRQ: u32 = 1;
/// The command that pulls the reset line.
pub const RESET: u8 = 0xfe;

/// Commands, as Linux `include/linux/i8042.h` and `drivers/input/serio/i8042.h` have them.
mod command {
    pub(super) const READ_CONFIGURATION: u8 = 0x20;
    pub(super) const WRITE_CONFIGURATION: u8 = 0x60;
    pub(super) const TEST_SECOND_PORT: u8 = 0xa9;
    pub(super) const SELF_TEST: u8 = 0xaa;
    pub(super) const TEST_FIRST_PORT: u8 = 0xab;
    pub(super) const DISABLE_FIRST_PORT: u8 = 0xad;
    pub(super) const ENABLE_FIRST_PORT: u8 = 0xae;
    /// The reset line among its bits, which nobody pulls by this one.
    pub(super) const WRITE_OUTPUT_PORT: u8 = 0xd1;
    pub(super) const ECHO_AS_FIRST_PORT: u8 = 0xd2;
    pub(super) const ECHO_AS_SECOND_PORT: u8 = 0xd3;
    pub(super) const SEND_TO_SECOND_PORT: u8 = 0xd4;
}

/// Status: a byte waits at [`DATA`].
const OUTPUT_FULL: u8 = 0x01;
/// Status, always: the system is initialized (bit 2), the keyboard is not locked (bit 4). That a command is still to
/// be taken (bit 1), or a byte comes from a second port (bit 5), is never so.
const STATUS: u8 = 0x14;

/// The configuration that firmware leaves: initialized (bit 2), second port off (5), key codes translated (6).
const CONFIGURATION: u8 = 0x64;
/// Configuration: the first port raises interrupts.
const INTERRUPTS: u8 = 0x01;
/// Configuration: the first port is off.
const FIRST_PORT_OFF: u8 = 0x10;
/// Configuration: key codes are translated, from set 2 to set 1.
const TRANSLATED: u8 = 0x40;

/// Answers to tests.
const SELF_TEST_PASSED: u8 = 0x55;
const PORT_WORKS: u8 = 0x00;
/// The clock line is stuck, as where there is no port.
const PORT_BROKEN: u8 = 0x01;

/// What the next byte at [`DATA`] is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Expected {
    /// For the keyboard, if there is one.
    #[default]
    ForKeyboard,
    /// The parameter of a command without effect here.
    Nothing,
    /// The new configuration.
    Configuration,
    /// A byte that comes back.
    Echo,
}

#[derive(Debug)]
struct State {
    configuration: u8,
    /// The controller's own answer, which goes before what the keyboard says.
    answer: Option<u8>,
    expected: Expected,
    keyboard: Option<Keyboard>,
    /// A byte of the keyboard's waits, and no interrupt has told of it.
    interrupt: bool,
}

impl State {
    fn is(&self, flag: u8) -> bool {
        self.configuration & flag != 0
    }

    /// Whether the keyboard's next byte can be read.
    fn key_waits(&self) -> bool {
        !self.is(FIRST_PORT_OFF) && self.keyboard.as_ref().is_some_and(Keyboard::has_said)
    }

    /// After a change that may have made a byte of the keyboard's the next one; true when io has to be rung.
    fn announce(&mut self) -> bool {
        let announce = self.answer.is_none() && self.key_waits() && self.is(INTERRUPTS);
        self.interrupt |= announce;
        announce
    }

    fn tell_keyboard(&mut self, value: u8) {
        let translated = self.is(TRANSLATED);
        if let Some(keyboard) = &mut self.keyboard {
            // Sending to a port turns it on.
            self.configuration &= !FIRST_PORT_OFF;
            keyboard.tell(value, translated);
        }
    }
}

/// What a command asks of the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Commanded {
    /// Nothing.
    Done,
    /// io has to be rung, for [`I8042::take_interrupt`].
    Announce,
    /// A reset.
    Reset,
}

/// The controller, shared by the vCPU threads, io and whoever presses keys.
#[derive(Debug)]
pub struct I8042 {
    /// Held for one access; nobody waits while holding it.
    state: Mutex<State>,
}

impl I8042 {
    /// A controller; `keyboard`: with one plugged in.
    pub fn new(keyboard: bool) -> Self {
        let state = State {
            configuration: CONFIGURATION,
            answer: None,
            expected: Expected::default(),
            keyboard: keyboard.then(Keyboard::default),
            interrupt: false,
        };
        Self { state: Mutex::new(state) }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A thread that panicked inside is parked and the run is ending.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The guest reads [`COMMAND`].
    pub fn status(&self) -> u8 {
        let state = self.lock();
        let full = if state.answer.is_some() || state.key_waits() { OUTPUT_FULL } else { 0 };
        STATUS | full
    }

    /// The guest reads [`DATA`]: the answer to its last command, once; else what the keyboard says; else no key. And
    /// whether io has to be rung, for [`I8042::take_interrupt`].
    pub fn read(&self) -> (u8, bool) {
        let mut state = self.lock();
        let key = if state.answer.is_none() && state.key_waits() { state.keyboard.as_mut() } else { None };
        let key = key.and_then(Keyboard::take);
        let value = key.or_else(|| state.answer.take()).unwrap_or(0);
        (value, state.announce())
    }

    /// The guest writes [`DATA`]; whether io has to be rung.
    pub fn write(&self, value: u8) -> bool {
        let mut state = self.lock();
        match std::mem::take(&mut state.expected) {
            Expected::ForKeyboard => state.tell_keyboard(value),
            Expected::Nothing => {}
            Expected::Configuration => state.configuration = value,
            Expected::Echo => state.answer = Some(value),
        }
        state.announce()
    }

    /// The guest writes [`COMMAND`].
    pub fn command(&self, value: u8) -> Commanded {
        let mut state = self.lock();
        // A command takes the place of one that still waits for its parameter.
        state.expected = match value {
            command::WRITE_CONFIGURATION => Expected::Configuration,
            // Without a second port the byte comes back as one of the first: the status does not tell otherwise.
            command::ECHO_AS_FIRST_PORT | command::ECHO_AS_SECOND_PORT => Expected::Echo,
            command::WRITE_OUTPUT_PORT | command::SEND_TO_SECOND_PORT => Expected::Nothing,
            _ => Expected::ForKeyboard,
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
        match value {
            RESET => Commanded::Reset,
            _ if state.announce() => Commanded::Announce,
            _ => Commanded::Done,
        }
    }

    /// Somebody presses Ctrl-Alt-Del; true when io has to be rung, false when nobody hears of it: there is no
    /// keyboard, its driver has not turned interrupts on or keys off, or has not heard of the last ones.
    pub fn press_ctrl_alt_del(&self) -> bool {
        let mut state = self.lock();
        let translated = state.is(TRANSLATED);
        let listens = state.is(INTERRUPTS) && !state.is(FIRST_PORT_OFF);
        let pressed = listens
            && state.keyboard.as_mut().is_some_and(|keyboard| keyboard.press_ctrl_alt_del(translated));
        if pressed {
            state.announce();
        }
        pressed
    }

    /// io: whether the keyboard's interrupt is to be raised.
    pub fn take_interrupt(&self) -> bool {
        std::mem::take(&mut self.lock().interrupt)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What Linux's driver reads in answer to a command with these parameters; none where it would wait.
    fn ask(controller: &I8042, command: u8, parameters: &[u8]) -> Option<u8> {
        assert_eq!(controller.command(command), Commanded::Done);
        for &parameter in parameters {
            controller.write(parameter);
        }
        (controller.status() & OUTPUT_FULL != 0).then(|| controller.read().0)
    }

    #[test]
    fn one_command_of_all_resets() {
        let controller = I8042::new(false);
        let resetting: Vec<u8> =
            (0..=u8::MAX).filter(|&value| controller.command(value) == Commanded::Reset).collect();
        assert_eq!(resetting, [0xfe]);
    }

    #[test]
    fn a_driver_waits_for_no_answer_and_finds_one_port() {
        // In the order of `i8042_probe()`, Linux drivers/input/serio/i8042.c.
        let controller = I8042::new(false);
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
        let controller = I8042::new(false);
        controller.write(0xf2);
        assert_eq!(controller.status(), STATUS);
        assert_eq!(ask(&controller, 0xd4, &[0xf2]), None);
        assert_eq!(ask(&controller, 0xd1, &[0x00]), None);
        assert_eq!(controller.read().0, 0);
    }

    #[test]
    fn a_command_takes_the_place_of_one_that_waits_for_its_parameter() {
        let controller = I8042::new(false);
        controller.command(0x60);
        assert_eq!(ask(&controller, 0x20, &[0xff]), Some(CONFIGURATION));
        assert_eq!(ask(&controller, 0x20, &[]), Some(CONFIGURATION));
    }

    #[test]
    fn the_first_port_is_turned_off_and_on_by_command() {
        let controller = I8042::new(false);
        controller.command(0xad);
        assert_eq!(ask(&controller, 0x20, &[]), Some(CONFIGURATION | FIRST_PORT_OFF));
        controller.command(0xae);
        assert_eq!(ask(&controller, 0x20, &[]), Some(CONFIGURATION));
        assert_eq!(ask(&controller, 0xab, &[]), Some(0));
    }

    /// A controller whose driver has turned interrupts on.
    fn with_keyboard() -> I8042 {
        let controller = I8042::new(true);
        controller.command(0x60);
        controller.write(CONFIGURATION | INTERRUPTS);
        controller
    }

    /// Takes an interrupt, as a driver does: one byte.
    fn interrupted(controller: &I8042) -> Option<u8> {
        if !controller.take_interrupt() {
            return None;
        }
        assert_eq!(controller.status() & OUTPUT_FULL, OUTPUT_FULL);
        Some(controller.read().0)
    }

    #[test]
    fn a_keyboard_answers_by_an_interrupt_for_each_byte() {
        let controller = with_keyboard();
        assert!(controller.write(0xf2), "io is rung");
        let said: Vec<u8> = std::iter::from_fn(|| interrupted(&controller)).collect();
        assert_eq!(said, [0xfa, 0xab, 0x41]);
        assert_eq!(controller.status(), STATUS);
    }

    #[test]
    fn ctrl_alt_del_is_heard_once_a_driver_listens() {
        let controller = I8042::new(true);
        assert!(!controller.press_ctrl_alt_del(), "no interrupts yet");
        let controller = with_keyboard();
        assert!(controller.press_ctrl_alt_del());
        let said: Vec<u8> = std::iter::from_fn(|| interrupted(&controller)).collect();
        assert_eq!(said, [0x1d, 0x38, 0xe0, 0x53, 0xe0, 0xd3, 0xb8, 0x9d]);
        controller.command(0xad);
        assert!(!controller.press_ctrl_alt_del(), "the port is off");
        assert!(!I8042::new(false).press_ctrl_alt_del(), "there is no keyboard");
    }

    #[test]
    fn what_the_keyboard_says_waits_for_the_controller_s_answer_and_for_its_port() {
        let controller = with_keyboard();
        controller.write(0xee);
        controller.command(0x20);
        assert_eq!(controller.read(), (CONFIGURATION | INTERRUPTS, true), "and then the keyboard's byte");
        controller.command(0xad);
        assert_eq!(controller.status() & OUTPUT_FULL, 0);
        assert_eq!(controller.command(0xae), Commanded::Announce);
        assert_eq!(controller.read(), (0xee, false));
    }
}
