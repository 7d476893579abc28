//! `ringfence policy fmt`.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use seccomp_policies::{import, language};

use super::{Error, input};
use crate::cli::{Outcome, output};

const EXAMPLES: &str = "\
Files are replaced in one step, and left alone where nothing changes.

Exit codes: 0 done; 1 a text cannot be read or parsed, or with --check would change.

Examples:
  ringfence policy fmt seccomp-policies/policies/*.policy
  ringfence policy fmt --check vcpu.policy
  ringfence policy fmt - < vcpu.policy";

/// Lines of a difference that are shown.
const SHOWN_LINES: usize = 12;

/// Arguments of `policy fmt`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// The policies; - reads one from standard input and writes it to standard output
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Change nothing; show what is laid out differently, and exit with 1 if anything is
    #[arg(long)]
    check: bool,
}

pub(super) fn run(args: &Args) -> Result<Outcome, Error> {
    let mut outcome = Outcome::Done;
    for file in &args.files {
        if format(file, args.check)? == Outcome::Deficient {
            outcome = Outcome::Deficient;
        }
    }
    Ok(outcome)
}

fn format(file: &Path, check: bool) -> Result<Outcome, Error> {
    let from_input = input::is_standard_input(file);
    let name = input::shown(file);
    let text = read(file).map_err(|source| Error::Read { path: name.clone().into(), source })?;
    let formatted = match language::format(&name, &text) {
        Ok(formatted) => formatted,
        Err(findings) => {
            output::show(&findings);
            return Ok(Outcome::Deficient);
        }
    };
    if check {
        if formatted == text {
            return Ok(Outcome::Done);
        }
        output::print(difference(&name, &text, &formatted).as_bytes())?;
        return Ok(Outcome::Deficient);
    }
    if from_input {
        output::print(formatted.as_bytes())?;
    } else if formatted != text {
        output::replace(file, formatted.as_bytes())?;
    }
    Ok(Outcome::Done)
}

/// The text of a file or of standard input, if it is one and of a policy's size.
fn read(file: &Path) -> io::Result<String> {
    let mut bytes = Vec::new();
    if input::is_standard_input(file) {
        bytes = input::standard_input(input::MOST)?;
    } else {
        File::open(file)?.take(input::MOST).read_to_end(&mut bytes)?;
    }
    if bytes.len() > import::MAX_BYTES {
        return Err(io::Error::other(format!("it is larger than {} MiB", import::MAX_BYTES >> 20)));
    }
    String::from_utf8(bytes).map_err(|_| io::Error::other("it is not UTF-8 text"))
}

/// The part of a file that would change, as it is and as it would be.
fn difference(name: &str, old: &str, new: &str) -> String {
    let old: Vec<_> = old.split_inclusive('\n').collect();
    let new: Vec<_> = new.split_inclusive('\n').collect();
    let same_before = old.iter().zip(&new).take_while(|(old, new)| old == new).count();
    let (old_rest, new_rest) = (&old[same_before..], &new[same_before..]);
    let same_after =
        old_rest.iter().rev().zip(new_rest.iter().rev()).take_while(|(old, new)| old == new).count();
    let mut text = format!("{name}:{}: laid out differently\n", same_before + 1);
    for (sign, lines) in [('-', old_rest), ('+', new_rest)] {
        let changed = &lines[..lines.len() - same_after];
        for line in changed.iter().take(SHOWN_LINES) {
            text.push(sign);
            text.push_str(line.strip_suffix('\n').unwrap_or(line));
            text.push('\n');
        }
        if changed.len() > SHOWN_LINES {
            writeln!(text, "{sign}({} more)", changed.len() - SHOWN_LINES)
                .expect("a string takes everything");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::difference;

    #[test]
    fn a_difference_shows_the_changed_lines_alone_and_where_they_begin() {
        let text = difference("x.policy", "a\nb \nc\nd\n", "a\nb\nc\nd\n");
        assert_eq!(text, "x.policy:2: laid out differently\n-b \n+b\n");
    }

    #[test]
    fn a_difference_of_lines_taken_away_at_the_end_is_shown() {
        assert_eq!(difference("x", "a\n\n\n", "a\n"), "x:2: laid out differently\n-\n-\n");
    }

    #[test]
    fn a_long_difference_says_how_much_is_left_out() {
        let old = "x\n".repeat(20);
        let text = difference("x", &old, &"y\n".repeat(20));
        assert!(text.contains("-(8 more)\n") && text.contains("+(8 more)\n"), "{text}");
    }
}
