//! A file to import.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use super::MAX_BYTES;
use super::findings::unreadable;
use crate::language::{Diagnostics, Source};

/// A file to import: its bytes, and where they come from.
#[derive(Clone, Copy)]
pub(crate) struct Input<'a> {
    /// The path as messages show it.
    pub(crate) name: &'a str,
    pub(crate) bytes: &'a [u8],
    /// The folder that it stands in; none for a text from memory, which can include nothing.
    #[allow(dead_code, reason = "for the formats that include other files")]
    pub(crate) folder: Option<&'a Path>,
}

impl<'a> Input<'a> {
    /// The text, for the formats that are text.
    pub(crate) fn text(&self) -> Result<&'a str, Diagnostics> {
        let text = std::str::from_utf8(self.bytes).map_err(|error| {
            let byte = error.valid_up_to();
            unreadable(format!("cannot read {}: byte {byte} and what follows is not UTF-8 text", self.name))
        })?;
        Ok(text.trim_start_matches('\u{feff}'))
    }

    /// The text as what findings point into.
    pub(crate) fn source(&self) -> Result<Source, Diagnostics> {
        let name = self.name.to_owned();
        Ok(Source { shown: name.clone(), name, text: self.text()?.to_owned() })
    }
}

/// The bytes of a file that is not too large.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, Diagnostics> {
    let mut bytes = Vec::new();
    let limit = u64::try_from(MAX_BYTES).unwrap_or(u64::MAX) + 1;
    let outcome = File::open(path).and_then(|file| file.take(limit).read_to_end(&mut bytes));
    match outcome {
        Ok(_) if bytes.len() > MAX_BYTES => Err(too_large(&path.display().to_string())),
        Ok(_) => Ok(bytes),
        Err(error) => {
            let why = match error.kind() {
                io::ErrorKind::NotFound => "there is no such file".to_owned(),
                io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
                _ => error.to_string(),
            };
            Err(unreadable(format!("cannot read the policy {}: {why}", path.display())))
        }
    }
}

pub(crate) fn too_large(name: &str) -> Diagnostics {
    unreadable(format!("{name} is larger than {} MiB, which no policy is", MAX_BYTES >> 20))
}
