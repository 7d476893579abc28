//! A web server of two thread roles, each under a seccomp policy of its own: the acceptor takes connections and reads
//! nothing, the workers read requests and open nothing.
//!
//! `--bug` builds a mistake into the workers: they serve any file of the machine. The policy does not know of it, and
//! they still cannot.
#![forbid(unsafe_code)]

mod acceptor;
mod options;
mod worker;

/// What the build script made of `policies/`.
mod policies {
    seccomp_policies::include_policies!();
}

use std::error::Error;
use std::net::TcpListener;
use std::os::fd::{AsRawFd, RawFd};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, mpsc};
use std::{env, io, thread};

use options::Options;

/// Threads that answer requests.
const WORKERS: usize = 2;

/// Connections that wait for a worker.
const QUEUE: usize = 8;

fn main() -> ExitCode {
    match Options::parse(env::args().skip(1)).map_err(Into::into).and_then(|options| run(&options)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("two-roles: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> Result<(), Box<dyn Error>> {
    let listener = TcpListener::bind(&options.address)
        .map_err(|error| format!("cannot listen on {}: {error}", options.address))?;
    let listener = placed(listener, policies::acceptor::slot::LISTENER)?;
    println!("http://{}", listener.local_addr()?);
    let (queue, connections) = mpsc::sync_channel(QUEUE);
    let connections = Arc::new(Mutex::new(connections));
    // Workers first: a filter also holds every thread that its thread starts later.
    let (confined, reports) = mpsc::sync_channel(WORKERS);
    for number in 0..WORKERS {
        let (connections, confined, options) = (connections.clone(), confined.clone(), options.clone());
        thread::Builder::new()
            .name(format!("worker {number}"))
            .spawn(move || worker::run(&connections, &confined, &options))?;
    }
    for report in reports.iter().take(WORKERS) {
        report?;
    }
    seccomp_policies::install(&policies::acceptor::POLICY, options.on_violation)?;
    acceptor::run(&listener, &queue);
    Ok(())
}

/// The listener at the number that its policy knows. The kernel gives out the lowest free number, so clones climb to it.
fn placed(listener: TcpListener, number: RawFd) -> io::Result<TcpListener> {
    let mut below = vec![listener];
    loop {
        let next = below[0].try_clone()?;
        if next.as_raw_fd() == number {
            return Ok(next);
        }
        if next.as_raw_fd() > number {
            let taken = format!("descriptor {number}, the listener's in acceptor.policy, is taken");
            return Err(io::Error::other(taken));
        }
        below.push(next);
    }
}
