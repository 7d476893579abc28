//! Recordings that are read, and what is written to a folder.

use std::fs;
use std::path::Path;

use seccomp_policies::language::Policy;
use seccomp_policies::learn::{self, Calls, Recording};
use seccomp_policies::syscalls::Arch;

use super::report::Report;
use crate::cli::audit::Error;
use crate::cli::output;

/// The recording's name in a folder of results.
const RECORDING: &str = "recording.json";

/// Reads a recording.
pub(super) fn read(path: &Path) -> Result<Recording, Error> {
    let text =
        fs::read_to_string(path).map_err(|source| Error::ReadReport { path: path.to_owned(), source })?;
    let recording: Recording =
        serde_json::from_str(&text).map_err(|source| Error::NoRecording { path: path.to_owned(), source })?;
    recording.check(Arch::X86_64).map_err(|source| Error::Recording { path: path.to_owned(), source })?;
    Ok(recording)
}

/// Makes a folder, unless it is there, and finds out whether results can be written to it.
pub(super) fn make(folder: &Path) -> Result<(), Error> {
    fs::create_dir_all(folder).map_err(|source| Error::MakeFolder { path: folder.to_owned(), source })?;
    Ok(output::ensure_writable(&folder.join(RECORDING))?)
}

/// Writes `NAME.policy` and `NAME.profile` for each group and for all together, and the recording.
pub(super) fn write(folder: &Path, recording: &Recording, report: &Report) -> Result<(), Error> {
    for group in &report.groups {
        write_policy(folder, &group.learned, &group.thread.calls, recording)?;
    }
    if let Some(together) = &report.together {
        write_policy(folder, &together.learned, &together.calls, recording)?;
    }
    output::replace(&folder.join(RECORDING), output::json_text(recording).as_bytes())?;
    Ok(())
}

fn write_policy(folder: &Path, policy: &Policy, calls: &Calls, recording: &Recording) -> Result<(), Error> {
    let profile_name = format!("{}.profile", policy.role);
    let profile = learn::profile(calls, recording);
    let is_empty = profile.counts.is_empty();
    if !is_empty {
        output::replace(&folder.join(&profile_name), profile.to_string().as_bytes())?;
    }
    let text = learn::heading(recording) + &learn::text(policy, (!is_empty).then_some(profile_name.as_str()));
    Ok(output::replace(&folder.join(format!("{}.policy", policy.role)), text.as_bytes())?)
}

/// Names of files are those of roles.
#[cfg(test)]
mod tests {
    use crate::cli::audit::learn::report::identifier;

    #[test]
    fn a_thread_s_name_becomes_a_role_s() {
        assert_eq!(identifier("Web Content"), "web_content");
        assert_eq!(identifier("../../etc"), "etc");
        assert_eq!((identifier("7zip"), identifier("..")), ("thread_7zip".into(), "thread".into()));
    }
}
