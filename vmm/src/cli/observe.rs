//! What a run tells of itself while it lasts: options of every command that runs a machine, by Firecracker's names.

use std::path::PathBuf;

use crate::api::model::{Logger, Metrics};
use crate::observe::Level;
use crate::role::main::{MetricsFormat, Observer, ObserverError};

/// The log, and metrics.
#[derive(Clone, Debug, Default, clap::Args)]
pub(super) struct ObserveArgs {
    /// Add a log to this file or named pipe
    #[arg(long, value_name = "PATH")]
    log_path: Option<PathBuf>,
    /// What matters less is not logged: Off, Error, Warn, Info, Debug or Trace [default: Info]
    #[arg(long, value_name = "LEVEL")]
    level: Option<Level>,
    /// Show the level in each line
    #[arg(long)]
    show_level: bool,
    /// Show the place in the program in each line
    #[arg(long)]
    show_log_origin: bool,
    /// Log only what comes from modules of the program whose path begins with this
    #[arg(long, value_name = "PREFIX")]
    module: Option<String>,
    /// Write metrics to this file or named pipe: every minute, whenever a client asks, and at the end
    #[arg(long, value_name = "PATH")]
    metrics_path: Option<PathBuf>,
    /// How metrics are written
    #[arg(long, value_enum, default_value_t)]
    metrics_format: MetricsFormat,
}

/// What a run is called, and what a configuration file says of its log and metrics.
#[derive(Clone, Debug, Default)]
pub(super) struct Observed {
    /// The machine's name.
    pub(super) id: String,
    /// `logger`
    pub(super) logger: Option<Logger>,
    /// `metrics`
    pub(super) metrics: Option<Metrics>,
    /// The guest can say that it has started.
    pub(super) boot_timer: bool,
    /// How long the process took to come here, by the wall clock and in processor time, in microseconds; 0 where nobody said when
    /// it began.
    pub(super) startup_us: [u64; 2],
}

impl ObserveArgs {
    /// What is given on the command line wins.
    ///
    /// # Errors
    /// See [`ObserverError`].
    pub(super) fn observer(&self, observed: Observed) -> Result<Observer, ObserverError> {
        let Observed { id, logger, metrics, startup_us, boot_timer: _ } = observed;
        let mut observer = Observer::new(id, self.metrics_format, startup_us);
        observer.set_logger(logger.unwrap_or_default())?;
        observer.set_logger(Logger {
            log_path: self.log_path.clone(),
            level: self.level,
            show_level: self.show_level.then_some(true),
            show_log_origin: self.show_log_origin.then_some(true),
            module: self.module.clone(),
        })?;
        if let Some(path) =
            self.metrics_path.as_ref().or(metrics.as_ref().map(|metrics| &metrics.metrics_path))
        {
            observer.set_metrics(path)?;
        }
        Ok(observer)
    }
}
