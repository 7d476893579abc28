//! A pseudo-terminal: what a person types and sees, and the mode that a program leaves it in.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd as _, FromRawFd as _, OwnedFd};
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};
use std::ptr;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use rustix::termios::{self, OutputModes, Termios, Winsize};

use crate::wait;

/// A terminal with a person in front of it.
#[derive(Debug)]
pub struct Terminal {
    /// The person's side.
    person: File,
    /// The program's side, held open so that its mode can be read when the program is gone.
    line: OwnedFd,
    seen: Arc<Mutex<Vec<u8>>>,
}

/// The flags of a terminal's mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Modes {
    /// `c_iflag`, `c_oflag`, `c_cflag`, `c_lflag`.
    flags: [u32; 4],
}

impl Terminal {
    /// A terminal of this width, in its usual mode.
    ///
    /// # Panics
    /// Where the system has no more pseudo-terminals.
    pub fn open(columns: u16) -> Self {
        let size = libc::winsize { ws_row: 24, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        let (mut person, mut line) = (-1, -1);
        // SAFETY: two integers to write to, no name, no mode, and a size that lives through the call.
        let result = unsafe {
            libc::openpty(&raw mut person, &raw mut line, ptr::null_mut(), ptr::null(), &raw const size)
        };
        assert_eq!(result, 0, "openpty: {}", io::Error::last_os_error());
        // SAFETY: openpty has made it and nobody else knows of it.
        let person = File::from(unsafe { OwnedFd::from_raw_fd(person) });
        // SAFETY: as above.
        let line = unsafe { OwnedFd::from_raw_fd(line) };
        for end in [person.as_fd(), line.as_fd()] {
            rustix::io::fcntl_setfd(end, rustix::io::FdFlags::CLOEXEC).expect("both ends are open");
        }
        let seen = Arc::default();
        watch(person.try_clone().expect("a descriptor can be duplicated"), Arc::clone(&seen));
        Self { person, line, seen }
    }

    /// Gives the command this terminal: standard input, output and error, and as the controlling terminal of a new
    /// session of which it is the leader.
    ///
    /// # Panics
    /// Where there are no more descriptors.
    pub fn give_to(&self, command: &mut Command) {
        let end = || Stdio::from(self.line.try_clone().expect("a descriptor can be duplicated"));
        command.stdin(end()).stdout(end()).stderr(end());
        let lead = || {
            rustix::process::setsid()?;
            rustix::process::ioctl_tiocsctty(rustix::stdio::stdin())?;
            Ok(())
        };
        // SAFETY: the body makes two system calls and nothing else.
        unsafe { command.pre_exec(lead) };
    }

    /// Types.
    ///
    /// # Panics
    /// Where the terminal does not take it.
    pub fn enter(&mut self, keys: &[u8]) {
        self.person.write_all(keys).expect("a terminal takes what is typed");
    }

    /// Everything that has been shown.
    pub fn shown(&self) -> String {
        String::from_utf8_lossy(&self.seen.lock().unwrap_or_else(PoisonError::into_inner)).into_owned()
    }

    /// Waits until this text is shown.
    ///
    /// # Panics
    /// When it does not come.
    pub fn wait_for(&self, text: &str) {
        wait::until(&format!("{text:?} on the terminal"), || self.shown().contains(text).then_some(()));
    }

    /// Its mode now.
    ///
    /// # Panics
    /// Never: the terminal is open.
    pub fn modes(&self) -> Modes {
        Modes::of(&termios::tcgetattr(&self.line).expect("the terminal is open"))
    }

    /// Changes its width.
    ///
    /// # Panics
    /// Never: the terminal is open.
    pub fn resize(&self, columns: u16) {
        let size = Winsize { ws_row: 24, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        termios::tcsetwinsize(&self.line, size).expect("the terminal is open");
    }
}

impl Modes {
    fn of(termios: &Termios) -> Self {
        let flags = [
            termios.input_modes.bits(),
            termios.output_modes.bits(),
            termios.control_modes.bits(),
            termios.local_modes.bits(),
        ];
        Self { flags }
    }

    /// Whether keys go to the program one by one, as they are, and are not shown by the terminal itself.
    pub fn is_raw(&self) -> bool {
        let cooked = termios::LocalModes::ICANON | termios::LocalModes::ISIG | termios::LocalModes::ECHO;
        self.flags[3] & cooked.bits() == 0
    }

    /// Whether a newline that a program writes also returns the carriage.
    pub fn translates_newlines(&self) -> bool {
        let both = OutputModes::OPOST | OutputModes::ONLCR;
        self.flags[1] & both.bits() == both.bits()
    }
}

/// Collects what the terminal shows, until the last program has left it and it is closed.
fn watch(mut person: File, seen: Arc<Mutex<Vec<u8>>>) {
    thread::spawn(move || {
        let mut chunk = [0; 4096];
        // EIO, when no program has the terminal open, is its end here.
        while let Ok(count @ 1..) = person.read(&mut chunk) {
            seen.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(&chunk[..count]);
        }
    });
}
