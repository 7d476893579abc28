//! How a run is held and what is said about it: the options of every command that runs a machine.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use super::Outcome;
use super::observe::{ObserveArgs, Observed};
use crate::confine::{Fencing, OnViolation, Tier};
use crate::devices::ports::Extras;
use crate::report::{self, Ended, exit_code};
use crate::role::eyes::{self, Eyes};
use crate::role::main::ObserverError;
use crate::role::start::{self, IoThreads, Settings};
use crate::role::terminal;

/// Options about a run, whatever runs.
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
#[derive(Clone, Debug, Default, clap::Args)]
pub(super) struct ConductArgs {
    /// Which mechanism holds the threads
    #[arg(long, value_enum, default_value_t)]
    tier: Tier,
    /// What happens when a thread makes a call that its policy does not allow
    #[arg(long, value_enum, default_value_t)]
    on_violation: OnViolation,
    /// Which threads serve the devices
    #[arg(long, value_enum, default_value_t)]
    io_threads: IoThreads,
    /// Count which calls each thread makes, by perf tracepoints (needs root)
    #[arg(long)]
    count_calls: bool,
    /// Hold the threads by nothing, and count by event filters what each would have been refused (needs root)
    #[arg(long, conflicts_with_all = ["tier", "on_violation"])]
    observe: bool,
    /// Write the report as JSON to this file
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    #[command(flatten)]
    outlets: ObserveArgs,
    /// Say how the run ended as JSON instead of words and a table
    #[arg(long)]
    json: bool,
    /// Give the guest port 0xf4, at which a byte V ends the run with exit code 16 + (V & 63); for tests
    #[arg(long)]
    exit_port: bool,
    /// For tests: THREAD:CALL[:ARG,ARG…][@EXITS], a call that the fenced thread makes; CALL may be panic
    #[cfg(feature = "provoke")]
    #[arg(long, value_name = "DEED")]
    provoke: Option<crate::confine::provoke::Provocation>,
    /// For tests: a folder of learned policies, which hold their roles in place of the build's, of which they may allow a part
    #[cfg(feature = "provoke")]
    #[arg(long, value_name = "DIR")]
    learned: Option<PathBuf>,
}

/// Why a run did not come to be.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It could not start.
    #[error(transparent)]
    Start(#[from] start::Error),
    /// The log or the metrics.
    #[error(transparent)]
    Observe(#[from] ObserverError),
    /// The threads cannot be watched.
    #[error(transparent)]
    Eyes(#[from] eyes::Error),
    /// For tests: learned policies that cannot hold.
    #[cfg(feature = "provoke")]
    #[error("{0}")]
    Learned(String),
    /// The report file.
    #[error("cannot write the report to {}: {source}; name a file that can be made or changed", path.display())]
    Report {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
}

impl ConductArgs {
    /// Runs what `run` runs, and says what it came to. `count_calls`: whether or not the user asked for it. `keyboard`:
    /// the guest has one.
    ///
    /// # Errors
    /// See [`Error`]. Without an error this thread is fenced: it may do nothing but end the process. A report that could
    /// not be written is said, and makes the exit code an error's if it was 0.
    pub(super) fn run(
        &self,
        count_calls: bool,
        keyboard: bool,
        observed: Observed,
        run: impl FnOnce(Settings) -> Result<Ended, start::Error>,
    ) -> Result<Outcome, Error> {
        let report = self.report.as_deref().map(ReportFile::create).transpose()?;
        let made = report.as_ref().is_some_and(|report| report.made);
        let tier = if self.observe { Tier::None } else { self.tier };
        let eyes = self.observe.then(Eyes::look_up).transpose()?;
        let settings = Settings {
            eyes,
            fencing: Fencing { tier, on_violation: self.on_violation },
            extras: Extras { exit_port: self.exit_port, keyboard },
            io_threads: self.io_threads,
            boot_timer: observed.boot_timer,
            count_calls: self.count_calls || count_calls,
            json: self.json,
            report: report.map(|report| report.file),
            observer: self.outlets.observer(observed)?,
        };
        #[cfg(feature = "provoke")]
        self.provoke.clone().into_iter().for_each(crate::confine::provoke::set);
        #[cfg(feature = "provoke")]
        if let Some(folder) = &self.learned {
            crate::confine::provoke::hold_by_learned(folder, crate::role::policies::ALL)
                .map_err(Error::Learned)?;
        }
        // Before the fence: asking a terminal for its width is no call of main's policy.
        let width = table_width();
        let ended = run(settings).inspect_err(|_| {
            // An empty report would pass for one.
            if let Some(path) = self.report.as_deref().filter(|_| made) {
                let _ = fs::remove_file(path);
            }
        })?;
        self.print(&ended, width);
        let code = exit_code::of(&ended.cause);
        let code = match ended.outlets.write_report(|| format!("{:#}\n", report::json::report(&ended))) {
            Ok(()) => code,
            Err(errno) => {
                ended.outlets.say(&format!("ringfence: the report could not be written: {errno}\n"));
                if code == exit_code::GUEST_ENDED { exit_code::ERROR } else { code }
            }
        };
        terminal::restore_stdout();
        Ok(Outcome::Ended(code))
    }

    /// Standard output belongs to the guest, so all this goes to standard error.
    fn print(&self, ended: &Ended, width: u16) {
        let text = if self.json {
            format!("{}\n", report::json::report(ended))
        } else {
            format!("ringfence: {}\n{}", report::text::ending(ended), report::text::table(ended, width))
        };
        ended.outlets.say(&text);
    }
}

/// The file of `--report`, open and empty.
struct ReportFile {
    file: File,
    /// It was not there before.
    made: bool,
}

impl ReportFile {
    fn create(path: &Path) -> Result<Self, Error> {
        let refused = match File::create_new(path) {
            Ok(file) => return Ok(Self { file, made: true }),
            Err(error) => error,
        };
        let opened = match refused.kind() {
            // Emptied when there is something to write: a run that does not come to be leaves the older report.
            io::ErrorKind::AlreadyExists => File::options().write(true).open(path),
            _ => Err(refused),
        };
        opened
            .map(|file| Self { file, made: false })
            .map_err(|source| Error::Report { path: path.to_owned(), source })
    }
}

/// Columns of the table: the terminal's, within what a table can be read at.
fn table_width() -> u16 {
    rustix::termios::tcgetwinsize(rustix::stdio::stderr()).map_or(100, |size| size.ws_col).clamp(80, 100)
}
