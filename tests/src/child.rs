//! What a child process does to itself between its birth and the monitor's start: signals ignored, streams closed,
//! limits, another /dev/kvm, no privilege.

use std::ffi::CString;
use std::fs::{self, Permissions};
use std::io;
use std::os::fd::RawFd;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::fs::{CWD, FileType, Mode, makedev};
use rustix::mount::{MountPropagationFlags, mount_bind, mount_change};
use rustix::process::{Resource, Rlimit};
use rustix::thread::UnshareFlags;
use seccomp_policies::bpf::Instruction;
use seccomp_policies::install::install_program;

/// The user and group that own nothing, `nobody` on most systems.
const NOBODY: u32 = 65534;

/// KVM's device number (Linux `Documentation/admin-guide/devices.txt`: misc major, minor 232).
const KVM_DEVICE: (u32, u32) = (10, 232);

/// Has the child do this first. It may make system calls and nothing else: no memory, no locks.
fn first(command: &mut Command, body: impl FnMut() -> io::Result<()> + Send + Sync + 'static) {
    // SAFETY: the bodies in this file make system calls with arguments that were prepared before the fork.
    unsafe { command.pre_exec(body) };
}

/// Has the child heed the signals that end a run, also where the tests themselves were started in the background or by
/// `nohup`, which have what they start ignore some.
pub fn heed_signals(command: &mut Command) {
    first(command, || {
        for signal in [libc::SIGHUP, libc::SIGINT, libc::SIGQUIT, libc::SIGTERM] {
            // SAFETY: takes a number and a constant; no handler is installed.
            if unsafe { libc::signal(signal, libc::SIG_DFL) } == libc::SIG_ERR {
                return Err(io::Error::last_os_error());
            }
        }
        Ok(())
    });
}

/// Has the child ignore a signal, as `nohup` does.
pub fn ignore_signal(command: &mut Command, signal: i32) {
    first(command, move || {
        // SAFETY: takes a number and a constant; no handler is installed.
        match unsafe { libc::signal(signal, libc::SIG_IGN) } {
            libc::SIG_ERR => Err(io::Error::last_os_error()),
            _ => Ok(()),
        }
    });
}

/// Has the child confine itself by these programs, one after the other, before it becomes what it is to be.
pub fn confine(command: &mut Command, programs: Vec<Vec<Instruction>>) {
    first(command, move || {
        let refused = |_| io::Error::from(io::ErrorKind::PermissionDenied);
        programs.iter().try_for_each(|program| install_program(program).map_err(refused))
    });
}

/// Starts the child without these descriptors.
pub fn close(command: &mut Command, descriptors: &'static [RawFd]) {
    first(command, move || {
        for &number in descriptors {
            // SAFETY: the child has one thread, and nothing in it uses these numbers before it becomes the monitor.
            unsafe { libc::close(number) };
        }
        Ok(())
    });
}

/// Lets the child write at most so many bytes to a file; a further write fails with EFBIG.
pub fn limit_file_size(command: &mut Command, bytes: u64) {
    first(command, move || {
        let limit = Rlimit { current: Some(bytes), maximum: Some(bytes) };
        Ok(rustix::process::setrlimit(Resource::Fsize, limit)?)
    });
}

/// Lets the child have descriptors below this number only.
pub fn limit_open_files(command: &mut Command, number: u64) {
    first(command, move || {
        let limit = Rlimit { current: Some(number), maximum: Some(number) };
        Ok(rustix::process::setrlimit(Resource::Nofile, limit)?)
    });
}

/// A file, and the place where the child shall see it.
pub type Seen<'path> = (&'path Path, &'path Path);

/// Has the child see files at other places, by mounts that nobody else sees. Needs root.
///
/// # Panics
/// Where a path holds a zero byte.
pub fn mount(command: &mut Command, files: &[Seen<'_>]) {
    let text = |path: &Path| CString::new(path.as_os_str().as_bytes()).expect("a path has no zero byte");
    let files: Vec<_> = files.iter().map(|&(file, place)| (text(file), text(place))).collect();
    first(command, move || {
        // SAFETY: the child has one thread; no descriptor or memory is unshared.
        unsafe { rustix::thread::unshare_unsafe(UnshareFlags::NEWNS) }?;
        mount_change(c"/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)?;
        for (file, place) in &files {
            mount_bind(file.as_c_str(), place.as_c_str())?;
        }
        Ok(())
    });
}

/// Has the child see `file` in the place of /dev/kvm.
///
/// # Panics
/// As [`mount`].
pub fn replace_kvm(command: &mut Command, file: &Path) {
    mount(command, &[(file, "/dev/kvm".as_ref())]);
}

/// Has the child see this folder alone as its files. Needs root.
///
/// # Panics
/// Where the path holds a zero byte.
pub fn enter_root(command: &mut Command, folder: &Path) {
    let folder = CString::new(folder.as_os_str().as_bytes()).expect("a path has no zero byte");
    first(command, move || {
        rustix::process::chroot(folder.as_c_str())?;
        Ok(rustix::process::chdir(c"/")?)
    });
}

/// Takes the child's privileges. To be called last.
pub fn become_nobody(command: &mut Command) {
    first(command, || {
        // SAFETY: takes a count of none and no pointer.
        let groups = unsafe { libc::setgroups(0, std::ptr::null()) };
        // SAFETY: takes an integer.
        let group = unsafe { libc::setgid(NOBODY) };
        // SAFETY: takes an integer.
        let user = unsafe { libc::setuid(NOBODY) };
        if groups != 0 || group != 0 || user != 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    });
}

/// Makes a second device file of KVM that every user may open. Needs root.
///
/// # Errors
/// The system's.
pub fn make_kvm_for_everyone(path: &Path) -> io::Result<()> {
    make_device_for_everyone(path, KVM_DEVICE)
}

fn make_device_for_everyone(path: &Path, (major, minor): (u32, u32)) -> io::Result<()> {
    let mode = Mode::from_raw_mode(0o666);
    rustix::fs::mknodat(CWD, path, FileType::CharacterDevice, mode, makedev(major, minor))?;
    // The umask does not count here.
    rustix::fs::chmod(path, mode)?;
    Ok(())
}

/// What makes TAPs (the same document: misc major, minor 200).
const TUN_DEVICE: (u32, u32) = (10, 200);

/// Makes a second device file of those by which TAPs are made, which every user may open. Needs root.
///
/// # Errors
/// The system's.
pub fn make_tun_for_everyone(path: &Path) -> io::Result<()> {
    make_device_for_everyone(path, TUN_DEVICE)
}

/// Lets every user enter this folder, and makes a place in it to [`mount`] a program that they may not reach.
///
/// # Panics
/// Where the folder is somebody else's.
pub fn open_to_everyone(folder: &Path) -> PathBuf {
    let place = folder.join("program");
    fs::write(&place, b"").expect("a file of a temporary folder can be made");
    fs::set_permissions(folder, Permissions::from_mode(0o755)).expect("the owner may change them");
    place
}

/// Whether this process may make devices and mounts.
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}
