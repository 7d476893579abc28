//! `ringfence run`: a guest image, confined.

use std::path::{Path, PathBuf};

use clap::builder::{PossibleValuesParser, TypedValueParser as _};

use super::Outcome;
use super::conduct::{self, ConductArgs};
use super::observe::Observed;
use super::run_config::{self, Root, RunConfig};
use super::run_devices::{self, DeviceArgs};
use super::socket::SocketArgs;
use crate::api::Machine;
use crate::api::http::Limits;
use crate::api::machine::DEFAULT_ID;
use crate::api::model::{
    BootSource, Configuration, Console, ConsoleKind, Entropy, MachineConfig, RateLimiter, Vsock,
};
use crate::machine::{Config, HugePages, Image, QuirkChoice};
use crate::role::api::SocketError;
use crate::role::devices::{BalloonConfig, Devices, DiskConfig};
use crate::role::start::{self, Api};
use crate::role::terminal;

/// Arguments of `run`.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// An embedded guest (ringfence guest list) or the path of a kernel; without it, the tour
    #[arg(value_name = "IMAGE", conflicts_with = "kernel")]
    image: Option<String>,
    /// Kernel to run: ELF64 with a PVH note or by the 64-bit Linux protocol, or bzImage
    #[arg(long, value_name = "FILE")]
    kernel: Option<PathBuf>,
    /// Initial RAM disk for the kernel
    #[arg(long, value_name = "FILE")]
    initrd: Option<PathBuf>,
    /// What the kernel is told
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    cmdline: Option<String>,
    /// Number of vCPUs, 1 to 32 [default: 1; 2 for the tour]
    #[arg(
        long,
        value_name = "N",
        value_parser = clap::value_parser!(u8).range(1..=32),
        allow_negative_numbers = true
    )]
    vcpus: Option<u8>,
    /// Guest memory in MiB [default: 128]
    #[arg(long, value_name = "MIB", allow_negative_numbers = true)]
    memory: Option<u32>,
    /// Host pages behind guest memory: off, transparent or 2m [default: off]
    #[arg(long, value_name = "KIND", value_parser = huge_pages())]
    huge_pages: Option<HugePages>,
    /// Read kernel, memory and vCPUs from a file in Firecracker's configuration format; options given here win
    #[arg(long, value_name = "FILE.json")]
    config: Option<PathBuf>,
    #[command(flatten)]
    devices: DeviceArgs,
    /// A peculiarity of the host's KVM to work around: auto, none or emulated-ring0 [default: auto]
    #[arg(long, value_name = "NAME", value_parser = quirk())]
    quirk: Option<QuirkChoice>,
    #[command(flatten)]
    conduct: ConductArgs,
    /// Serve Firecracker's API on this Unix socket, too: to look, to pause and to resume
    #[arg(long, value_name = "PATH")]
    api_sock: Option<PathBuf>,
    #[command(flatten)]
    socket: SocketArgs,
}

const EXAMPLES: &str = "\
Examples:
  ringfence run                                   the embedded tour guest
  ringfence run exits --cmdline 5000              another embedded guest
  ringfence run --kernel vmlinux --initrd initrd.cpio --vcpus 2 --memory 512
  ringfence run --kernel vmlinux --disk root.ext4 --cmdline root=/dev/vda
  ringfence run --kernel vmlinux --initrd initrd.cpio --net tap0,mac=06:00:ac:10:00:02
  ringfence run tour --report report.json         the confinement table for programs

Keys, when standard input is a terminal: Ctrl-A x leaves, Ctrl-A a sends Ctrl-A, Ctrl-A d presses
Ctrl-Alt-Del on the guest's keyboard, if it has one.
Exit codes: 0 the guest reset the machine or powered it off; 1 error; 2 usage; 3 triple fault; 4 the
guest's kernel told of its panic; 16 to 79 the test exit port; 128+N ended by signal N; 148 a thread
was refused a call.";

/// The embedded guest that shows the program at work.
const TOUR: &str = "tour";

/// Default memory and vCPUs: Firecracker's.
const MEMORY_MIB: u32 = 128;
const VCPUS: u8 = 1;
/// The tour shows a second processor.
const TOUR_VCPUS: u8 = 2;

fn huge_pages() -> impl clap::builder::TypedValueParser<Value = HugePages> {
    PossibleValuesParser::new(["off", "transparent", "2m"]).map(|name| match name.as_str() {
        "transparent" => HugePages::Transparent,
        "2m" => HugePages::Explicit2M,
        _ => HugePages::Off,
    })
}

fn quirk() -> impl clap::builder::TypedValueParser<Value = QuirkChoice> {
    PossibleValuesParser::new(["auto", "none", "emulated-ring0"]).map(|name| match name.as_str() {
        "none" => QuirkChoice::None,
        "emulated-ring0" => QuirkChoice::EmulatedRing0,
        _ => QuirkChoice::Auto,
    })
}

impl Args {
    /// No arguments, for a machine with a keyboard, as every machine of Firecracker's has one.
    pub(super) fn with_keyboard() -> Self {
        let mut args = Self::default();
        args.devices.keyboard = true;
        args
    }
}

/// Why `run` failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The configuration file.
    #[error(transparent)]
    Config(#[from] run_config::Error),
    /// IMAGE is no name of a guest and no file.
    #[error(
        "there is no embedded guest and no file {name}: `ringfence guest list` shows the guests, --kernel takes a path"
    )]
    NoSuchImage {
        /// What was given.
        name: String,
    },
    /// A device.
    #[error(transparent)]
    Device(#[from] run_devices::Error),
    /// The file of the serial port.
    #[error(transparent)]
    Serial(#[from] terminal::OutputError),
    /// The socket of the API.
    #[error(transparent)]
    Socket(#[from] SocketError),
    /// How the run is held, or its report.
    #[error(transparent)]
    Conduct(#[from] conduct::Error),
}

/// Runs the guest to its end.
///
/// # Errors
/// See [`Error`]. Without an error this thread is fenced: it may do nothing but end the process. A report that could
/// not be written is said, and makes the exit code an error's if it was 0.
pub fn run(args: &Args) -> Result<Outcome, Error> {
    let from_file = args.config.as_deref().map(RunConfig::read).transpose()?.unwrap_or_default();
    let socket = args.api_sock.as_deref().map(|path| (path, args.socket));
    let observed = Observed { id: DEFAULT_ID.to_owned(), ..Observed::default() };
    run_planned(args, &from_file, socket, observed, Limits::default(), &args.conduct)
}

/// The same for whoever has these by another command line. `socket`: where to serve the API, if at all.
pub(super) fn run_file(
    file: &Path,
    socket: Option<(&Path, SocketArgs)>,
    observed: Observed,
    limits: Limits,
    conduct: &ConductArgs,
) -> Result<Outcome, Error> {
    let (args, from_file) = (Args::with_keyboard(), RunConfig::read(file)?);
    run_planned(&args, &from_file, socket, observed, limits, conduct)
}

fn run_planned(
    args: &Args,
    from_file: &RunConfig,
    socket: Option<(&Path, SocketArgs)>,
    observed: Observed,
    limits: Limits,
    conduct: &ConductArgs,
) -> Result<Outcome, Error> {
    let (logger, metrics) = (from_file.logger.clone(), from_file.metrics.clone());
    let observed = Observed { logger, metrics, ..observed };
    if let Some(serial) = &from_file.serial {
        terminal::send_output_to(&serial.serial_out_path)?;
    }
    let (config, devices) = plan(args, from_file)?;
    let socket = socket.map(|(path, options)| options.bind(path)).transpose()?;
    let machine = || Machine::configured(observed.id.clone(), shown(args, from_file, &config));
    let api = socket.map(|socket| Api { socket, limits, machine: machine() });
    let is_tour = matches!(config.kernel, Image::Embedded { name: TOUR, .. });
    Ok(conduct.run(is_tour, args.devices.keyboard, observed, |settings| {
        start::run(&config, devices, settings, api)
    })?)
}

/// The machine that is asked for, with its devices open.
///
/// # Errors
/// See [`Error`].
pub(super) fn plan(args: &Args, from_file: &RunConfig) -> Result<(Config, Devices), Error> {
    let kernel = kernel(args, from_file)?;
    let is_tour = matches!(kernel, Image::Embedded { name: TOUR, .. });
    let devices = args.devices.open(from_file)?;
    let config = Config {
        vcpus: args.vcpus.or(from_file.vcpus).unwrap_or(if is_tour { TOUR_VCPUS } else { VCPUS }),
        memory_mib: args.memory.or(from_file.memory_mib).unwrap_or(MEMORY_MIB),
        huge_pages: args.huge_pages.or(from_file.huge_pages).unwrap_or(HugePages::Off),
        command_line: command_line(args, from_file, &kernel),
        kernel,
        initrd: args.initrd.clone().or(from_file.initrd.clone()),
        devices: u8::try_from(devices.count()).unwrap_or(u8::MAX),
        keyboard: args.devices.keyboard,
        quirk: args.quirk.unwrap_or(QuirkChoice::Auto),
    };
    if let Some(balloon) = &devices.balloon {
        balloon.check(config.memory_mib, config.huge_pages).map_err(run_devices::Error::from)?;
    }
    Ok((config, devices))
}

/// The machine as the API shows it.
fn shown(args: &Args, from_file: &RunConfig, config: &Config) -> Configuration {
    let (disks, entropy) = (args.devices.disks(from_file), args.devices.entropy(from_file));
    let drive = |(index, disk): (usize, &DiskConfig)| {
        let root = from_file.root.as_ref().filter(|_| index == 0);
        disk.to_drive(root.is_some(), root.and_then(|root| root.partuuid.clone()))
    };
    let boot_source = BootSource {
        kernel_image_path: match &config.kernel {
            Image::File(path) => path.clone(),
            // An embedded guest has no path; its name is what `run` takes.
            Image::Embedded { name, .. } => name.into(),
        },
        initrd_path: config.initrd.clone(),
        boot_args: Some(config.command_line.clone()),
    };
    Configuration {
        machine_config: MachineConfig {
            vcpu_count: Some(config.vcpus),
            mem_size_mib: Some(config.memory_mib),
            huge_pages: Some(config.huge_pages.into()),
            ..MachineConfig::DEFAULT
        },
        drives: disks.iter().enumerate().map(drive).collect(),
        network_interfaces: args.devices.named_interfaces(from_file),
        balloon: args.devices.balloon(from_file).map(BalloonConfig::to_model),
        entropy: entropy.map(|limits| Entropy { rate_limiter: RateLimiter::of(limits) }),
        vsock: args.devices.vsock(from_file).cloned().map(Vsock::from),
        console: Some(args.devices.console(from_file))
            .filter(|kind| *kind != ConsoleKind::default())
            .map(|kind| Console { kind }),
        ..Configuration::of(boot_source)
    }
}

/// An embedded guest by its name, else a path; a path with a slash is never taken for a name.
fn kernel(args: &Args, from_file: &RunConfig) -> Result<Image, Error> {
    let file = args.kernel.clone().or_else(|| from_file.kernel.clone().filter(|_| args.image.is_none()));
    if let Some(path) = file {
        return Ok(Image::File(path));
    }
    let name = args.image.as_deref().unwrap_or(TOUR);
    match guest_images::bare::find(name) {
        Some(guest) => Ok(Image::Embedded { name: guest.name, bytes: guest.image }),
        None if !name.contains('/') && !Path::new(name).exists() => {
            Err(Error::NoSuchImage { name: name.to_owned() })
        }
        None => Ok(Image::File(PathBuf::from(name))),
    }
}

/// What was given on the command line, to the letter; else what the file says, with its root device at the end.
fn command_line(args: &Args, from_file: &RunConfig, kernel: &Image) -> String {
    if let Some(given) = &args.cmdline {
        return given.clone();
    }
    let text = from_file.command_line.as_deref().unwrap_or(match kernel {
        Image::Embedded { .. } => "",
        Image::File(_) => linux_command_line(args.devices.console(from_file)),
    });
    let root = from_file.root.as_ref().map_or_else(String::new, Root::parameters);
    let parts = [text, &root];
    parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ")
}

/// What a kernel is told when nobody says anything: its console, and to reset in the way that ends a run.
fn linux_command_line(console: ConsoleKind) -> &'static str {
    match console {
        ConsoleKind::Serial => "console=ttyS0 reboot=k panic=-1",
        ConsoleKind::Virtio => "console=hvc0 reboot=k panic=-1",
    }
}
