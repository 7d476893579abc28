//! `ringfence api`: a machine that a client configures and starts.

use std::path::{Path, PathBuf};

use super::Outcome;
use super::conduct::{self, ConductArgs};
use super::observe::Observed;
use super::run;
use super::run_config::RunConfig;
use super::socket::SocketArgs;
use crate::api::Machine;
use crate::api::http::Limits;
use crate::api::machine::DEFAULT_ID;
use crate::api::model::Configuration;
use crate::machine::Config;
use crate::role::api::SocketError;
use crate::role::devices::Devices;
use crate::role::start::{self, Api};

/// Arguments of `api`.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The Unix socket to make and to serve
    #[arg(long, value_name = "PATH")]
    sock: PathBuf,
    #[command(flatten)]
    socket: SocketArgs,
    #[command(flatten)]
    conduct: ConductArgs,
}

const EXAMPLES: &str = "\
Examples:
  ringfence api --sock /run/ringfence.sock --sock-mode 0660
  curl --unix-socket /run/ringfence.sock http://localhost/
  curl --unix-socket /run/ringfence.sock -X PUT http://localhost/boot-source \\
      -d '{\"kernel_image_path\": \"vmlinux\", \"boot_args\": \"console=ttyS0\"}'
  curl --unix-socket /run/ringfence.sock -X PUT http://localhost/actions \\
      -d '{\"action_type\": \"InstanceStart\"}'

docs/api.md says what can be asked, and when. The socket's file is left behind at the end.
Exit codes: those of `run`; a signal ends the run also before a machine was started.";

/// Why `api` failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The socket.
    #[error(transparent)]
    Socket(#[from] SocketError),
    /// How the run is held, or its report.
    #[error(transparent)]
    Conduct(#[from] conduct::Error),
}

/// Serves the API, and runs the machine to its end.
///
/// # Errors
/// See [`Error`]; otherwise as [`run::run`].
pub fn run(args: &Args) -> Result<Outcome, Error> {
    let observed = Observed { id: DEFAULT_ID.to_owned(), ..Observed::default() };
    serve(&args.sock, args.socket, observed, Limits::default(), &args.conduct)
}

/// The same for whoever has these by another command line.
pub(super) fn serve(
    path: &Path,
    socket: SocketArgs,
    observed: Observed,
    limits: Limits,
    conduct: &ConductArgs,
) -> Result<Outcome, Error> {
    let api = Api { socket: socket.bind(path)?, limits, machine: Machine::new(observed.id.clone()) };
    Ok(conduct.run(false, true, observed, |settings| start::serve(api, settings, &plan))?)
}

/// The machine that a client has configured, with its devices open.
fn plan(configuration: Configuration) -> Result<(Config, Devices), String> {
    let configured = RunConfig::of(configuration)?;
    run::plan(&run::Args::with_keyboard(), &configured).map_err(|error| error.to_string())
}
