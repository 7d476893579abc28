//! The server as its clients see it, and as the kernel does.
#![forbid(unsafe_code)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, Stdio};
use std::{fs, process};

/// SIGSYS, Linux `include/uapi/asm-generic/signal.h`: one number for both architectures.
const SIGSYS: i32 = 31;

struct Server {
    child: Child,
    address: String,
}

impl Server {
    fn start(options: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_two-roles"))
            .args(options)
            .arg("127.0.0.1:0")
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the example is built");
        let mut line = String::new();
        let mut stdout = BufReader::new(child.stdout.take().expect("it is piped"));
        stdout.read_line(&mut line).expect("the server says where it listens");
        let address = line.trim().strip_prefix("http://").expect("an address").to_owned();
        Self { child, address }
    }

    /// Everything that the server answers; nothing if it ends before.
    fn get(&self, path: &str) -> String {
        let mut connection = TcpStream::connect(&self.address).expect("the server listens");
        write!(connection, "GET {path} HTTP/1.1\r\nHost: test\r\n\r\n").expect("the server reads");
        let mut answer = Vec::new();
        // A process that the kernel ends resets its connections.
        let _ = connection.read_to_end(&mut answer);
        String::from_utf8(answer).expect("the server answers with text")
    }

    /// Ends the server; what it said to standard error.
    fn messages(mut self) -> String {
        self.child.kill().expect("it runs");
        let mut messages = String::new();
        let mut stderr = self.child.stderr.take().expect("it is piped");
        stderr.read_to_string(&mut messages).expect("messages are text");
        messages
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A file that nobody should be served.
struct Secret(String);

impl Secret {
    const TEXT: &'static str = "nobody should read this";

    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("two-roles-{name}-{}", process::id()));
        fs::write(&path, Self::TEXT).expect("there is a temporary folder");
        Self(path.to_str().expect("its path is text").to_owned())
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

#[test]
fn confined_threads_serve_more_connections_than_descriptors_they_may_use() {
    let server = Server::start(&[]);
    for _ in 0..100 {
        let answer = server.get("/");
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
        assert!(answer.ends_with("Two thread roles, two policies.\n"), "{answer}");
    }
    assert!(server.get("/etc/passwd").starts_with("HTTP/1.1 404 Not Found\r\n"));
    assert_eq!(server.messages(), "");
}

#[test]
fn a_worker_that_opens_a_file_is_refused_and_says_so() {
    let secret = Secret::new("errno");
    let server = Server::start(&["--bug"]);
    let answer = server.get(&secret.0);
    assert!(answer.starts_with("HTTP/1.1 500 Internal Server Error\r\n"), "{answer}");
    // `otherwise errno EACCES` in worker.policy.
    let message = format!("cannot open {}: Permission denied (os error 13)\n", secret.0);
    assert!(answer.ends_with(&message), "{answer}");
    assert!(server.get("/").starts_with("HTTP/1.1 200 OK\r\n"), "the worker goes on");
    assert_eq!(server.messages(), format!("two-roles: {message}"));
}

#[test]
fn another_choice_takes_the_place_of_what_the_policy_says() {
    let secret = Secret::new("choice");
    let answer = Server::start(&["--bug", "--on-violation", "errno"]).get(&secret.0);
    assert!(answer.ends_with("Operation not permitted (os error 1)\n"), "{answer}");
}

#[test]
fn the_bug_is_a_bug_where_refusals_are_only_logged() {
    let secret = Secret::new("log");
    let answer = Server::start(&["--bug", "--on-violation", "log"]).get(&secret.0);
    assert!(answer.ends_with(Secret::TEXT), "{answer}");
}

#[test]
fn the_kernel_ends_a_server_that_wants_no_second_chance() {
    for choice in ["kill", "trap"] {
        let secret = Secret::new(choice);
        let mut server = Server::start(&["--bug", "--on-violation", choice]);
        assert_eq!(server.get(&secret.0), "");
        let status = server.child.wait().expect("it has ended");
        assert_eq!(status.signal(), Some(SIGSYS), "{choice}: {status}");
    }
}

/// Mode and number of filters of each thread of a process.
fn held(process: &str) -> Vec<(u32, u32)> {
    let status = |folder: fs::DirEntry| fs::read_to_string(folder.path().join("status")).expect("it runs");
    let tasks = fs::read_dir(format!("/proc/{process}/task")).expect("it runs");
    let statuses = tasks.map(|task| status(task.expect("a thread")));
    let value =
        |status: &str, name| status.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok());
    statuses
        .map(|text| (value(&text, "Seccomp:").unwrap_or(0), value(&text, "Seccomp_filters:").unwrap_or(0)))
        .collect()
}

#[test]
fn every_thread_is_under_one_filter() {
    let server = Server::start(&[]);
    server.get("/");
    let inherited = held("self")[0].1;
    // Two workers and the acceptor, in mode 2.
    assert_eq!(held(&server.child.id().to_string()), [(2, inherited + 1); 3]);
}
