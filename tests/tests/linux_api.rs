//! A Linux guest that `curl` alone has configured, by Firecracker's API, with every kind of device that the API has.
#![forbid(unsafe_code)]

/// `tests/run --quick` leaves out what stands in a module of this name.
mod linux_guest {
    use std::fs;
    use std::io::{Read as _, Write as _};
    use std::net::Shutdown;
    use std::os::unix::net::{UnixListener, UnixStream};
    use std::process::Command;

    use ringfence_tests::api::{self, Served};
    use ringfence_tests::linux::{image, kernel_of_this_host};
    use ringfence_tests::{network, procfs, wait};
    use serde_json::{Value, json};

    const MEBIBYTES_2: usize = 2 << 20;

    /// The answer to a request by curl, which must be a good one.
    fn curl(served: &Served, method: &str, path: &str, body: &Value) -> String {
        let mut command = Command::new("curl");
        command.args(["--silent", "--show-error", "--fail-with-body", "-X", method, "--unix-socket"]);
        command.arg(served.socket()).arg(format!("http://localhost{path}"));
        if !body.is_null() {
            command.args(["-d", &body.to_string()]);
        }
        let output = command.output().expect("curl is installed, as tests/run sees to");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{method} {path} {body}: {text}{errors}");
        text
    }

    fn put(served: &Served, path: &str, body: &Value) {
        curl(served, "PUT", path, body);
    }

    fn patch(served: &Served, path: &str, body: &Value) {
        curl(served, "PATCH", path, body);
    }

    fn get(served: &Served, path: &str) -> Value {
        serde_json::from_str(&curl(served, "GET", path, &Value::Null)).expect("an answer is JSON")
    }

    fn configure(served: &Served) {
        let disk = served.folder().join("disk.ext4");
        fs::copy(image("rootfs.ext4"), &disk).expect("the folder takes a file");
        put(served, "/machine-config", &json!({ "vcpu_count": 1, "mem_size_mib": 128 }));
        let boot = json!({
            "kernel_image_path": image(kernel_of_this_host()),
            "initrd_path": image("initrd.cpio"),
            "boot_args": "console=hvc0 quiet reboot=k panic=-1",
        });
        put(served, "/boot-source", &boot);
        let drive = json!({
            "drive_id": "data", "path_on_host": disk, "is_root_device": false, "is_read_only": true,
            "io_engine": "Async",
        });
        put(served, "/drives/data", &drive);
        let interface =
            json!({ "iface_id": "eth0", "host_dev_name": "tap0", "guest_mac": "06:00:ac:10:00:02" });
        put(served, "/network-interfaces/eth0", &interface);
        put(served, "/vsock", &json!({ "guest_cid": 52, "uds_path": served.folder().join("v") }));
        put(served, "/entropy", &json!({}));
        put(served, "/console", &json!({ "kind": "virtio" }));
        let balloon = json!({ "amount_mib": 0, "deflate_on_oom": true, "stats_polling_interval_s": 1 });
        put(served, "/balloon", &balloon);
    }

    /// The guest finds another file behind its disk, with its size, and reboots. By a shell, which throws away what was typed
    /// ahead when it ends.
    fn change_disk_and_reboot(served: &mut Served) {
        let other = served.folder().join("other");
        fs::write(&other, b"another disk's contents\n".repeat(4096)).expect("the folder takes a file");
        let sum = network::command(&format!("sha256sum {}", other.display()))[..64].to_owned();
        patch(served, "/drives/data", &json!({ "drive_id": "data", "path_on_host": other }));
        served.run.say("sh\n");
        served
            .run
            .say("echo sectors: $(cat /sys/block/vda/size); sha256sum /dev/vda; /bin/busybox reboot -f\n");
        served.run.wait_for(&format!("sectors: {}", 24 * 4096 / 512));
        served.run.wait_for(&format!("{sum}  /dev/vda"));
    }

    /// Both ways by a stream that the guest begins, and by one that the host begins.
    fn exchange_by_sockets(served: &mut Served) {
        let some: Vec<u8> = (0..MEBIBYTES_2).map(|at| (at * 7 + at / 251).to_le_bytes()[0]).collect();
        let file = served.folder().join("some");
        fs::write(&file, &some).expect("the folder takes a file");
        let sum = network::command(&format!("sha256sum {}", file.display()))[..64].to_owned();

        let listen = |port: &str| {
            UnixListener::bind(served.folder().join(format!("v_{port}"))).expect("the folder takes a socket")
        };
        let (taking, giving) = (listen("1000"), listen("1001"));
        served.run.say("take 1000\n");
        taking.accept().expect("the guest comes").0.write_all(&some).expect("the guest takes it");
        served.run.wait_for(&format!("ringfence-guest: took {sum}"));

        served.run.say(&format!("give 1001 {MEBIBYTES_2}\n"));
        let mut given = Vec::new();
        giving
            .accept()
            .expect("the guest comes")
            .0
            .read_to_end(&mut given)
            .expect("the guest gives all of it");
        served.run.wait_for(&format!("ringfence-guest: gave {MEBIBYTES_2}"));
        assert_eq!(given.len(), MEBIBYTES_2);
        assert!(given.chunks(10).all(|line| b"ringfence\n".starts_with(line)));

        served.run.say("wait 99 65536\n");
        served.run.wait_for("ringfence-guest: waiting at 99");
        let mut stream = wait::until("the guest to listen", || {
            let mut stream = UnixStream::connect(served.folder().join("v")).expect("the socket is there");
            stream.write_all(b"CONNECT 99\n").expect("it takes a line");
            line(&mut stream).starts_with("OK ").then_some(stream)
        });
        stream.write_all(&some).expect("the guest takes it");
        stream.shutdown(Shutdown::Write).expect("a stream has two directions");
        let mut brought = Vec::new();
        stream.read_to_end(&mut brought).expect("the guest gives all of it");
        served.run.wait_for(&format!("ringfence-guest: was brought {sum}"));
        assert_eq!(brought.len(), 65536);
        assert!(brought.chunks(10).all(|line| b"ringfence\n".starts_with(line)));
    }

    /// A line, or what came of one before the end.
    fn line(stream: &mut UnixStream) -> String {
        let (mut line, mut byte) = (String::new(), [0]);
        while stream.read_exact(&mut byte).is_ok() && byte != *b"\n" {
            line.push(char::from(byte[0]));
        }
        line
    }

    #[test]
    fn configured_by_curl_alone_a_machine_with_every_device_does_its_work_and_pauses_on_the_way() {
        network::in_namespace(|| {
            let mut served = api::serve::<&str>([]);
            configure(&served);
            put(&served, "/actions", &json!({ "action_type": "InstanceStart" }));
            assert_eq!(get(&served, "/")["state"], "Running");
            served.run.wait_for("ringfence-guest: init reached");
            for state in ["Paused", "Paused", "Resumed"] {
                patch(&served, "/vm", &json!({ "state": state }));
            }
            served.run.wait_for("ringfence-guest: ready");
            let threads =
                procfs::threads(served.run.pid()).into_iter().filter(|thread| !thread.is_kernel_worker());
            let held = threads.map(|thread| (thread.seccomp_filters, thread.name));
            let unheld: Vec<String> = held
                .filter(|(filters, name)| *filters != u32::from(name != "rf-console"))
                .map(|held| held.1)
                .collect();
            assert!(unheld.is_empty(), "not under one filter, or the console not in strict mode: {unheld:?}");

            served.run.say("devices\n");
            let all = "LNRO0005:00 LNRO0005:01 LNRO0005:02 LNRO0005:03 LNRO0005:04 LNRO0005:05";
            served.run.wait_for(&format!("ringfence-guest: devices: {all}\r\n"));
            served.run.say("random\n");
            served.run.wait_for("ringfence-guest: random: from virtio_rng");

            patch(&served, "/balloon", &json!({ "amount_mib": 8 }));
            wait::until("the guest to give 8 MiB", || {
                let statistics = get(&served, "/balloon/statistics");
                (statistics["actual_mib"] == 8 && statistics["total_memory"].as_u64() > Some(64 << 20))
                    .then_some(())
            });
            patch(&served, "/balloon", &json!({ "amount_mib": 0 }));

            network::command("ip address add 10.0.0.1/24 dev tap0");
            served.run.say("net 10.0.0.2\n");
            served.run.wait_for("ringfence-guest: net: eth0 06:00:ac:10:00:02");
            let ping = network::command("busybox ping -c 2 -W 60 10.0.0.2");
            assert!(ping.contains("2 packets received"), "{ping}");

            exchange_by_sockets(&mut served);
            change_disk_and_reboot(&mut served);
            served.wait().expect_code(0);
        });
    }
}
