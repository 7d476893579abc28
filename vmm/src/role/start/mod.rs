//! The birth of a run: descriptors, threads in their order, main's own fence last, then the gate opens. With an API its
//! thread comes first, and the machine when a client asks for it.

mod bells;
mod birth;
mod disks;
mod served;
mod wired;

use std::fs::File;
use std::io;

use rustix::io::Errno;

use self::birth::Birth;
use self::wired::Wired;
use super::api::{Socket, SocketError};
use super::calls::Points;
use super::devices::{self, Devices};
use super::eyes::Eyes;
use super::main::FenceError;
use super::main::{Moment, Monitor, Observer};
use super::{policies, terminal};
use crate::api::http::Limits;
use crate::api::model::Configuration;
use crate::confine::thread;
use crate::confine::{self, Fencing};
use crate::devices::ports::Extras;
use crate::machine::{BuildError, Config, Machine};
use crate::report::Ended;

/// How a run is held and watched.
#[derive(Debug)]
pub struct Settings {
    /// `--tier` and `--on-violation`.
    pub fencing: Fencing,
    /// Which ports the guest has beyond those of every machine.
    pub extras: Extras,
    /// Which threads serve the devices.
    pub io_threads: IoThreads,
    /// Whether the guest can say that it has started, for the log.
    pub boot_timer: bool,
    /// Whether the threads' calls are counted.
    pub count_calls: bool,
    /// The events of every role's policy, where the threads are to be watched and held by nothing.
    pub eyes: Option<Eyes>,
    /// Whether the user wants words or JSON, for the words that main says itself when it cannot go on.
    pub json: bool,
    /// An open file for the report, which main keeps.
    pub report: Option<File>,
    /// The log and metrics.
    pub observer: Observer,
}

/// Which threads serve the devices.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum IoThreads {
    /// One for all, and one for each disk for which a file or a client asks for that
    #[default]
    One,
    /// Each disk has a thread of its own beside it
    Disks,
}

/// The API of a run.
#[derive(Debug)]
pub struct Api {
    /// Where clients connect.
    pub socket: Socket,
    /// How large their requests may be.
    pub limits: Limits,
    /// What they find.
    pub machine: crate::api::Machine,
}

/// What a configuration that came by the API is as a machine, with its devices open; in words why it is none.
pub type Plan<'run> = &'run dyn Fn(Configuration) -> Result<(Config, Devices), String>;

/// Why a run did not come to be. No guest code has run.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The machine could not be built.
    #[error(transparent)]
    Machine(#[from] BuildError),
    /// A descriptor or a handler could not be made.
    #[error("{what} failed before the guest started: {source}{}", remedy(source))]
    Prepare {
        /// What was tried.
        what: &'static str,
        /// The system's reason.
        source: io::Error,
    },
    /// A device could not be wired.
    #[error(transparent)]
    Device(#[from] devices::Error),
    /// The API's socket.
    #[error(transparent)]
    Socket(#[from] SocketError),
    /// A thread could not be made or fenced.
    #[error(transparent)]
    Thread(#[from] thread::Error),
    /// Main could not be fenced.
    #[error("the main thread could not take on its role: {0}")]
    Main(#[from] confine::fence::Error),
    /// Main could not be fenced, or watch the others.
    #[error(transparent)]
    Monitor(#[from] FenceError),
}

/// Runs a machine to its end. Afterwards the calling thread is fenced: it may write its report and end the process
/// by [`confine::end_process`], after [`terminal::restore_stdout`], and nothing else. `devices`: as many as `config`
/// counts.
///
/// # Errors
/// See [`Error`]. After an error the calling thread is not fenced, but the process may have fenced threads, which
/// wait for its end.
pub fn run(config: &Config, devices: Devices, settings: Settings, api: Option<Api>) -> Result<Ended, Error> {
    confine::reserve::use_heap_alone();
    let started = Moment::now();
    let points = look_up_points(settings.count_calls);
    // Signals still do what they usually do: reading a large kernel can be interrupted.
    let machine = Machine::build(config)?;
    let birth = Birth::begin(settings, points, api, started)?;
    let result =
        Wired::new(machine, devices, &birth).and_then(|wired| birth.start(wired)).map(Monitor::attend);
    // Before the first message, which expects a terminal in its usual mode.
    terminal::restore();
    result
}

/// Serves an API until a client starts a machine, then runs that to its end. Afterwards the calling thread is fenced, as
/// after [`run`].
///
/// # Errors
/// As [`run`]. A machine that a client cannot start is no error of this: the client hears of it.
pub fn serve(api: Api, settings: Settings, plan: Plan<'_>) -> Result<Ended, Error> {
    confine::reserve::use_heap_alone();
    let points = look_up_points(settings.count_calls);
    let birth = Birth::begin(settings, points, Some(api), Moment::now())?;
    let result = birth.serve(plan);
    terminal::restore();
    result
}

fn look_up_points(wanted: bool) -> Result<Points, String> {
    if !wanted {
        return Err("not asked for; --count-calls does".into());
    }
    Points::look_up(policies::ALL.iter().flat_map(|policy| policy.calls.iter().map(|&(_, name)| name)))
        .map_err(|error| error.to_string())
}

fn remedy(error: &io::Error) -> &'static str {
    match Errno::from_io_error(error) {
        Some(Errno::MFILE) => "; raise the limit of open files (ulimit -n)",
        Some(Errno::NFILE) => "; the whole system has too many open files (/proc/sys/fs/file-max)",
        _ => "",
    }
}

fn prepare<T, E: Into<io::Error>>(what: &'static str, result: Result<T, E>) -> Result<T, Error> {
    result.map_err(|source| Error::Prepare { what, source: source.into() })
}
