//! `ringfence policy compile`.

use std::borrow::Cow;
use std::io::{self, IsTerminal};
use std::path::PathBuf;

use seccomp_policies::compile::{self, bitmask, optimize, reference, widen, with_otherwise};
use seccomp_policies::export::{self, Listing};
use seccomp_policies::language::Policy;
use seccomp_policies::profile::Profile;
use seccomp_policies::prove::prove;
use seccomp_policies::{embed, import};

use super::Error;
use super::events::EventListing;
use super::input::{self, Reading};
use crate::cli::{Outcome, output};

const EXAMPLES: &str = "\
Every program is proved to mean the policy before it is written. What a foreign policy says and no \
program of ours can is an error; with --lossy it is a warning.

Exit codes: 0 it was written; 1 it was not.

Examples:
  ringfence policy compile vcpu.policy
  ringfence policy compile vcpu.policy --weights uniform
  ringfence policy compile vcpu.policy --backend bitmask --on-violation log
  ringfence policy compile vcpu.policy --format bytes -o vcpu.bpf
  ringfence policy compile vcpu.policy --format json --target aarch64
  ringfence policy compile vcpu.policy --format firecracker -o seccomp.json
  ringfence policy compile seccomp.json --role vcpu --kernel-widths
  ringfence policy compile filter.bpf --format bytes -o faster.bpf
  ringfence policy compile vcpu.policy --backend event-filter";

/// Arguments of `policy compile`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// The policy, of any format; a program is compiled again. - reads standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// What makes the program
    #[arg(long, value_enum, default_value_t)]
    backend: Backend,
    /// How often calls are made, for the optimizing backend
    #[arg(long, value_enum, default_value_t)]
    weights: Weights,
    /// What the program is written as
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// What happens to a call that no rule speaks of [default: what the policy says]
    #[arg(long, value_enum, value_name = "ACTION")]
    on_violation: Option<OnViolation>,
    /// Write the program here instead of to standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    reading: Reading,
}

#[derive(Clone, Copy, Debug, Default, clap::ValueEnum)]
enum Backend {
    /// The whole policy, for the fewest instructions executed
    #[default]
    Optimizing,
    /// The whole policy, by seccompiler
    Reference,
    /// Call numbers alone: what a rule may allow is allowed whatever the arguments
    Bitmask,
    /// No program: tracing events and filters that let violations alone through, and refuse nothing
    EventFilter,
}

impl Backend {
    const fn name(self) -> &'static str {
        match self {
            Self::Optimizing => "optimizing",
            Self::Reference => "reference",
            Self::Bitmask => "bitmask",
            Self::EventFilter => "event-filter",
        }
    }
}

#[derive(Clone, Copy, Debug, Default, clap::ValueEnum)]
enum Weights {
    /// All alike, for a kernel without the action cache (before 5.11)
    Uniform,
    /// As the policy's profile says, for a kernel without the action cache
    Profile,
    /// For a kernel with the action cache: of the calls that it leaves to the program, as the policy's profile says, or
    /// all alike if there is none
    #[default]
    CacheAware,
}

#[derive(Clone, Copy, Debug, Default, clap::ValueEnum)]
enum Format {
    /// A line for each instruction, with names; a line for each event, with its filter
    #[default]
    Disassembly,
    /// What the kernel reads: 8 bytes an instruction, in this machine's byte order
    #[value(alias = "raw")]
    Bytes,
    /// One object with every instruction, its text and its names; or with every event
    Json,
    /// The elements of a C array
    C,
    /// A C header with the array
    Header,
    /// A Rust constant of the libc crate's type
    Rust,
    /// No program: the policy as Firecracker's JSON
    Firecracker,
    /// No program: the policy as an OCI profile, as Docker takes it
    Oci,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum OnViolation {
    /// The thread gets SIGSYS
    Trap,
    /// The kernel ends the process
    Kill,
    /// The call fails with EPERM
    Errno,
    /// The call is carried out and logged
    Log,
}

impl From<OnViolation> for embed::OnViolation {
    fn from(on_violation: OnViolation) -> Self {
        match on_violation {
            OnViolation::Trap => Self::Trap,
            OnViolation::Kill => Self::Kill,
            OnViolation::Errno => Self::Errno,
            OnViolation::Log => Self::Log,
        }
    }
}

pub(super) fn run(args: &Args) -> Result<Outcome, Error> {
    if matches!(args.format, Format::Bytes) && args.output.is_none() && io::stdout().is_terminal() {
        return Err(Error::Terminal);
    }
    let imported = match args.reading.read(&args.file)? {
        Ok(imported) => imported,
        Err(findings) => {
            output::show(&findings);
            return Ok(Outcome::Deficient);
        }
    };
    // Of our own policies `policy check` says what there is to know.
    if imported.format == import::Format::Ringfence {
        output::show_losses(&imported.notes);
    } else {
        output::show(&imported.notes);
    }
    let mut policy = input::one(&args.file, imported.policies)?;
    if let Some(choice) = args.on_violation {
        policy = with_otherwise(&policy, embed::OnViolation::from(choice).otherwise(policy.otherwise));
    }
    let bytes = compiled(args, &policy, imported.profile.as_ref())?;
    output::deliver(args.output.as_deref(), &bytes)?;
    Ok(Outcome::Done)
}

impl Args {
    fn weights<'a>(&self, profile: Option<&'a Profile>) -> Result<compile::Weights<'a>, Error> {
        Ok(match self.weights {
            Weights::Uniform => compile::Weights::Uniform,
            Weights::Profile => {
                let none = || Error::NoProfile { path: self.file.clone() };
                compile::Weights::Profile(profile.ok_or_else(none)?)
            }
            Weights::CacheAware => compile::Weights::CacheAware(profile),
        })
    }
}

/// What the policy compiles to, in the format that is asked for.
fn compiled(args: &Args, policy: &Policy, profile: Option<&Profile>) -> Result<Vec<u8>, Error> {
    match args.format {
        Format::Firecracker => return Ok(export::firecracker(std::slice::from_ref(policy))?.into_bytes()),
        Format::Oci => return Ok(export::oci(policy)?.into_bytes()),
        _ => {}
    }
    let (program, meaning) = match args.backend {
        Backend::Optimizing => (optimize(policy, &args.weights(profile)?), Cow::Borrowed(policy)),
        Backend::Reference => (reference(policy), Cow::Borrowed(policy)),
        Backend::Bitmask => (bitmask(policy), Cow::Owned(widen(policy))),
        Backend::EventFilter => return events(policy, args.format),
    };
    let program = program.map_err(|source| Error::Compile { path: args.file.clone(), source })?;
    let backend = args.backend.name();
    prove(program.instructions(), &meaning).map_err(|source| Error::Unproved {
        path: args.file.clone(),
        backend,
        source,
    })?;
    let listing = Listing::new(policy, backend, &program);
    Ok(match args.format {
        Format::Disassembly => listing.text().into_bytes(),
        Format::Json => listing.json().into_bytes(),
        Format::C => listing.initializer().into_bytes(),
        Format::Header => listing.header().into_bytes(),
        Format::Rust => listing.rust().into_bytes(),
        Format::Bytes | Format::Firecracker | Format::Oci => program.bytes(),
    })
}

fn events(policy: &Policy, format: Format) -> Result<Vec<u8>, Error> {
    let events = EventListing::new(policy);
    match format {
        Format::Disassembly => Ok(events.text().into_bytes()),
        Format::Json => Ok(events.json().into_bytes()),
        _ => Err(Error::NoInstructions),
    }
}
