//! The socket of an API: whose it is, and who may connect.

use std::path::Path;

use crate::role::api::{Socket, SocketError, SocketOptions};

/// Options about a socket.
#[derive(Clone, Copy, Debug, Default, clap::Args)]
pub(super) struct SocketArgs {
    /// Permissions of the API's socket, in octal [default: what the umask leaves]
    #[arg(long, value_name = "MODE", value_parser = mode)]
    sock_mode: Option<u32>,
    /// Owner of the API's socket, as numbers [default: the process's own]
    #[arg(long, value_name = "UID:GID", value_parser = owner)]
    sock_owner: Option<(u32, u32)>,
}

impl SocketArgs {
    /// Makes the socket; it does not listen yet.
    ///
    /// # Errors
    /// See [`SocketError`].
    pub(super) fn bind(self, path: &Path) -> Result<Socket, SocketError> {
        Socket::bind(&SocketOptions { path: path.to_owned(), mode: self.sock_mode, owner: self.sock_owner })
    }
}

fn mode(text: &str) -> Result<u32, &'static str> {
    let mode = u32::from_str_radix(text, 8).ok().filter(|mode| *mode <= 0o777);
    mode.ok_or("a mode is three octal digits, as 0660")
}

fn owner(text: &str) -> Result<(u32, u32), &'static str> {
    let parse = |(user, group): (&str, &str)| Some((user.parse().ok()?, group.parse().ok()?));
    text.split_once(':').and_then(parse).ok_or("an owner is two numbers, as 1000:1000")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_are_octal_and_owners_two_numbers() {
        assert_eq!(mode("0660"), Ok(0o660));
        assert!(mode("1000").is_err() && mode("8").is_err());
        assert_eq!(owner("1:2"), Ok((1, 2)));
        assert!(owner("1").is_err() && owner("root:root").is_err() && owner("-1:0").is_err());
    }
}
