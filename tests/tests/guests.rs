//! Every bare-metal guest, to its end: what it says, and the exit code.

use std::fs;
use std::process::{Command, Stdio};

use guest_images::bare::boot_paths;
use ringfence_tests::binary;
use ringfence_tests::image::Kernel;
use ringfence_tests::run::{self, Ended, Run};
use serde_json::json;
use tempfile::TempDir;

const VCPUS: [&str; 3] = ["1", "2", "4"];

fn to_its_end(arguments: &[&str]) -> Ended {
    run::guest(arguments).wait()
}

/// No quirk, so that a kernel is told what the test says and nothing else.
const AS_IT_IS: [&str; 2] = ["--quirk", "none"];

/// The guest's lines, without the carriage returns that it ends them with.
fn lines(ended: &Ended) -> Vec<String> {
    ended.output().lines().map(|line| line.trim_end_matches('\r').to_owned()).collect()
}

fn file(folder: &TempDir, name: &str, bytes: &[u8]) -> String {
    let path = folder.path().join(name);
    fs::write(&path, bytes).expect("a file of a temporary folder can be written");
    path.to_str().expect("its path is text").to_owned()
}

#[test]
fn the_program_alone_runs_the_tour_and_counts_calls() {
    let folder = TempDir::new().unwrap();
    let mut command = Command::new(binary::ringfence());
    let pipes = Stdio::piped;
    command.current_dir(&folder).stdin(pipes()).stdout(pipes()).stderr(pipes());
    let ended = Run::start(&mut command).wait().expect_code(0);
    let lines = lines(&ended);
    assert_eq!(lines.last().unwrap(), "That was the tour. I press the reset button now.");
    assert!(lines.iter().any(|line| line.ends_with("its interrupt came: ready for more")), "{lines:#?}");
    assert!(ended.stderr.starts_with("ringfence: the guest reset the machine\n"), "{}", ended.stderr);
    assert!(ended.stderr.contains("rf-console  console  strict"), "{}", ended.stderr);
}

#[test]
fn the_tour_meets_a_second_processor_where_there_is_one() {
    for vcpus in ["2", "4"] {
        let ended = to_its_end(&["tour", "--vcpus", vcpus]).expect_code(0);
        let lines = lines(&ended);
        assert!(lines.contains(&format!("  cpus      {vcpus} in the MP table")), "{lines:#?}");
        assert!(lines.contains(&"  cpu 1     hello from the second processor".into()), "{lines:#?}");
    }
}

#[test]
fn smp_brings_up_every_processor_and_says_how_many() {
    for vcpus in [1, 2, 4, 32] {
        let number = vcpus.to_string();
        let ended = to_its_end(&["smp", "--exit-port", "--vcpus", &number]).expect_code(16 + vcpus);
        assert_eq!(lines(&ended), [format!("smp: {vcpus} of {vcpus} processors up")]);
    }
}

/// Marsaglia's xorshift64, as the guest computes it.
fn xorshift64(rounds: u64) -> u64 {
    (0..rounds).fold(88_172_645_463_325_252_u64, |mut x, _| {
        x ^= x << 13;
        x ^= x >> 7;
        x ^ (x << 17)
    })
}

#[test]
fn compute_computes_what_the_host_computes() {
    let expected = format!("compute: result {}", xorshift64(3_000_000));
    for vcpus in VCPUS {
        let ended = to_its_end(&["compute", "--cmdline", "3", "--vcpus", vcpus]).expect_code(0);
        assert_eq!(lines(&ended), ["compute: 3 million rounds of xorshift64 in ring 3", expected.as_str()]);
    }
}

fn exits_of_first_vcpu(cmdline: &str) -> u64 {
    let ended = to_its_end(&["exits", "--json", "--cmdline", cmdline]).expect_code(0);
    ended.report()["vcpu_exits"][0].as_u64().expect("a number of exits")
}

#[test]
fn each_port_access_more_is_one_exit_more() {
    assert_eq!(exits_of_first_vcpu("3000") - exits_of_first_vcpu("1000"), 2000);
}

#[test]
fn each_access_to_unmapped_memory_more_is_one_exit_more() {
    assert_eq!(exits_of_first_vcpu("mmio=900") - exits_of_first_vcpu("mmio=300"), 600);
}

#[test]
fn only_vcpus_that_were_started_leave_the_guest() {
    let report = to_its_end(&["exits", "--json", "--cmdline", "100", "--vcpus", "2"]).expect_code(0).report();
    assert_eq!(report["vcpu_exits"][1], 0, "{report}");
}

#[test]
fn hostile_guest_is_survived_with_few_and_many_vcpus_and_with_memory_above_4_gib() {
    for vcpus in VCPUS {
        for memory in ["128", "5120"] {
            let machine = ["--vcpus", vcpus, "--memory", memory, "--exit-port"];
            let arguments = ["hostile", "--cmdline", "step=16"].into_iter().chain(machine);
            // The guest's verdict is 0x2a.
            let ended = run::guest(arguments).wait().expect_code(16 + 0x2a);
            assert!(lines(&ended).last().unwrap().ends_with("you are still there. Well done."));
        }
    }
}

#[test]
fn hostile_guest_touches_every_port_and_lives() {
    let ended = to_its_end(&["hostile", "--exit-port"]).expect_code(16 + 0x2a);
    assert!(ended.output().contains("65536 ports, with 1, 2 and 4 bytes"), "{}", ended.stderr);
}

#[test]
fn triple_fault_is_said_in_plain_words_with_its_place() {
    for vcpus in VCPUS {
        let ended = to_its_end(&["fault", "--vcpus", vcpus]).expect_code(3);
        let expected = "ringfence: vCPU 0: the processor shut down (triple fault)\n  at RIP 0x";
        assert!(ended.stderr.starts_with(expected), "{}", ended.stderr);
        assert!(lines(&ended)[0].starts_with("fault: I take the handlers away"));
    }
}

#[test]
fn kernel_panic_on_the_console_is_told_with_the_reset_that_follows() {
    let ended = to_its_end(&["panic"]).expect_code(0);
    let expected = "ringfence: the guest reset the machine, after its console had shown a kernel panic\n";
    assert!(ended.stderr.starts_with(expected), "{}", ended.stderr);
}

#[test]
fn echo_answers_each_line_and_ends_on_quit() {
    for vcpus in VCPUS {
        let mut run = run::guest(["echo", "--vcpus", vcpus]);
        run.wait_for("\"quit\" ends me.");
        run.say("good morning\n");
        run.wait_for("you said: good morning\r\n");
        run.say("quit\n");
        let ended = run.wait().expect_code(0);
        assert_eq!(lines(&ended).last().unwrap(), "echo: goodbye");
    }
}

#[test]
fn elf_without_a_pvh_note_is_started_by_the_64_bit_protocol() {
    let folder = TempDir::new().unwrap();
    let kernel = file(&folder, "linux64", boot_paths::LINUX64);
    let ended =
        to_its_end(&["--kernel", &kernel, "--cmdline", "one two", AS_IT_IS[0], AS_IT_IS[1]]).expect_code(0);
    let first = &lines(&ended)[0];
    assert!(first.starts_with("hello: started by ") && !first.contains("PVH"), "{first}");
    assert!(first.ends_with("command line \"one two\""), "{first}");
}

#[test]
fn quirk_of_an_emulated_ring_0_adds_its_switches_behind_what_the_user_says() {
    let folder = TempDir::new().unwrap();
    let kernel = file(&folder, "linux64", boot_paths::LINUX64);
    let ended = to_its_end(&["--kernel", &kernel, "--cmdline", "one two", "--quirk", "emulated-ring0"])
        .expect_code(0);
    assert!(lines(&ended)[0].contains("command line \"one two clearcpuid="), "{}", ended.output());
}

#[test]
fn bzimage_is_started() {
    let folder = TempDir::new().unwrap();
    let kernel = file(&folder, "bzImage", boot_paths::BZIMAGE);
    let ended = to_its_end(&[&kernel, "--cmdline", "one two", AS_IT_IS[0], AS_IT_IS[1]]).expect_code(0);
    let first = &lines(&ended)[0];
    assert!(
        first.starts_with("hello: started by ") && first.ends_with("command line \"one two\""),
        "{first}"
    );
}

#[test]
fn kernel_from_a_file_is_told_its_console_unless_it_is_told_something_else() {
    let folder = TempDir::new().unwrap();
    let kernel = file(&folder, "linux64", boot_paths::LINUX64);
    let ended = to_its_end(&["--kernel", &kernel, AS_IT_IS[0], AS_IT_IS[1]]).expect_code(0);
    assert!(
        lines(&ended)[0].ends_with("command line \"console=ttyS0 reboot=k panic=-1\""),
        "{}",
        ended.output()
    );
}

#[test]
fn exit_port_yields_16_and_six_bits_so_that_no_guest_can_fake_another_code() {
    let folder = TempDir::new().unwrap();
    for verdict in [0, 1, 63, 64, 132, 148, 255_u8] {
        let kernel = file(&folder, "kernel", &Kernel::with_verdict(verdict).file());
        let ended =
            to_its_end(&["--kernel", &kernel, "--exit-port"]).expect_code(16 + i32::from(verdict & 63));
        let expected = format!("ringfence: the guest wrote {verdict} to the exit port\n");
        assert!(ended.stderr.starts_with(&expected), "{}", ended.stderr);
    }
}

#[test]
fn without_the_option_there_is_no_exit_port() {
    let folder = TempDir::new().unwrap();
    let kernel = file(&folder, "kernel", &Kernel::with_verdict(5).file());
    let report = to_its_end(&["--kernel", &kernel, "--json"]).expect_code(0).report();
    assert_eq!(report["cause"], "reset");
}

#[test]
fn configuration_file_describes_the_machine_and_options_win_over_it() {
    let folder = TempDir::new().unwrap();
    let kernel = file(&folder, "kernel", boot_paths::LINUX64);
    let document = json!({
        "boot-source": { "kernel_image_path": kernel, "boot_args": "from the file" },
        "machine-config": { "vcpu_count": 2, "mem_size_mib": 64 },
    });
    let config = file(&folder, "machine.json", document.to_string().as_bytes());
    let ended = to_its_end(&["--config", &config, "--json", AS_IT_IS[0], AS_IT_IS[1]]).expect_code(0);
    assert!(lines(&ended)[0].ends_with("command line \"from the file\""), "{}", ended.output());
    assert!(ended.output().contains("usable memory from 100000, 64512 KiB"), "{}", ended.output());
    assert_eq!(ended.report()["vcpu_exits"].as_array().unwrap().len(), 2);

    let options =
        ["--vcpus", "3", "--memory", "32", "--cmdline", "mine", "--json"].into_iter().chain(AS_IT_IS);
    let ended = run::guest(["--config", &config].into_iter().chain(options)).wait().expect_code(0);
    assert!(lines(&ended)[0].ends_with("command line \"mine\""), "{}", ended.output());
    assert!(ended.output().contains("usable memory from 100000, 31744 KiB"), "{}", ended.output());
    assert_eq!(ended.report()["vcpu_exits"].as_array().unwrap().len(), 3);
}
