//! The socket device: streams between a guest and Unix sockets of the host.

use std::fs;
use std::io::{self, BufRead as _, BufReader, Read, Write as _};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::thread::{self, JoinHandle};

use ringfence::role::policies::io_vsock::slot;
use ringfence_tests::procfs::Thread;
use ringfence_tests::run::{self, Ended, Run};
use ringfence_tests::{child, wait};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tempfile::TempDir;

/// What both ways carry: 2 MiB and some bytes, so that neither packets nor pages come out even.
const BYTES: usize = (2 << 20) + 333;

/// A folder for a guest's socket.
struct Host {
    folder: TempDir,
}

impl Host {
    fn new() -> Self {
        Self { folder: TempDir::new().expect("a temporary folder") }
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("guest.sock")
    }

    fn option(&self) -> String {
        format!("52,{}", self.socket().display())
    }

    /// Listens at a port of the host's.
    fn listen(&self, port: u32) -> UnixListener {
        let path = self.folder.path().join(format!("guest.sock_{port}"));
        let listener = UnixListener::bind(path).expect("the folder takes a socket");
        // Whoever comes does not wait, and the default is less than there can be streams.
        rustix::net::listen(&listener, 4096).expect("a socket that listens can have more in its queue");
        listener
    }

    fn start(&self, command_line: &str, arguments: &[&str]) -> Run {
        let option = self.option();
        let own = ["vsock", "--vsock", &option, "--exit-port", "--cmdline", command_line];
        run::guest(own.iter().chain(arguments))
    }

    /// Connects to a port of the guest's, which listens. Returns the stream and the host's port.
    fn connect(&self, port: u32) -> (UnixStream, u32) {
        let mut stream = UnixStream::connect(self.socket()).expect("the socket listens");
        writeln!(stream, "CONNECT {port}").expect("it takes a line");
        let mut answer = String::new();
        BufReader::with_capacity(1, &stream).read_line(&mut answer).expect("it answers");
        let port = answer.strip_prefix("OK ").and_then(|port| port.trim_end().parse().ok());
        (stream, port.unwrap_or_else(|| panic!("{answer:?} is no answer")))
    }
}

fn lines(ended: &Ended) -> Vec<String> {
    ended.output().lines().map(|line| line.trim_end_matches('\r').to_owned()).collect()
}

/// FNV-1a of 64 bits, as the guest counts it.
fn sum(bytes: &[u8]) -> String {
    let hash = bytes.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3)
    });
    format!("{} bytes, sum {hash:x}", bytes.len())
}

fn some_bytes(count: usize) -> Vec<u8> {
    (0..count as u64).map(|number| (number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8).collect()
}

/// Sends all of this and no more, while it takes everything that comes; what came.
fn exchange(mut stream: UnixStream, bytes: Vec<u8>) -> JoinHandle<Vec<u8>> {
    let mut reader = stream.try_clone().expect("a descriptor can be duplicated");
    let writer = thread::spawn(move || {
        stream.write_all(&bytes).expect("the guest takes everything");
        stream.shutdown(Shutdown::Write).expect("a stream has two directions");
    });
    thread::spawn(move || {
        let mut came = Vec::new();
        reader.read_to_end(&mut came).expect("the stream ends in order");
        writer.join().expect("the writer is done");
        came
    })
}

fn accept_and_exchange(listener: UnixListener, bytes: Vec<u8>) -> JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let (stream, _) = listener.accept().expect("the guest comes");
        exchange(stream, bytes).join().expect("the stream was read to its end")
    })
}

#[test]
fn two_mebibytes_go_both_ways_at_once_and_arrive_as_they_were() {
    for vcpus in ["1", "2"] {
        for tier in ["filter", "bitmask", "none"] {
            let host = Host::new();
            let sent = some_bytes(BYTES);
            let host_side = accept_and_exchange(host.listen(5000), sent.clone());
            let run = host.start("send=2048", &["--vcpus", vcpus, "--tier", tier, "--json"]);
            let ended = run.wait().expect_code(16);
            let came = host_side.join().expect("the host's side is done");
            assert_eq!(came.len(), 2 << 20);
            let expected = [
                "vsock: CID 52".to_owned(),
                "vsock: connected".into(),
                format!("vsock: sent {}", sum(&came)),
                format!("vsock: received {}", sum(&sent)),
            ];
            assert_eq!(lines(&ended), expected, "{vcpus} vCPUs, tier {tier}");
            assert_eq!(ended.report()["allocations_in_sealed_threads"], 0);
        }
    }
}

#[test]
fn a_stream_that_the_host_begins_brings_back_what_it_sends() {
    let host = Host::new();
    let mut run = host.start("listen=77 echo", &[]);
    run.wait_for("vsock: listening");
    let (stream, port) = host.connect(77);
    assert!(port >= 1 << 30, "{port} is none of those that services have");
    let sent = some_bytes(BYTES);
    let came = exchange(stream, sent.clone()).join().expect("the stream was read to its end");
    assert!(came == sent, "{} bytes came back of {}", came.len(), sent.len());
    run.wait().expect_code(16);
}

#[test]
fn whoever_asks_for_another_port_or_for_none_is_let_go_and_the_guest_is_not() {
    let host = Host::new();
    let mut run = host.start("listen=77", &[]);
    run.wait_for("vsock: listening");
    for says in ["CONNECT 78\n", "CONNECT x\n", "GET / HTTP/1.1\r\nHost: guest\r\n\r\n", "\n"] {
        let mut stream = UnixStream::connect(host.socket()).expect("the socket listens");
        stream.write_all(says.as_bytes()).expect("it takes a line");
        let mut answer = Vec::new();
        // What was not read when it was closed makes the end an error.
        match stream.read_to_end(&mut answer) {
            Ok(_) => {}
            Err(error) => assert_eq!(error.kind(), io::ErrorKind::ConnectionReset, "{says:?}"),
        }
        assert_eq!(answer, b"", "{says:?}");
    }
    // Who says nothing or only half of it keeps nobody waiting.
    let mut silent = UnixStream::connect(host.socket()).expect("the socket listens");
    silent.write_all(b"CONNECT 7").expect("it takes half a line");
    let (stream, _) = host.connect(77);
    drop(stream);
    run.wait().expect_code(16);
}

#[test]
fn a_port_where_nobody_listens_refuses_the_guest() {
    let host = Host::new();
    let ended = host.start("connect=6000", &[]).wait().expect_code(16 + 3);
    assert_eq!(lines(&ended), ["vsock: CID 52", "vsock: refused"]);
}

#[test]
fn each_side_may_end_its_own_direction_first() {
    // The host sends nothing, and takes what comes.
    let host = Host::new();
    let taker = accept_and_exchange(host.listen(5000), Vec::new());
    host.start("send=300", &[]).wait().expect_code(16);
    assert_eq!(taker.join().expect("it is done").len(), 300 << 10);
    // The guest sends nothing and says so; the host sends only then.
    let host = Host::new();
    let listener = host.listen(5000);
    let sender = thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("the guest comes");
        let mut came = Vec::new();
        stream.read_to_end(&mut came).expect("the guest has ended its direction");
        stream.write_all(&some_bytes(100_000)).expect("the other is open");
        came
    });
    let ended = host.start("", &[]).wait().expect_code(16);
    assert_eq!(sender.join().expect("it is done"), b"");
    assert_eq!(lines(&ended)[3], format!("vsock: received {}", sum(&some_bytes(100_000))));
}

/// A host side that takes a little of 4 MiB and then does this; how the guest ends, and its lines.
fn left_in_the_middle(leave: impl FnOnce(UnixStream) + Send + 'static, code: i32) -> Vec<String> {
    let host = Host::new();
    let listener = host.listen(5000);
    let leaver = thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("the guest comes");
        stream.read_exact(&mut [0; 1000]).expect("it sends");
        leave(stream);
    });
    let ended = host.start("send=4096", &[]).wait().expect_code(code);
    leaver.join().expect("it left");
    let lines = lines(&ended);
    assert!(!lines[2].contains("sent 4194304 bytes"), "{lines:?}");
    lines
}

#[test]
fn a_host_that_takes_no_more_leaves_a_guest_that_ends_in_order() {
    let leave = |mut stream: UnixStream| {
        stream.shutdown(Shutdown::Both).expect("a stream has two directions");
        stream.read_to_end(&mut Vec::new()).expect("what came before is still there");
    };
    assert_eq!(left_in_the_middle(leave, 16).len(), 4);
}

#[test]
fn a_host_that_throws_away_what_came_breaks_the_stream() {
    assert_eq!(left_in_the_middle(drop, 16 + 4)[4], "vsock: the stream broke");
}

/// Lets this process have as many descriptors as there can be streams, twice over.
fn raise_open_files() {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let wanted = 4096;
    if current.is_some_and(|current| current < wanted) {
        assert!(maximum.is_none_or(|maximum| maximum >= wanted), "ulimit -Hn is too low for this test");
        let limit = Rlimit { current: Some(wanted), maximum };
        setrlimit(Resource::Nofile, limit).expect("a process may raise its own limit to the hard one");
    }
}

#[test]
fn there_are_as_many_streams_as_descriptors_for_them_and_one_more_is_refused() {
    raise_open_files();
    let most = slot::VSOCK_STREAMS.count();
    let host = Host::new();
    let listener = host.listen(5000);
    let host_side = thread::spawn(move || {
        let mut streams: Vec<UnixStream> =
            (0..most).map(|_| listener.accept().expect("a stream comes").0).collect();
        for stream in &mut streams {
            let mut port = [0; 4];
            stream.read_exact(&mut port).expect("it says its port");
            stream.write_all(&port).expect("it takes it back");
        }
        for stream in &mut streams {
            assert_eq!(stream.read_to_end(&mut Vec::new()).expect("it ends"), 0);
        }
    });
    let ended = host.start("streams=1000", &["--json"]).wait().expect_code(16);
    host_side.join().expect("every stream had its answer");
    let expected = format!("vsock: 1000 streams, the host took {most}, answers on {most}");
    assert_eq!(lines(&ended), ["vsock: CID 52".to_owned(), expected]);
    assert_eq!(ended.report()["allocations_in_sealed_threads"], 0);
}

#[test]
fn a_driver_that_breaks_the_rules_loses_its_stream_or_resets_the_device_which_then_works_again() {
    for vcpus in ["1", "2"] {
        let host = Host::new();
        let listener = host.listen(5000);
        // Each stream ends on the host, whatever ended it; one breakage asks for two.
        let host_side = thread::spawn(move || {
            let mut ends = 0;
            for stream in listener.incoming() {
                let mut stream = stream.expect("a stream comes");
                let mut bytes = [0; 4096];
                while matches!(stream.read(&mut bytes), Ok(1..)) {
                    stream.write_all(b"here").expect("the last one takes this");
                }
                ends += 1;
                if ends == 11 {
                    return;
                }
            }
        });
        let ended = host.start("broken send=1", &["--vcpus", vcpus, "--json"]).wait().expect_code(16);
        host_side.join().expect("all streams ended");
        let breakages = [
            "vsock: more data than there is: the stream is reset",
            "vsock: more data than there is room for: the stream is reset",
            "vsock: an unknown operation: the stream is reset",
            "vsock: a second request: the stream is reset",
            "vsock: a stream that is not there: the stream is reset",
            "vsock: another kind of socket: the stream is reset",
            "vsock: a packet without a header: the device needs a reset",
            "vsock: a buffer that holds no packet: the device needs a reset",
            "vsock: a packet outside memory: the device needs a reset",
            "vsock: CID 52",
            "vsock: connected",
        ];
        assert_eq!(lines(&ended)[..breakages.len()], breakages);
        assert!(lines(&ended)[11].starts_with("vsock: sent 1024 bytes"), "{:?}", lines(&ended));
        assert_eq!(ended.report()["allocations_in_sealed_threads"], 0);
    }
}

#[test]
fn bytes_of_a_stream_leave_the_guest_for_no_thread() {
    let exits = |command_line: &str| {
        let host = Host::new();
        let host_side = accept_and_exchange(host.listen(5000), Vec::new());
        let ended = host.start(command_line, &["--json"]).wait().expect_code(16);
        host_side.join().expect("the host's side is done");
        let written = ended.output().len();
        (ended.report()["vcpu_exits"][0].as_u64().expect("exits are counted"), written)
    };
    let (few, many) = (exits("send=1000"), exits("send=9000"));
    assert!(few.0 > 0);
    assert_eq!(few, many, "two thousand packets more, and as many digits");
}

/// The link to a thread's root folder.
fn root_of(thread: &Thread) -> PathBuf {
    fs::read_link(format!("/proc/{}/task/{}/root", thread.pid, thread.tid)).expect("a thread has a root")
}

#[test]
fn whoever_may_has_its_io_thread_see_the_folder_of_the_socket_alone() {
    if !child::is_root() {
        eprintln!("skipped: only root may give a thread a root folder of its own");
        return;
    }
    let host = Host::new();
    let mut run = host.start("listen=1", &[]);
    run.wait_for("vsock: listening");
    let folder = host.folder.path().canonicalize().expect("it is there");
    for thread in ringfence_tests::procfs::threads(run.pid()) {
        let expected = if thread.name == "rf-io" { folder.as_path() } else { Path::new("/") };
        assert_eq!(root_of(&thread), expected, "{}", thread.name);
    }
}

#[test]
fn without_privileges_streams_go_the_same_ways() {
    if !child::is_root() {
        // Every other test is this one then.
        return;
    }
    let host = Host::new();
    let program = child::open_to_everyone(host.folder.path());
    let kvm = host.folder.path().join("kvm");
    child::make_kvm_for_everyone(&kvm).expect("root makes device files");
    fs::set_permissions(host.folder.path(), std::os::unix::fs::PermissionsExt::from_mode(0o777))
        .expect("the owner may change them");
    let listener = host.listen(5000);
    let place = host.folder.path().join("guest.sock_5000");
    fs::set_permissions(place, std::os::unix::fs::PermissionsExt::from_mode(0o777)).expect("so here");
    let host_side = accept_and_exchange(listener, some_bytes(BYTES));
    let mut command = run::run_command(&program);
    command.args(["vsock", "--vsock", &host.option(), "--exit-port", "--cmdline", "send=64"]);
    let seen =
        [(ringfence_tests::binary::ringfence(), program.as_path()), (kvm.as_path(), Path::new("/dev/kvm"))];
    child::mount(&mut command, &seen);
    child::become_nobody(&mut command);
    let ended = Run::start(&mut command).wait().expect_code(16);
    assert_eq!(host_side.join().expect("it is done").len(), 64 << 10);
    assert_eq!(lines(&ended)[3], format!("vsock: received {}", sum(&some_bytes(BYTES))));
}

#[test]
fn a_configuration_file_names_a_socket_device_and_the_command_line_wins() {
    let host = Host::new();
    let guest = host.folder.path().join("guest");
    let image = guest_images::bare::find("vsock").expect("there is one").image;
    fs::write(&guest, image).expect("the folder takes a file");
    let of_file = host.folder.path().join("file.sock");
    let text = serde_json::json!({
        "boot-source": { "kernel_image_path": guest, "boot_args": "connect=9" },
        "vsock": { "guest_cid": 1234, "uds_path": of_file },
    });
    let config = host.folder.path().join("machine.json");
    fs::write(&config, text.to_string()).expect("the folder takes a file");
    let config = config.to_str().expect("its path is text");
    let ended = run::guest(["--config", config]).wait().expect_code(0);
    assert_eq!(lines(&ended), ["vsock: CID 1234", "vsock: refused"]);
    let option = host.option();
    let ended = run::guest(["--config", config, "--vsock", &option]).wait().expect_code(0);
    assert_eq!(lines(&ended)[0], "vsock: CID 52");
    assert!(
        host.socket().exists() && of_file.exists(),
        "a run leaves its socket behind, as Firecracker does"
    );
}

#[test]
fn what_cannot_be_a_socket_device_is_told_before_anything_runs() {
    let host = Host::new();
    let refused =
        |option: &str, code: i32| run::guest(["vsock", "--vsock", option]).wait().expect_code(code).stderr;
    for (option, code, expected) in [
        ("2,/tmp/x.sock", 2, "`2` is no address of a guest"),
        ("x,/tmp/x.sock", 2, "`x` is no address of a guest"),
        ("/tmp/x.sock", 2, "a socket device is CID,SOCKET"),
        ("3,/no/such/folder/x.sock", 1, "No such file or directory (os error 2); its folder has to be there"),
    ] {
        let stderr = refused(option, code);
        assert!(stderr.contains(expected), "{option}: {stderr}");
    }
    fs::write(host.socket(), "").expect("the folder takes a file");
    let stderr = refused(&host.option(), 1);
    let advice = format!("if nobody needs it: rm {}", host.socket().display());
    assert!(stderr.contains(&advice), "{stderr}");
    let long = format!("3,{}/{}", host.folder.path().display(), "x".repeat(100));
    assert!(refused(&long, 1).contains("too long for a socket"));
    let ended = run::guest(["vsock", "--exit-port"]).wait().expect_code(17);
    assert_eq!(lines(&ended), ["vsock: there is no socket device; give me one with --vsock CID,SOCKET"]);
}

#[test]
fn whoever_is_early_waits_until_the_guest_has_a_driver() {
    let host = Host::new();
    // It has none; the other guest has.
    let option = host.option();
    let mut run = run::guest(["spin", "--vsock", &option, "--cmdline", "beat"]);
    run.wait_for("beat 1");
    let mut early = UnixStream::connect(host.socket()).expect("the socket listens");
    writeln!(early, "CONNECT 1").expect("it takes a line");
    early.set_nonblocking(true).expect("a socket can be so");
    wait::until("the guest to go on", || run.stdout().contains("beat 5").then_some(()));
    let nothing = early.read(&mut [0; 1]).expect_err("nobody has taken it");
    assert_eq!(nothing.kind(), io::ErrorKind::WouldBlock);
}
