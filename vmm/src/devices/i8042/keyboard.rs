//! A keyboard of the AT kind, as far as a driver has to see it to listen: it knows who it is, and one chord.
//!
//! Commands and answers: Linux `include/linux/libps2.h` and `drivers/input/keyboard/atkbd.c`; IBM PS/2 Hardware
//! Interface Technical Reference, "Keyboard and Auxiliary Device Controller".

/// What a driver sends to the keyboard.
mod command {
    pub(super) const SET_LEDS: u8 = 0xed;
    pub(super) const ECHO: u8 = 0xee;
    pub(super) const SET_CODES: u8 = 0xf0;
    pub(super) const IDENTIFY: u8 = 0xf2;
    pub(super) const SET_RATE: u8 = 0xf3;
    pub(super) const ENABLE: u8 = 0xf4;
    pub(super) const DISABLE: u8 = 0xf5;
    pub(super) const SET_DEFAULTS: u8 = 0xf6;
    pub(super) const RESET: u8 = 0xff;
}

const ACKNOWLEDGED: u8 = 0xfa;
/// What was sent is not understood.
const RESEND: u8 = 0xfe;
const SELF_TEST_PASSED: u8 = 0xaa;
/// An MF2 keyboard; the second byte is a key's code on its way through the controller, and translated as one.
const IDENTITY: [u8; 2] = [0xab, 0x83];
const IDENTITY_TRANSLATED: [u8; 2] = [0xab, 0x41];

/// Ctrl, Alt and Delete pressed, and released in the reverse order: codes of set 2, which a keyboard sends.
const CTRL_ALT_DEL: &[u8] = &[0x14, 0x11, 0xe0, 0x71, 0xe0, 0xf0, 0x71, 0xf0, 0x11, 0xf0, 0x14];
/// The same as the controller translates it: codes of set 1, where the topmost bit says that a key is released.
const CTRL_ALT_DEL_TRANSLATED: &[u8] = &[0x1d, 0x38, 0xe0, 0x53, 0xe0, 0xd3, 0xb8, 0x9d];

/// Bytes that wait for the driver at most: those of an answer, or of a chord.
const ROOM: usize = 16;

/// The keyboard. What it says waits in a queue of [`ROOM`] bytes.
#[derive(Debug)]
pub(super) struct Keyboard {
    waiting: [u8; ROOM],
    first: usize,
    count: usize,
    /// Keys are told.
    enabled: bool,
    /// The byte that comes is the parameter of a command.
    parameter: bool,
}

impl Default for Keyboard {
    fn default() -> Self {
        Self { waiting: [0; ROOM], first: 0, count: 0, enabled: true, parameter: false }
    }
}

impl Keyboard {
    /// Whether there is something to be taken.
    pub(super) fn has_said(&self) -> bool {
        self.count > 0
    }

    /// The next byte.
    pub(super) fn take(&mut self) -> Option<u8> {
        let byte = self.has_said().then(|| self.waiting[self.first])?;
        self.first = (self.first + 1) % ROOM;
        self.count -= 1;
        Some(byte)
    }

    /// All of them, or none where they do not fit.
    fn say(&mut self, bytes: &[u8]) -> bool {
        if bytes.len() > ROOM - self.count {
            return false;
        }
        for &byte in bytes {
            self.waiting[(self.first + self.count) % ROOM] = byte;
            self.count += 1;
        }
        true
    }

    /// The driver sends a byte; what was said before is forgotten. `translated`: the controller translates codes.
    pub(super) fn tell(&mut self, byte: u8, translated: bool) {
        self.count = 0;
        let is_parameter = std::mem::take(&mut self.parameter);
        if byte == command::ECHO {
            self.say(&[command::ECHO]);
            return;
        }
        // A command is one also where a parameter should be; parameters are small numbers.
        match byte {
            command::SET_LEDS | command::SET_CODES | command::SET_RATE => self.parameter = true,
            command::ENABLE | command::SET_DEFAULTS | command::RESET => self.enabled = true,
            command::DISABLE => self.enabled = false,
            command::IDENTIFY => {}
            _ if is_parameter => {}
            _ => {
                self.say(&[RESEND]);
                return;
            }
        }
        self.say(&[ACKNOWLEDGED]);
        match byte {
            command::IDENTIFY => self.say(if translated { &IDENTITY_TRANSLATED } else { &IDENTITY }),
            command::RESET => self.say(&[SELF_TEST_PASSED]),
            _ => true,
        };
    }

    /// Somebody presses Ctrl-Alt-Del; false when nobody will hear of it: keys are off, or too many wait.
    pub(super) fn press_ctrl_alt_del(&mut self, translated: bool) -> bool {
        self.enabled && self.say(if translated { CTRL_ALT_DEL_TRANSLATED } else { CTRL_ALT_DEL })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(keyboard: &mut Keyboard) -> Vec<u8> {
        std::iter::from_fn(|| keyboard.take()).collect()
    }

    fn ask(keyboard: &mut Keyboard, bytes: &[u8]) -> Vec<u8> {
        bytes
            .iter()
            .flat_map(|&byte| {
                keyboard.tell(byte, true);
                said(keyboard)
            })
            .collect()
    }

    #[test]
    fn a_driver_gets_the_answers_that_it_waits_for() {
        // In the order of `atkbd_connect()`, Linux drivers/input/keyboard/atkbd.c.
        let mut keyboard = Keyboard::default();
        for (asked, answered) in [
            (&[0xff][..], &[0xfa, 0xaa][..]),
            (&[0xf2], &[0xfa, 0xab, 0x41]),
            (&[0xf5], &[0xfa]),
            (&[0xed, 0x00], &[0xfa, 0xfa]),
            (&[0xf0, 0x02], &[0xfa, 0xfa]),
            (&[0xf3, 0x00], &[0xfa, 0xfa]),
            (&[0xee], &[0xee]),
            (&[0xf4], &[0xfa]),
            (&[0x12], &[0xfe]),
        ] {
            assert_eq!(ask(&mut keyboard, asked), answered, "{asked:x?}");
        }
        keyboard.tell(0xf2, false);
        assert_eq!(said(&mut keyboard), [0xfa, 0xab, 0x83]);
    }

    #[test]
    fn every_key_that_is_pressed_is_released() {
        for translated in [false, true] {
            let mut keyboard = Keyboard::default();
            assert!(keyboard.press_ctrl_alt_del(translated));
            let said = said(&mut keyboard);
            let expected = if translated { CTRL_ALT_DEL_TRANSLATED } else { CTRL_ALT_DEL };
            assert_eq!(said, expected);
            let released =
                |byte: &u8| if translated { byte & 0x80 != 0 && *byte != 0xe0 } else { *byte == 0xf0 };
            assert_eq!(said.iter().filter(|byte| released(byte)).count(), 3);
        }
    }

    #[test]
    fn a_chord_is_said_whole_or_not_at_all() {
        let mut keyboard = Keyboard::default();
        assert!(keyboard.press_ctrl_alt_del(true));
        assert!(keyboard.press_ctrl_alt_del(true));
        assert!(!keyboard.press_ctrl_alt_del(true), "nobody has taken sixteen bytes yet");
        assert_eq!(said(&mut keyboard).len(), 16);
        keyboard.tell(0xf5, true);
        said(&mut keyboard);
        assert!(!keyboard.press_ctrl_alt_del(true), "keys are off");
        assert!(!keyboard.has_said());
    }

    #[test]
    fn no_sequence_of_bytes_says_more_than_there_is_room_for() {
        let mut keyboard = Keyboard::default();
        for byte in (0..=u8::MAX).chain((0..=u8::MAX).rev()) {
            keyboard.tell(byte, byte & 1 == 0);
            keyboard.press_ctrl_alt_del(byte & 2 == 0);
            assert!(keyboard.count <= ROOM);
            keyboard.take();
        }
    }
}
