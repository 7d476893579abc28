//! `ringfence guest`: the guests that there are, and the Linux guest's making.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use comfy_table::{Table, presets};
use guest_images::linux::images::{self, Image};
use guest_images::linux::recipe::{self, Order};
use guest_images::{bare, linux};

use super::Outcome;
use super::output::{self, Reported};

/// How help names [`linux::folder`].
macro_rules! default_folder {
    () => {
        "[default: what RINGFENCE_LINUX_GUEST names, or target/guest-images]"
    };
}

/// Arguments of `guest`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// List the guests: those in this binary, and the Linux guest's images
    #[command(after_help = LIST_EXAMPLES)]
    List {
        /// Where to look for the Linux guest
        #[arg(long, value_name = "DIR", help = concat!("Look for the Linux guest here ", default_folder!()))]
        dir: Option<PathBuf>,
        /// For programs: one JSON object
        #[arg(long)]
        json: bool,
    },
    /// Build a Linux kernel and a busybox user space from Debian's packages
    #[command(after_help = BUILD_EXAMPLES)]
    Build {
        /// Where the images go
        #[arg(long, value_name = "DIR", help = concat!("Put the images here ", default_folder!()))]
        out: Option<PathBuf>,
        /// Build the kernel for ordinary hosts, whatever this host is
        #[arg(long)]
        ordinary: bool,
        /// Install missing packages with apt-get; without it they are named
        #[arg(long)]
        install_packages: bool,
    },
}

const LIST_EXAMPLES: &str = "Examples:
  ringfence guest list
  ringfence guest list --dir /var/lib/guests --json";

const BUILD_EXAMPLES: &str =
    "The kernel is the one this host needs: patched where KVM emulates ring 0, else as Debian has it.
It takes minutes and 0.5 GiB while it compiles, and is not made again until its inputs change.

Examples:
  ringfence guest build
  ringfence guest build --out /var/lib/guests --ordinary --install-packages";

/// Why `guest` failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The Linux guest was not made.
    #[error(transparent)]
    Recipe(#[from] recipe::Error),
    /// The folder could not be looked through.
    #[error(transparent)]
    Images(#[from] images::Error),
    /// The list cannot be written.
    #[error("cannot write the list of guests to standard output: {0}")]
    Output(#[from] io::Error),
}

/// Runs the command.
///
/// # Errors
/// See [`Error`].
pub fn run(args: &Args) -> Result<Outcome, Error> {
    match &args.command {
        Command::List { dir, json } => list(dir.clone().unwrap_or_else(linux::folder), *json)?,
        Command::Build { out, ordinary, install_packages } => recipe::build(&Order {
            out: out.clone().unwrap_or_else(linux::folder),
            ordinary: *ordinary,
            install_packages: *install_packages,
        })?,
    }
    Ok(Outcome::Done)
}

/// Everything that can be run.
#[derive(serde::Serialize)]
struct Listing {
    embedded: Vec<Embedded>,
    linux_folder: PathBuf,
    linux_images: Vec<Image>,
}

/// A guest in this binary.
#[derive(serde::Serialize)]
struct Embedded {
    name: &'static str,
    summary: &'static str,
    usage: &'static str,
}

/// Version of the list's shape as JSON; it changes when a member changes its meaning or goes away.
const SCHEMA: u32 = 1;

fn list(linux_folder: PathBuf, json: bool) -> Result<(), Error> {
    let embedded = bare::GUESTS.iter().map(|guest| Embedded {
        name: guest.name,
        summary: guest.summary,
        usage: guest.usage,
    });
    let listing =
        Listing { embedded: embedded.collect(), linux_images: images::find(&linux_folder)?, linux_folder };
    let text = if json {
        output::json_text(&Reported::versioned("guests", SCHEMA, &listing)).trim_end().to_owned()
    } else {
        describe(&listing, SystemTime::now())
    };
    match writeln!(io::stdout(), "{text}") {
        // Whoever reads has read enough (`guest list | head`).
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        result => Ok(result?),
    }
}

fn describe(listing: &Listing, now: SystemTime) -> String {
    let mut embedded = table(&["guest", "what it shows"]);
    for guest in &listing.embedded {
        embedded.add_row([guest.name, guest.summary]);
    }
    format!(
        "In this binary, for `ringfence run NAME`:\n{}\n\n{}",
        embedded.trim_fmt(),
        describe_linux(&listing.linux_folder, &listing.linux_images, now)
    )
}

fn describe_linux(folder: &Path, images: &[Image], now: SystemTime) -> String {
    let folder = folder.display();
    if images.is_empty() {
        return format!("No Linux guest in {folder}; `ringfence guest build` makes one.");
    }
    let mut rows = table(&["image", "what it is", "size", "made"]);
    for image in images {
        let name = image.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        rows.add_row([name, image.kind.describe().to_owned(), mebibytes(image.bytes), age(image, now)]);
    }
    format!("Linux guest in {folder}:\n{}", rows.trim_fmt())
}

fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(header);
    table
}

fn mebibytes(bytes: u64) -> String {
    let tenths = bytes * 10 / (1024 * 1024);
    format!("{}.{} MiB", tenths / 10, tenths % 10)
}

fn age(image: &Image, now: SystemTime) -> String {
    let made = SystemTime::UNIX_EPOCH + Duration::from_secs(image.made_unix_seconds);
    let seconds = now.duration_since(made).unwrap_or_default().as_secs();
    let (count, unit) = match seconds {
        0..60 => (seconds, "second"),
        60..3600 => (seconds / 60, "minute"),
        3600..86400 => (seconds / 3600, "hour"),
        _ => (seconds / 86400, "day"),
    };
    format!("{count} {unit}{} ago", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;
    use guest_images::linux::images::Kind;

    #[test]
    fn image_is_listed_with_its_use_its_size_and_its_age() {
        let image = Image {
            path: "g/vmlinux".into(),
            kind: Kind::EmulatedRing0Kernel,
            bytes: 2_411_725,
            made_unix_seconds: 1_000,
        };
        let text = describe_linux(
            Path::new("g"),
            &[image],
            SystemTime::UNIX_EPOCH + Duration::from_secs(1_000 + 7_300),
        );
        for part in ["Linux guest in g", "vmlinux", "emulates ring 0", "2.3 MiB", "2 hours ago"] {
            assert!(text.contains(part), "{part} is missing from {text}");
        }
    }

    #[test]
    fn folder_without_images_is_told_with_how_to_build_them() {
        assert_eq!(
            describe_linux(Path::new("nowhere"), &[], SystemTime::now()),
            "No Linux guest in nowhere; `ringfence guest build` makes one."
        );
    }

    #[test]
    fn embedded_guest_is_listed_with_what_it_shows() {
        let guest = Embedded { name: "tour", summary: "a walk around", usage: "nothing" };
        let listing =
            Listing { embedded: vec![guest], linux_folder: "nowhere".into(), linux_images: Vec::new() };
        let text = describe(&listing, SystemTime::now());
        assert!(text.contains("tour") && text.contains("a walk around"), "{text}");
    }
}
