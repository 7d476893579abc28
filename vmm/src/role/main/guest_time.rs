//! How long the vCPUs have executed the guest, as far as the kernel counts it: `guest_time` of `/proc/self/stat` (proc(5)), in steps of a
//! clock tick.
#![forbid(unsafe_code)]

use std::fs::File;
use std::os::fd::{AsFd, AsRawFd as _, OwnedFd, RawFd};

/// As much as main's policy lets it read: more than the line has.
const LINE_BYTES: usize = 1024;
/// The place of `guest_time`, counted from the first member behind the program's name, which is the third.
const GUEST_TIME: usize = 43 - 3;

/// The file, before main has its slots.
#[derive(Debug)]
pub struct GuestTime {
    file: OwnedFd,
}

impl GuestTime {
    /// `None` where there is no `/proc`.
    pub fn open() -> Option<Self> {
        Some(Self { file: File::open("/proc/self/stat").ok()?.into() })
    }

    /// Its number.
    pub fn number(&self) -> RawFd {
        self.file.as_raw_fd()
    }
}

/// The milliseconds that a file tells; `None` where it does not. `ticks`: how many of the kernel's make a second.
pub(super) fn read(file: impl AsFd, ticks: u64) -> Option<u64> {
    let mut line = [0; LINE_BYTES];
    let length = rustix::io::retry_on_intr(|| rustix::io::pread(&file, &mut line, 0)).ok()?;
    milliseconds(str::from_utf8(&line[..length]).ok()?, ticks)
}

fn milliseconds(line: &str, ticks: u64) -> Option<u64> {
    // The name may have brackets and blanks in it.
    let (_, rest) = line.rsplit_once(')')?;
    let count: u64 = rest.split_ascii_whitespace().nth(GUEST_TIME)?.parse().ok()?;
    count.checked_mul(1000)?.checked_div(ticks)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_is_the_forty_third_member() {
        let members = (3..=52).map(|number| number.to_string()).collect::<Vec<_>>().join(" ");
        assert_eq!(milliseconds(&format!("1 (a) b) {members}"), 100), Some(430));
        assert_eq!(milliseconds("1 (a) R 2", 100), None);
        let own = GuestTime::open().unwrap();
        assert_eq!(read(&own.file, 100), Some(0), "no guest runs here");
    }
}
