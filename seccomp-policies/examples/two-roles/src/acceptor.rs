//! The thread that takes connections.

use std::io;
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::SyncSender;
use std::time::Duration;

/// A client that is slower loses its connection.
const PATIENCE: Duration = Duration::from_secs(10);

/// Takes connections until there are no workers left.
pub(crate) fn run(listener: &TcpListener, queue: &SyncSender<TcpStream>) {
    loop {
        match accept(listener).map(|connection| queue.send(connection)) {
            Ok(Ok(())) => {}
            Ok(Err(_)) => return,
            Err(error) => eprintln!("two-roles: cannot take a connection: {error}"),
        }
    }
}

fn accept(listener: &TcpListener) -> io::Result<TcpStream> {
    let (connection, _) = listener.accept()?;
    connection.set_read_timeout(Some(PATIENCE))?;
    connection.set_write_timeout(Some(PATIENCE))?;
    Ok(connection)
}
