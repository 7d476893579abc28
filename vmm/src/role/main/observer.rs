//! The log and the metrics, which main alone writes: it has the files.
#![forbid(unsafe_code)]

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::os::fd::RawFd;
use std::panic::Location;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::api::model::Logger;
use crate::confine::Slot;
use crate::observe::{Group, Level, Line, Outlet, Value, firecracker, prometheus};

/// Time between two flushes of the metrics: Firecracker's.
const FLUSH_EVERY: Duration = Duration::from_mins(1);

/// How metrics are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum MetricsFormat {
    /// Firecracker's: a line of JSON each time, added to the file
    #[default]
    Json,
    /// Prometheus' text form, in the place of what the file had before
    Prometheus,
}

/// Why there is no log, or no metrics.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file.
    #[error("cannot write the {what} to {}: {source}; name a file that can be made or added to, or a named pipe", path.display())]
    Open {
        /// `log` or `metrics`.
        what: &'static str,
        /// The path.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// Metrics have one file.
    #[error("metrics are written already, and to one file alone")]
    Twice,
}

/// What a run tells of itself while it lasts.
#[derive(Debug)]
pub struct Observer {
    instance: String,
    logger: Logger,
    log: Option<Outlet>,
    metrics: Option<Outlet>,
    format: MetricsFormat,
    told: firecracker::Told,
    flushed: Instant,
    /// Lines that the log's file did not take.
    missed_lines: u64,
    missed_metrics: u64,
    flushes: u64,
    /// Requests by method and resource: how many, and how many of them were refused.
    requests: BTreeMap<(&'static str, &'static str), [u64; 2]>,
    /// How long the last pause and the last resumption took, in microseconds.
    latencies: BTreeMap<&'static str, u64>,
    startup: [u64; 2],
    refused_requests: u64,
}

impl Observer {
    /// One that writes nothing yet. `startup`: how long the process took to come here, by the wall clock and in processor time, in
    /// microseconds.
    pub fn new(instance: String, format: MetricsFormat, startup: [u64; 2]) -> Self {
        Self {
            instance,
            logger: Logger::default(),
            log: None,
            metrics: None,
            format,
            told: firecracker::Told::default(),
            flushed: Instant::now(),
            missed_lines: 0,
            missed_metrics: 0,
            flushes: 0,
            requests: BTreeMap::new(),
            latencies: BTreeMap::new(),
            startup,
            refused_requests: 0,
        }
    }

    /// Sets what of it is given about the log.
    ///
    /// # Errors
    /// [`Error::Open`]
    pub fn set_logger(&mut self, logger: Logger) -> Result<(), Error> {
        if let Some(path) = &logger.log_path {
            self.log = Some(open("log", path, true)?);
        }
        let present = std::mem::take(&mut self.logger);
        self.logger = Logger {
            log_path: logger.log_path.or(present.log_path),
            level: logger.level.or(present.level),
            show_level: logger.show_level.or(present.show_level),
            show_log_origin: logger.show_log_origin.or(present.show_log_origin),
            module: logger.module.or(present.module),
        };
        Ok(())
    }

    /// Says where metrics go.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn set_metrics(&mut self, path: &Path) -> Result<(), Error> {
        if self.metrics.is_some() {
            return Err(Error::Twice);
        }
        self.metrics = Some(open("metrics", path, self.format == MetricsFormat::Json)?);
        self.flushed = Instant::now();
        Ok(())
    }

    /// The numbers of the log's file and the metrics', for main's slots.
    pub fn numbers(&self) -> [Option<RawFd>; 2] {
        [&self.log, &self.metrics].map(|outlet| outlet.as_ref().map(Outlet::number))
    }

    /// They lie at these slots now.
    pub fn lie_at(&mut self, [log, metrics]: [Slot; 2]) {
        self.log.iter_mut().for_each(|outlet| outlet.lies_at(log));
        self.metrics.iter_mut().for_each(|outlet| outlet.lies_at(metrics));
    }

    /// A line about main.
    #[track_caller]
    pub fn log(&mut self, level: Level, words: fmt::Arguments) {
        self.log_about("rf-main", level, words);
    }

    /// A line about a thread.
    #[track_caller]
    pub fn log_about(&mut self, thread: &str, level: Level, words: fmt::Arguments) {
        let Some(log) = &self.log else { return };
        let origin = Location::caller();
        let logger = &self.logger;
        let is_wanted = level <= logger.level.unwrap_or_default()
            && logger.module.as_ref().is_none_or(|module| module_of(origin.file()).starts_with(module));
        if !is_wanted {
            return;
        }
        let line = Line {
            time: SystemTime::now(),
            instance: &self.instance,
            thread,
            level: logger.show_level.unwrap_or(false).then_some(level),
            origin: logger.show_log_origin.unwrap_or(false).then_some(origin),
            words,
        };
        self.missed_lines += u64::from(!log.write(line.to_string().as_bytes()));
    }

    /// A request came, by Firecracker's name for its resource, and was refused or not.
    pub fn count_request(&mut self, (method, resource): (&'static str, &'static str), refused: bool) {
        let counts = self.requests.entry((method, resource)).or_default();
        counts[0] += 1;
        counts[1] += u64::from(refused);
    }

    /// Requests that were refused for their form, before anybody knew what they are about.
    pub fn count_refused(&mut self, requests: u64) {
        self.refused_requests += requests;
    }

    /// Something took so long.
    pub fn took(&mut self, what: &'static str, time: Duration) {
        self.latencies.insert(what, u64::try_from(time.as_micros()).unwrap_or(u64::MAX));
    }

    /// How long until the metrics are to be flushed; `None` where there are none.
    pub fn next_flush(&self) -> Option<Duration> {
        self.metrics.as_ref().map(|_| FLUSH_EVERY.saturating_sub(self.flushed.elapsed()))
    }

    /// Whether there are metrics.
    pub fn has_metrics(&self) -> bool {
        self.metrics.is_some()
    }

    /// Writes the metrics: what is counted here, and the groups of others. False if there is no file, or it did not take them.
    pub fn flush(&mut self, others: impl FnOnce() -> Vec<Group>) -> bool {
        self.flushed = Instant::now();
        if self.metrics.is_none() {
            return false;
        }
        self.flushes += 1;
        let mut groups = self.groups();
        groups.extend(others());
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let time = u64::try_from(since.as_millis()).unwrap_or(u64::MAX);
        let (told, format) = (&mut self.told, self.format);
        let taken = self.metrics.as_ref().is_some_and(|metrics| match format {
            MetricsFormat::Json => metrics.write(told.line(time, &groups).as_bytes()),
            MetricsFormat::Prometheus => metrics.replace(prometheus::text(time, &groups).as_bytes()),
        });
        self.missed_metrics += u64::from(!taken);
        taken
    }

    fn groups(&self) -> Vec<Group> {
        let mut groups = vec![
            Group::new(
                "api_server",
                [
                    ("process_startup_time_us", Value::Is(self.startup[0])),
                    ("process_startup_time_cpu_us", Value::Is(self.startup[1])),
                    ("refused_requests_count", Value::Count(self.refused_requests)),
                ],
            ),
            Group::new("latencies_us", self.latencies.iter().map(|(name, time)| (*name, Value::Is(*time)))),
            Group::new(
                "logger",
                [
                    ("missed_log_count", Value::Count(self.missed_lines)),
                    ("missed_metrics_count", Value::Count(self.missed_metrics)),
                    ("metrics_flushes_count", Value::Count(self.flushes)),
                ],
            ),
        ];
        for (method, subject) in
            [("GET", "get_api_requests"), ("PUT", "put_api_requests"), ("PATCH", "patch_api_requests")]
        {
            let of_method = self.requests.iter().filter(|((asked, _), _)| *asked == method);
            let values = of_method.flat_map(|((_, resource), [count, fails])| {
                [
                    (format!("{resource}_count"), Value::Count(*count)),
                    (format!("{resource}_fails"), Value::Count(*fails)),
                ]
            });
            groups.push(Group::new(subject, values));
        }
        groups
    }
}

fn open(what: &'static str, path: &Path, appends: bool) -> Result<Outlet, Error> {
    Outlet::open(path, appends).map_err(|source| Error::Open { what, path: path.to_owned(), source })
}

/// The module of a source file: `vmm/src/role/main/mod.rs` is `ringfence::role::main`.
fn module_of(file: &str) -> String {
    let path = file.rsplit_once("src/").map_or(file, |(_, path)| path);
    let path = path.trim_end_matches(".rs").trim_end_matches("/mod");
    format!("ringfence::{}", path.replace('/', "::"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_module_is_named_by_its_file() {
        assert_eq!(module_of("vmm/src/role/main/mod.rs"), "ringfence::role::main");
        assert_eq!(module_of("/x/vmm/src/role/main/observer.rs"), "ringfence::role::main::observer");
    }

    fn observer(logger: Logger, path: &Path) -> Observer {
        let mut observer = Observer::new("vm".into(), MetricsFormat::Json, [1, 2]);
        observer.set_logger(Logger { log_path: Some(path.to_owned()), ..Logger::default() }).unwrap();
        observer.set_logger(logger).unwrap();
        observer
    }

    #[test]
    fn lines_are_those_that_are_wanted() {
        let folder = tempfile::tempdir().unwrap();
        let lines = |name: &str, logger| {
            let path = folder.path().join(name);
            let mut observer = observer(logger, &path);
            observer.log(Level::Error, format_args!("one"));
            observer.log(Level::Debug, format_args!("two"));
            observer.log_about("rf-io", Level::Info, format_args!("three"));
            let text = std::fs::read_to_string(path).unwrap();
            text.lines().map(|line| line.split_once(' ').unwrap().1.to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(lines("default", Logger::default()), ["[vm:rf-main] one", "[vm:rf-io] three"]);
        let all = Logger { level: Some(Level::Trace), show_level: Some(true), ..Logger::default() };
        assert_eq!(
            lines("all", all),
            ["[vm:rf-main:ERROR] one", "[vm:rf-main:DEBUG] two", "[vm:rf-io:INFO] three"]
        );
        let here = Logger { module: Some("ringfence::role::main".into()), ..Logger::default() };
        assert_eq!(lines("here", here).len(), 2);
        let elsewhere = Logger { module: Some("ringfence::devices".into()), ..Logger::default() };
        assert_eq!(lines("elsewhere", elsewhere), [""; 0]);
    }

    #[test]
    fn a_full_disk_is_counted_and_nothing_else() {
        let mut full = observer(Logger::default(), Path::new("/dev/full"));
        full.log(Level::Error, format_args!("one"));
        assert_eq!(full.missed_lines, 1);
        assert!(!full.flush(Vec::new), "there is no file for metrics");
        full.set_metrics(Path::new("/dev/full")).unwrap();
        assert!(matches!(full.set_metrics(Path::new("/dev/null")), Err(Error::Twice)));
        assert!(!full.flush(Vec::new));
        assert_eq!(full.missed_metrics, 1);
    }
}
