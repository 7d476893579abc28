//! `ringfence firecracker`, and the program called as `firecracker`: Firecracker's command line, so that a client that
//! starts that can be pointed at this.

use std::ffi::OsString;
use std::io::{self, Write as _};
use std::path::PathBuf;

use rustix::time::ClockId;

use super::Outcome;
use super::api;
use super::conduct::ConductArgs;
use super::observe::Observed;
use super::run;
use super::socket::SocketArgs;
use crate::api::http::{BODY_BYTES, Limits};
use crate::api::machine::DEFAULT_ID;
use crate::api::version;

/// Arguments, as Firecracker names them.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = EXAMPLES, disable_version_flag = true)]
pub struct Args {
    /// The Unix socket to make and to serve
    #[arg(long, value_name = "PATH", default_value = "/run/firecracker.socket")]
    api_sock: PathBuf,
    /// The machine's name, as GET / says it
    #[arg(long, value_name = "ID", default_value = DEFAULT_ID, value_parser = id)]
    id: String,
    /// Start the machine of this file at once
    #[arg(long, value_name = "FILE")]
    config_file: Option<PathBuf>,
    /// Serve no API; needs --config-file
    #[arg(long, requires = "config_file")]
    no_api: bool,
    /// Bytes of a request's body at most
    #[arg(long, value_name = "BYTES", default_value_t = BODY_BYTES)]
    http_api_max_payload_size: usize,
    /// Log how long the guest took until it wrote the byte 123 to address 0xc0000000
    #[arg(long)]
    boot_timer: bool,
    /// Print versions
    #[arg(long)]
    version: bool,
    /// Microseconds of the monotonic clock at which the starting program began, for metrics
    #[arg(long, value_name = "US")]
    start_time_us: Option<u64>,
    /// Microseconds of processor time that this process had used when it was started, for metrics
    #[arg(long, value_name = "US")]
    start_time_cpu_us: Option<u64>,
    /// The starting program's own processor time in microseconds, for metrics
    #[arg(long, value_name = "US")]
    parent_cpu_time_us: Option<u64>,
    #[command(flatten)]
    absent: Absent,
    #[command(flatten)]
    socket: SocketArgs,
    #[command(flatten)]
    conduct: ConductArgs,
}

/// What Firecracker takes and this program refuses, with a sentence.
#[derive(Clone, Debug, clap::Args)]
struct Absent {
    /// Refused: --tier none, or ringfence policy
    #[arg(long)]
    no_seccomp: bool,
    /// Refused: the filters are part of the program
    #[arg(long, value_name = "FILE")]
    seccomp_filter: Option<PathBuf>,
    /// Not there yet
    #[arg(long, value_name = "FILE")]
    metadata: Option<PathBuf>,
    /// Not there yet
    #[arg(long, value_name = "BYTES")]
    mmds_size_limit: Option<usize>,
    /// Not there yet
    #[arg(long)]
    enable_pci: bool,
    /// Not there yet
    #[arg(long, value_name = "FILE")]
    describe_snapshot: Option<PathBuf>,
    /// Not there yet
    #[arg(long)]
    snapshot_version: bool,
}

const EXAMPLES: &str = "\
Examples:
  ringfence firecracker --version
  ringfence firecracker --api-sock /tmp/fc.sock --id vm1
  ringfence firecracker --no-api --config-file machine.json
  ln -s ringfence firecracker && ./firecracker --api-sock /tmp/fc.sock

docs/api.md says what is there of Firecracker's API. Exit codes: those of `run`.";

/// Why `firecracker` failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An option that this program does not have.
    #[error("{option} is refused: {instead}")]
    Refused {
        /// The option.
        option: &'static str,
        /// Why, and what to use instead.
        instead: &'static str,
    },
    /// With an API alone.
    #[error(transparent)]
    Api(#[from] api::Error),
    /// With a configuration file.
    #[error(transparent)]
    Run(#[from] run::Error),
}

/// Does what Firecracker would.
///
/// # Errors
/// See [`Error`].
pub fn run(args: &Args) -> Result<Outcome, Error> {
    if args.version {
        let ours = env!("CARGO_PKG_VERSION");
        // If nobody reads there, nobody reads. Clients take the first line.
        let _ =
            writeln!(io::stdout(), "Firecracker v{}\n\nringfence {ours}, in its place", version::FIRECRACKER);
        return Ok(Outcome::Done);
    }
    if let Some((option, instead)) = args.absent.first() {
        return Err(Error::Refused { option, instead });
    }
    let limits = Limits { body: args.http_api_max_payload_size };
    let observed = Observed {
        id: args.id.clone(),
        startup_us: args.startup_us(),
        boot_timer: args.boot_timer,
        ..Observed::default()
    };
    let Some(file) = &args.config_file else {
        return Ok(api::serve(&args.api_sock, args.socket, observed, limits, &args.conduct)?);
    };
    let socket = (!args.no_api).then_some((args.api_sock.as_path(), args.socket));
    Ok(run::run_file(file, socket, observed, limits, &args.conduct)?)
}

impl Args {
    /// Reads the command line of a program that is called `firecracker`. Ends the process where it is none, as a parser does.
    pub(super) fn read(arguments: impl IntoIterator<Item = OsString>) -> Self {
        let command = <Self as clap::Args>::augment_args(clap::Command::new("firecracker"))
            .about("ringfence by Firecracker's own command line")
            .max_term_width(100);
        let matches = command.get_matches_from(arguments);
        <Self as clap::FromArgMatches>::from_arg_matches(&matches).unwrap_or_else(|error| error.exit())
    }

    /// How long it took to come here, as Firecracker's metrics have it: by the monotonic clock, and in processor time, the starting
    /// program's included. 0 where nobody said when it began.
    fn startup_us(&self) -> [u64; 2] {
        let now = |clock| {
            let time = rustix::time::clock_gettime(clock);
            let microseconds = time.tv_sec.saturating_mul(1_000_000).saturating_add(time.tv_nsec / 1000);
            u64::try_from(microseconds).unwrap_or(0)
        };
        let wall = self.start_time_us.map(|began| now(ClockId::Monotonic).saturating_sub(began));
        let processor = self.start_time_cpu_us.map(|began| {
            let used = now(ClockId::ProcessCPUTime).saturating_sub(began);
            used.saturating_add(self.parent_cpu_time_us.unwrap_or(0))
        });
        [wall.unwrap_or(0), processor.unwrap_or(0)]
    }
}

impl Absent {
    /// The first that was given, and what to do instead.
    fn first(&self) -> Option<(&'static str, &'static str)> {
        const MMDS: &str = "there is no metadata service (MMDS) yet; leave it out";
        const SNAPSHOTS: &str = "there are no snapshots yet; leave it out";
        let options = [
            (
                self.no_seccomp,
                "--no-seccomp",
                "every thread runs under a filter here; --tier none takes them all away, for comparison",
            ),
            (
                self.seccomp_filter.is_some(),
                "--seccomp-filter",
                "the filters are compiled and proved with the program; `ringfence policy` reads such a file, and \
                 --on-violation says what a refusal does",
            ),
            (self.metadata.is_some(), "--metadata", MMDS),
            (self.mmds_size_limit.is_some(), "--mmds-size-limit", MMDS),
            (self.enable_pci, "--enable-pci", "devices are on MMIO here; leave it out"),
            (self.describe_snapshot.is_some(), "--describe-snapshot", SNAPSHOTS),
            (self.snapshot_version, "--snapshot-version", SNAPSHOTS),
        ];
        options.into_iter().find(|&(given, ..)| given).map(|(_, option, instead)| (option, instead))
    }
}

/// Firecracker's rule: 1 to 64 letters, digits and hyphens.
fn id(text: &str) -> Result<String, &'static str> {
    let allowed = text.chars().all(|character| character.is_ascii_alphanumeric() || character == '-');
    let fits = allowed && (1..=64).contains(&text.len());
    fits.then(|| text.to_owned()).ok_or("an ID is 1 to 64 letters, digits and hyphens")
}

#[cfg(test)]
mod tests {
    use super::id;

    #[test]
    fn an_id_is_what_firecracker_takes_for_one() {
        assert!(id("vm-1").is_ok() && id(&"x".repeat(64)).is_ok());
        assert!(id("").is_err() && id("a_b").is_err() && id(&"x".repeat(65)).is_err());
    }
}
