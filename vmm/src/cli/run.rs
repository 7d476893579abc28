//! `ringfence run`: a guest image, confined.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use clap::builder::{PossibleValuesParser, TypedValueParser as _};

use super::Outcome;
use super::run_config::{self, Root, RunConfig};
use super::run_devices::{self, DeviceArgs};
use crate::confine::{Fencing, OnViolation, Tier};
use crate::devices::ports::Extras;
use crate::machine::{Config, HugePages, Image, QuirkChoice};
use crate::report::{self, Ended, exit_code};
use crate::role::start::{self, Settings};
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
    /// Which mechanism holds the threads
    #[arg(long, value_enum, default_value_t)]
    tier: Tier,
    /// What happens when a thread makes a call that its policy does not allow
    #[arg(long, value_enum, default_value_t)]
    on_violation: OnViolation,
    /// Count which calls each thread makes, by perf tracepoints (needs root)
    #[arg(long)]
    count_calls: bool,
    /// Write the report as JSON to this file
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// Say how the run ended as JSON instead of words and a table
    #[arg(long)]
    json: bool,
    /// Give the guest port 0xf4, at which a byte V ends the run with exit code 16 + (V & 63); for tests
    #[arg(long)]
    exit_port: bool,
    /// A peculiarity of the host's KVM to work around: auto, none or emulated-ring0 [default: auto]
    #[arg(long, value_name = "NAME", value_parser = quirk())]
    quirk: Option<QuirkChoice>,
    /// For tests: THREAD:CALL[:ARG,ARG…][@EXITS], a call that the fenced thread makes; CALL may be panic
    #[cfg(feature = "provoke")]
    #[arg(long, value_name = "DEED")]
    provoke: Option<crate::confine::provoke::Provocation>,
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

/// Why `run` failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The run did not come to be.
    #[error(transparent)]
    Start(#[from] start::Error),
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
    /// The report file.
    #[error("cannot write the report to {}: {source}; name a file that can be made or changed", path.display())]
    Report {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
}

/// Runs the guest to its end.
///
/// # Errors
/// See [`Error`]. Without an error this thread is fenced: it may do nothing but end the process. A report that could
/// not be written is said, and makes the exit code an error's if it was 0.
pub fn run(args: &Args) -> Result<Outcome, Error> {
    let from_file = args.config.as_deref().map(RunConfig::read).transpose()?.unwrap_or_default();
    let kernel = kernel(args, &from_file)?;
    let is_tour = matches!(kernel, Image::Embedded { name: TOUR, .. });
    let devices = args.devices.open(&from_file)?;
    let config = Config {
        vcpus: args.vcpus.or(from_file.vcpus).unwrap_or(if is_tour { TOUR_VCPUS } else { VCPUS }),
        memory_mib: args.memory.or(from_file.memory_mib).unwrap_or(MEMORY_MIB),
        huge_pages: args.huge_pages.or(from_file.huge_pages).unwrap_or(HugePages::Off),
        command_line: command_line(args, &from_file, &kernel),
        kernel,
        initrd: args.initrd.clone().or(from_file.initrd),
        devices: u8::try_from(devices.count()).unwrap_or(u8::MAX),
        keyboard: args.devices.keyboard,
        quirk: args.quirk.unwrap_or(QuirkChoice::Auto),
    };
    if let Some(balloon) = &devices.balloon {
        balloon.check(config.memory_mib, config.huge_pages).map_err(run_devices::Error::from)?;
    }
    let report = args.report.as_deref().map(ReportFile::create).transpose()?;
    let made = report.as_ref().is_some_and(|report| report.made);
    let settings = Settings {
        fencing: Fencing { tier: args.tier, on_violation: args.on_violation },
        extras: Extras { exit_port: args.exit_port, keyboard: args.devices.keyboard },
        devices,
        count_calls: args.count_calls || is_tour,
        json: args.json,
        report: report.map(|report| report.file),
    };
    #[cfg(feature = "provoke")]
    args.provoke.clone().into_iter().for_each(crate::confine::provoke::set);
    // Before the fence: asking a terminal for its width is no call of main's policy.
    let width = table_width();
    let ended = start::run(&config, settings).inspect_err(|_| {
        // An empty report would pass for one.
        if let Some(path) = args.report.as_deref().filter(|_| made) {
            let _ = fs::remove_file(path);
        }
    })?;
    print(&ended, args, width);
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
        Image::File(_) => args.devices.console.linux_command_line(),
    });
    let parts = [text, from_file.root.map_or("", Root::parameters)];
    parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ")
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

/// Standard output belongs to the guest, so all this goes to standard error.
fn print(ended: &Ended, args: &Args, width: u16) {
    let text = if args.json {
        format!("{}\n", report::json::report(ended))
    } else {
        format!("ringfence: {}\n{}", report::text::ending(ended), report::text::table(ended, width))
    };
    ended.outlets.say(&text);
}
