//! Clients of Firecracker that others wrote, driving ringfence in its place: each starts the program, configures a
//! machine, starts, pauses and resumes it, and ends it.
#![forbid(unsafe_code)]

mod fctools;
mod firecracker_rs_sdk;

use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use guest_images::bare;
use ringfence_tests::api::Client;
use ringfence_tests::{binary, run};
use serde_json::Value;
use tempfile::TempDir;

/// What a client is handed: the program under Firecracker's name, a kernel, a disk, and a place for the socket.
struct Files {
    folder: TempDir,
}

impl Files {
    /// With the image of the embedded guest `name` as the kernel.
    fn of(name: &str) -> Self {
        run::require_kvm();
        let files = Self { folder: tempfile::tempdir().expect("a temporary folder") };
        let guest = bare::find(name).unwrap_or_else(|| panic!("no guest {name}"));
        fs::write(files.kernel(), guest.image).expect("the folder takes a file");
        File::create(files.disk()).and_then(|file| file.set_len(1 << 20)).expect("the folder takes a file");
        symlink(binary::ringfence(), files.firecracker()).expect("the folder takes a link");
        files
    }

    fn folder(&self) -> &Path {
        self.folder.path()
    }

    fn firecracker(&self) -> PathBuf {
        self.folder().join("firecracker")
    }

    fn kernel(&self) -> PathBuf {
        self.folder().join("kernel")
    }

    fn disk(&self) -> PathBuf {
        self.folder().join("disk")
    }

    fn socket(&self) -> PathBuf {
        self.folder().join("socket")
    }

    /// The machine as the program says that it is configured, asked for past the client.
    fn configuration(&self) -> Value {
        let stream = UnixStream::connect(self.socket()).expect("the socket takes connections");
        let answer = Client::of(stream).ask("GET", "/vm/config", "");
        assert_eq!(answer.status, 200, "{}", answer.body);
        serde_json::from_str(&answer.body).expect("an answer is JSON")
    }

    /// Fails where the machine is not what the clients here configure.
    fn expect_configured(&self) {
        let configuration = self.configuration();
        let machine = &configuration["machine-config"];
        assert_eq!((&machine["vcpu_count"], &machine["mem_size_mib"]), (&2.into(), &96.into()), "{machine}");
        let path = |value: &Value| value.as_str().map(PathBuf::from);
        let drive = &configuration["drives"][0];
        assert_eq!((&drive["drive_id"], &drive["is_read_only"]), (&"data".into(), &true.into()), "{drive}");
        assert_eq!(path(&drive["path_on_host"]), Some(self.disk()));
        assert_eq!(path(&configuration["boot-source"]["kernel_image_path"]), Some(self.kernel()));
        assert_eq!(configuration["balloon"]["amount_mib"], 8);
        assert!(configuration["entropy"].is_object(), "{configuration}");
    }
}
