//! What confinement costs on this machine: `ringfence bench`.
//!
//! [`method`] says how anything is measured, [`experiment`] what. A [`worker`] is a process that measures for a while; several
//! of them, one after the other, are a run, and [`findings`] what comes out.

pub mod calls;
pub mod confining;
pub mod environment;
pub mod event;
pub mod exchange;
pub mod exit_path;
pub mod experiment;
pub mod findings;
pub mod method;
pub mod run;
pub mod runs;
pub mod thread;
pub mod variant;
pub mod worker;

use std::io;
use std::process::ExitStatus;

use seccomp_policies::compile;
use seccomp_policies::language::Diagnostics;
use serde::{Deserialize, Serialize};

use crate::confine::{install, table};
use crate::machine::BuildError;
use crate::machine::kvm::KvmError;
use crate::tracepoint;

/// Why something could not be measured.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No KVM.
    #[error(transparent)]
    Kvm(#[from] KvmError),
    /// No machine.
    #[error("cannot build a machine to measure: {0}")]
    Machine(#[from] Box<BuildError>),
    /// KVM answers no port by an eventfd.
    #[error("cannot have KVM answer a port by an eventfd (KVM_IOEVENTFD): {0}")]
    IoEvent(kvm_ioctls::Error),
    /// A descriptor could not be made.
    #[error("cannot make a descriptor to measure: {0}")]
    Descriptor(io::Error),
    /// The kernel does not say what it holds.
    #[error("cannot read what memory the kernel holds (/proc/meminfo): {0}")]
    Memory(procfs::ProcError),
    /// No thread.
    #[error("cannot start a measuring thread: {0}")]
    Spawn(io::Error),
    /// It could not be kept on a processor.
    #[error("cannot keep a measuring thread on one processor (sched_setaffinity): {0}")]
    Processor(io::Error),
    /// No table of its own.
    #[error(transparent)]
    Table(#[from] table::Error),
    /// The vCPU's page could not be mapped.
    #[error("cannot map a vCPU's kvm_run: {0}")]
    Vcpu(kvm_ioctls::Error),
    /// No filter.
    #[error(transparent)]
    Install(#[from] install::Error),
    /// The guest does something else than it is there for.
    #[error("the guest `exits` left by something else than it should: {0}")]
    Guest(&'static str),
    /// The guest-free call was not refused as it should be.
    #[error("KVM_RUN with a non-zero argument gave {result} (errno {errno}) instead of EINVAL")]
    NotRefused {
        /// What it returned.
        result: i32,
        /// The error number.
        errno: i32,
    },
    /// A call that is measured failed.
    #[error("{call} failed (errno {errno})")]
    Call {
        /// Its name.
        call: &'static str,
        /// The error number.
        errno: i32,
    },
    /// It moved fewer bytes than it was asked for.
    #[error("{0} moved fewer bytes than asked for")]
    Short(&'static str),
    /// The embedded policy does not hold, which the build excludes.
    #[error("the policy does not hold:\n{0}")]
    Check(Box<Diagnostics>),
    /// A backend does not take a policy.
    #[error("a policy to compare with cannot be compiled: {0}")]
    Compile(#[from] compile::Error),
    /// No tracepoints.
    #[error(transparent)]
    Tracepoint(#[from] tracepoint::Error),
    /// The policy has no event for the call.
    #[error("the policy has no filter for the event of ioctl")]
    NoEvent,
    /// An event could not be opened.
    #[error("cannot open an event with a filter (perf_event_open): {0}")]
    Event(io::Error),
    /// No supervisor.
    #[error("cannot put a thread under a supervisor (SECCOMP_FILTER_FLAG_NEW_LISTENER): {0}")]
    Supervisor(io::Error),
    /// No tracer.
    #[error("cannot trace a thread (ptrace): {0}")]
    Tracer(io::Error),
    /// A run of this program did not do what it is there for.
    #[error("a run of this program to measure failed: {0}")]
    Run(io::Error),
    /// There is no such experiment.
    #[error("there is no such experiment; `ringfence bench --list` names them")]
    Unknown,
    /// An order or an answer of a measuring process is garbled.
    #[error("cannot talk with a measuring process: {0}")]
    Order(serde_json::Error),
    /// Nobody hears what was found.
    #[error("cannot tell what was measured: {0}")]
    Answer(io::Error),
    /// A measuring process could not be started or heard.
    #[error("cannot start a process that measures, or hear it: {0}")]
    Worker(io::Error),
    /// It ended without an answer.
    #[error("a process that measures ended with {0}")]
    Ended(ExitStatus),
    /// What went wrong in it.
    #[error("{}", .0.0)]
    Remote(Remote),
}

/// The text of an error in another process.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Remote(String);
