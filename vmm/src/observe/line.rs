//! A line of the log, in Firecracker's form: `TIME [INSTANCE:THREAD:LEVEL:FILE:LINE] WORDS`, where level and place are left out unless they
//! are asked for.

use std::fmt;
use std::panic::Location;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::Level;

/// A line.
#[derive(Clone, Copy, Debug)]
pub struct Line<'a> {
    /// When.
    pub time: SystemTime,
    /// The machine's name.
    pub instance: &'a str,
    /// The thread that it is about.
    pub thread: &'a str,
    /// What it is worth, if that is to be shown.
    pub level: Option<Level>,
    /// Where it comes from, if that is to be shown.
    pub origin: Option<&'a Location<'a>>,
    /// What is said.
    pub words: fmt::Arguments<'a>,
}

impl fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} [{}:{}", Utc(self.time), self.instance, self.thread)?;
        if let Some(level) = self.level {
            write!(f, ":{}", level.name())?;
        }
        if let Some(origin) = self.origin {
            write!(f, ":{}:{}", origin.file(), origin.line())?;
        }
        // What a client or a guest has said may not pass for another line.
        writeln!(f, "] {}", OneLine(&self.words.to_string()))
    }
}

struct OneLine<'a>(&'a str);

impl fmt::Display for OneLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|letter| {
            if letter.is_control() { write!(f, "{}", letter.escape_default()) } else { write!(f, "{letter}") }
        })
    }
}

/// A moment as `YYYY-MM-DDThh:mm:ss.nnnnnnnnn`, in UTC: fenced main reads no file that says where on earth it is.
#[derive(Clone, Copy, Debug)]
pub struct Utc(pub SystemTime);

const SECONDS_OF_DAY: u64 = 86_400;

impl Utc {
    /// Its day alone, `YYYY-MM-DD`.
    pub fn day(self) -> String {
        let text = self.to_string();
        text.split('T').next().unwrap_or_default().to_owned()
    }
}

impl fmt::Display for Utc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let since = self.0.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        let (year, month, day) = date(since.as_secs() / SECONDS_OF_DAY);
        let second = since.as_secs() % SECONDS_OF_DAY;
        let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
        write!(
            f,
            "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{:09}",
            since.subsec_nanos()
        )
    }
}

/// The date so many days after 1970-01-01. The Gregorian calendar repeats itself every 400 years of 146097 days; years are counted
/// from March, so that a leap day is a year's last.
fn date(days: u64) -> (u64, u64, u64) {
    // From 0000-03-01 on.
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_what_was_asked_for_and_stays_one_line() {
        let origin = Location::caller();
        let time = UNIX_EPOCH + Duration::new(1_732_795_445, 7);
        let line = |level, origin| {
            let words = format_args!("a\nb\u{1b}[2J \u{e9}");
            Line { time, instance: "vm-1", thread: "rf-main", level, origin, words }.to_string()
        };
        assert_eq!(line(None, None), "2024-11-28T12:04:05.000000007 [vm-1:rf-main] a\\nb\\u{1b}[2J \u{e9}\n");
        assert!(line(Some(Level::Warn), None).contains("[vm-1:rf-main:WARN] a"));
        let whole = line(Some(Level::Error), Some(origin));
        assert!(whole.contains(&format!("[vm-1:rf-main:ERROR:{}:{}] a", file!(), origin.line())), "{whole}");
    }

    #[test]
    fn dates_are_those_of_the_calendar() {
        for (days, expected) in [
            (0, (1970, 1, 1)),
            (58, (1970, 2, 28)),
            (59, (1970, 3, 1)),
            (789, (1972, 2, 29)),
            (11_016, (2000, 2, 29)),
            (11_017, (2000, 3, 1)),
            (20_785, (2026, 11, 28)),
            (47_540, (2100, 2, 28)),
            (47_541, (2100, 3, 1)),
        ] {
            assert_eq!(date(days), expected, "{days}");
        }
    }
}
