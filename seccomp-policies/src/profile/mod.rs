//! How often a role made each call: `.profile` files.
//!
//! ```text
//! # Taken with `ringfence run --count-calls`.
//! workload boots Linux 6.1 to a shell
//! kernel 6.18.44
//! date 2026-11-24
//!
//! ioctl 192044
//! write 5120
//! ```
//!
//! Counts are worth nothing without what was run, on which kernel and when, so each file says so. Calls have the kernel's
//! names, and a count is what it is: calls made, not a share of them.

mod parse;

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::Path;

pub(crate) use parse::parse;

use crate::language::{Diagnostic, Diagnostics, MAX_BYTES, Source};

/// Counts of calls, and where they come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile {
    /// What ran while calls were counted.
    pub workload: String,
    /// The kernel that it ran on.
    pub kernel: String,
    /// When, as `YYYY-MM-DD`.
    pub date: String,
    /// How often each call was made, by the kernel's name for it.
    pub counts: BTreeMap<String, u64>,
}

impl Profile {
    /// Reads the text of a profile; `name` is how messages call it.
    ///
    /// # Errors
    /// Everything that is wrong with the text, or that it is larger than any profile.
    pub fn from_text(name: &str, text: &str) -> Result<Self, Diagnostics> {
        if text.len() > MAX_BYTES {
            let title = format!("{name} is larger than {} MiB, which no profile is", MAX_BYTES >> 20);
            return Err(Diagnostics::new(vec![Diagnostic::unplaced(title)], Vec::new()));
        }
        let mut errors = Vec::new();
        let profile = parse(text, 0, &mut errors);
        let source = Source { name: name.to_owned(), shown: name.to_owned(), text: text.to_owned() };
        profile.ok_or_else(|| Diagnostics::first(errors, vec![source]))
    }

    /// Reads a profile from a file.
    ///
    /// # Errors
    /// A file that cannot be read, or everything that is wrong with its text.
    pub fn load(path: &Path) -> Result<Self, Diagnostics> {
        let shown = path.display().to_string();
        let mut text = String::new();
        // One byte more than is taken, so that a larger file shows.
        let read =
            File::open(path).and_then(|file| file.take(MAX_BYTES as u64 + 1).read_to_string(&mut text));
        read.map_err(|error| {
            let error = Diagnostic::unplaced(format!("cannot read the profile {shown}: {error}"));
            Diagnostics::new(vec![error.help("give the path of a .profile file")], Vec::new())
        })?;
        Self::from_text(&shown, &text)
    }

    /// The part of all counted calls that this one makes up, 0 to 1.
    #[expect(clippy::cast_precision_loss, reason = "a weight need not be exact")]
    pub fn share(&self, call: &str) -> f64 {
        let all: f64 = self.counts.values().map(|count| *count as f64).sum();
        let count = self.counts.get(call).copied().unwrap_or(0);
        if count == 0 { 0.0 } else { count as f64 / all }
    }
}

/// The text of the file, the most frequent call first.
impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { workload, kernel, date, counts } = self;
        write!(f, "workload {workload}\nkernel {kernel}\ndate {date}\n\n")?;
        let mut counts: Vec<_> = counts.iter().collect();
        counts.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
        counts.into_iter().try_for_each(|(call, count)| writeln!(f, "{call} {count}"))
    }
}
