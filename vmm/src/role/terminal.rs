//! The user's terminal: raw while a guest has it, given back as it was, and the keys that leave.
#![forbid(unsafe_code)]

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use rustix::fs::OFlags;
use rustix::io::Errno;
use rustix::stdio::{stdin, stdout};
use rustix::termios::{self, OptionalActions, OutputModes, Termios};

/// What was changed and is to be put back. One terminal, one process; set once, before main fences itself.
static CHANGED: OnceLock<Changed> = OnceLock::new();

#[derive(Debug)]
struct Changed {
    terminal: Option<Termios>,
    stdout_flags: Option<OFlags>,
}

/// Prepares standard input and output for a guest: a terminal becomes raw, and standard output a descriptor on
/// which writing blocks, since the console thread cannot wait in another way. Says whether input is a terminal.
///
/// A terminal of which this process is not in the foreground is left alone.
///
/// # Errors
/// The kernel's, when the terminal does not take the mode.
pub fn prepare() -> Result<bool, Errno> {
    let terminal = in_foreground().then(|| termios::tcgetattr(stdin())).transpose()?;
    let stdout_flags =
        rustix::fs::fcntl_getfl(stdout()).ok().filter(|flags| flags.contains(OFlags::NONBLOCK));
    // A second run in one process would find it set, with the same contents.
    let changed = CHANGED.get_or_init(|| Changed { terminal, stdout_flags });
    if let Some(flags) = changed.stdout_flags {
        rustix::fs::fcntl_setfl(stdout(), flags.difference(OFlags::NONBLOCK))?;
    }
    if let Some(before) = &changed.terminal {
        let mut raw = before.clone();
        raw.make_raw();
        // A guest may end its lines with a newline alone; and QEMU's users expect it so.
        raw.output_modes |= before.output_modes & (OutputModes::OPOST | OutputModes::ONLCR);
        termios::tcsetattr(stdin(), OptionalActions::Now, &raw)?;
    }
    Ok(changed.terminal.is_some())
}

/// Why what the guest says does not go to a file.
#[derive(Debug, thiserror::Error)]
#[error("cannot write the guest's serial port to {}: {source}; name a file that can be made or added to, or a named pipe", path.display())]
pub struct OutputError {
    path: PathBuf,
    source: io::Error,
}

/// From now on this process' standard output is a file, to whose end is written, or a named pipe, whether or not anybody reads it
/// yet. Before [`prepare`].
///
/// # Errors
/// [`OutputError`]
pub fn send_output_to(path: &Path) -> Result<(), OutputError> {
    let failed = |source| OutputError { path: path.to_owned(), source };
    let file = File::options().read(true).append(true).create(true).open(path).map_err(failed)?;
    rustix::stdio::dup2_stdout(&file).map_err(|errno| failed(errno.into()))
}

fn in_foreground() -> bool {
    termios::isatty(stdin())
        && termios::tcgetpgrp(stdin()).is_ok_and(|foreground| foreground == rustix::process::getpgrp())
}

/// Puts the terminal's mode back. Allocates nothing; may be called more than once, also by a signal handler of main.
pub fn restore() {
    // Nothing is left to do where the terminal is gone.
    if let Some(before) = CHANGED.get().and_then(|changed| changed.terminal.as_ref()) {
        let _ = termios::tcsetattr(stdin(), OptionalActions::Now, before);
    }
}

/// Puts the file status flags of standard output back: after the last message, since standard error is often the
/// same open file, and a message must not be cut short. Otherwise like [`restore`].
pub fn restore_stdout() {
    if let Some(flags) = CHANGED.get().and_then(|changed| changed.stdout_flags) {
        let _ = rustix::fs::fcntl_setfl(stdout(), flags);
    }
}

/// The first key of the escape sequence: Ctrl-A, as in QEMU's `-nographic`.
const ESCAPE: u8 = 0x01;

/// What becomes of a byte that was typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Typed {
    /// It goes to the guest.
    Pass(u8),
    /// It may be the beginning of the sequence, or was a part of it.
    Held,
    /// The user presses Ctrl-Alt-Del on the guest's keyboard.
    CtrlAltDel,
    /// The user wants to leave.
    Leave,
}

/// Watches for Ctrl-A x (leave) and Ctrl-A d (Ctrl-Alt-Del on the guest's keyboard). Ctrl-A twice, or Ctrl-A a, sends one Ctrl-A; Ctrl-A before any other key is dropped.
#[derive(Debug, Default)]
pub struct Escape {
    pending: bool,
}

impl Escape {
    /// The next byte.
    pub fn typed(&mut self, byte: u8) -> Typed {
        if !self.pending {
            self.pending = byte == ESCAPE;
            return if self.pending { Typed::Held } else { Typed::Pass(byte) };
        }
        self.pending = false;
        match byte {
            b'x' | b'X' => Typed::Leave,
            b'd' | b'D' => Typed::CtrlAltDel,
            ESCAPE | b'a' => Typed::Pass(ESCAPE),
            other => Typed::Pass(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(bytes: &[u8]) -> Vec<Typed> {
        let mut escape = Escape::default();
        bytes.iter().map(|&byte| escape.typed(byte)).collect()
    }

    #[test]
    fn ctrl_a_x_leaves() {
        assert_eq!(all(b"\x01x"), [Typed::Held, Typed::Leave]);
        assert_eq!(all(b"x"), [Typed::Pass(b'x')]);
    }

    #[test]
    fn ctrl_a_d_presses_keys_of_the_guest_s() {
        assert_eq!(all(b"\x01dd"), [Typed::Held, Typed::CtrlAltDel, Typed::Pass(b'd')]);
    }

    #[test]
    fn ctrl_a_twice_sends_one() {
        assert_eq!(all(b"\x01\x01x"), [Typed::Held, Typed::Pass(1), Typed::Pass(b'x')]);
    }
}
