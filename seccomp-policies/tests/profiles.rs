//! Profiles: what a file says, and what is said of a wrong one.

use proptest::prelude::*;
use seccomp_policies::language;
use seccomp_policies::profile::Profile;
use seccomp_policies::syscalls::Arch;

const GOOD: &str = "\
# Counted by a tracer.
workload a guest that prints  # to its console
kernel 6.18.44
date 2026-11-24

  ioctl 192044
write\t5120
futex 0
";

/// What is said of a text that is no profile.
fn errors(text: &str) -> String {
    match Profile::from_text("test.profile", text) {
        Ok(profile) => panic!("{profile}"),
        Err(findings) => findings.render(false),
    }
}

#[test]
fn a_profile_says_what_was_counted_where_and_when() {
    let profile = Profile::from_text("test.profile", GOOD).unwrap();
    assert_eq!(profile.workload, "a guest that prints  # to its console");
    assert_eq!((profile.kernel.as_str(), profile.date.as_str()), ("6.18.44", "2026-11-24"));
    let counts: Vec<_> = profile.counts.iter().map(|(call, count)| (call.as_str(), *count)).collect();
    assert_eq!(counts, [("futex", 0), ("ioctl", 192_044), ("write", 5120)]);
}

#[test]
fn a_printed_profile_has_the_most_frequent_call_first_and_reads_as_the_same() {
    let profile = Profile::from_text("test.profile", GOOD).unwrap();
    let text = profile.to_string();
    insta::assert_snapshot!(text, @r"
    workload a guest that prints  # to its console
    kernel 6.18.44
    date 2026-11-24

    ioctl 192044
    write 5120
    futex 0
    ");
    assert_eq!(Profile::from_text("again.profile", &text), Ok(profile));
}

#[test]
fn calls_and_counts_that_are_none_are_underlined() {
    insta::assert_snapshot!(errors(
        "workload w\nkernel k\ndate 2026-11-24\niotcl 7\nread\nwrite 0x10\nclose 18446744073709551616\nread 1\nread 2\n"
    ), @r"
    error: unknown call `iotcl`
     --> test.profile:4:1
      |
    4 | iotcl 7
      | ^^^^^ no kernel has it
      |
      = help: did you mean `ioctl`?

    error: `read` has no count
     --> test.profile:5:1
      |
    5 | read
      | ^^^^ how often?
      |
      = help: write a line for it as in `read 1000`

    error: `0x10` is no count
     --> test.profile:6:7
      |
    6 | write 0x10
      |       ^^^^ not a decimal number of 64 bits
      |
      = help: a line is a call and a decimal number up to 18446744073709551615

    error: `18446744073709551616` is no count
     --> test.profile:7:7
      |
    7 | close 18446744073709551616
      |       ^^^^^^^^^^^^^^^^^^^^ not a decimal number of 64 bits
      |
      = help: a line is a call and a decimal number up to 18446744073709551615

    error: `read` is counted twice
     --> test.profile:9:1
      |
    8 | read 1
      | ---- first here
    9 | read 2
      | ^^^^ again here
      |
      = help: add the two counts, or take one away
    ");
}

#[test]
fn a_header_that_is_missing_empty_twice_or_no_date_is_an_error() {
    insta::assert_snapshot!(errors("kernel 6.18\nread 1\n"), @r"
    error: the profile has no `workload`, no `date`
     --> test.profile:1:1
      |
    1 | kernel 6.18
      | ^ counts alone say little
      |
      = help: `workload TEXT` says what ran while calls were counted
      = help: `date YYYY-MM-DD` says when
    ");
    insta::assert_snapshot!(errors("workload\nkernel a\nkernel b\ndate 24.11.2026\n"), @r"
    error: `workload` says nothing
     --> test.profile:1:1
      |
    1 | workload
      | ^^^^^^^^ text is missing after this
      |
      = help: `workload TEXT` says what ran while calls were counted

    error: `kernel` is said twice
     --> test.profile:3:1
      |
    2 | kernel a
      | -------- first said here
    3 | kernel b
      | ^^^^^^ said again here
      |
      = help: take one of the two away

    error: `24.11.2026` is no date
     --> test.profile:4:6
      |
    4 | date 24.11.2026
      |      ^^^^^^^^^^ not of the form YYYY-MM-DD
      |
      = help: write it as in `date 2026-11-24`
    ");
}

#[test]
fn a_profile_that_is_not_there_is_an_error_with_its_path() {
    let error = Profile::load(std::path::Path::new("/nowhere/test.profile")).unwrap_err().to_string();
    assert!(error.contains("cannot read the profile /nowhere/test.profile: No such file"), "{error}");
}

const POLICY: &str = "role r\ntier filter\notherwise trap\nfrequency \"r.profile\"\nread: -- input\n";

#[test]
fn the_profile_that_a_policy_names_is_read_with_it() {
    let sources = [("r.policy", POLICY), ("r.profile", GOOD)];
    let checked = language::check_sources("r.policy", &sources, Arch::X86_64).unwrap();
    assert_eq!(checked.profile, Some(Profile::from_text("r.profile", GOOD).unwrap()));
    assert_eq!(checked.sources[1].1, GOOD, "so that the same program can be compiled again");
    let without = language::check_sources("r.policy", &sources[..1], Arch::X86_64).unwrap();
    assert_eq!(without.profile, None);
}

#[test]
fn what_is_wrong_with_a_policys_profile_is_underlined_in_the_profile() {
    let sources = [("r.policy", POLICY), ("r.profile", "workload w\nkernel k\ndate 2026-11-24\nread much\n")];
    let findings = language::check_sources("r.policy", &sources, Arch::X86_64).unwrap_err();
    insta::assert_snapshot!(findings.render(false), @r"
    error: `much` is no count
     --> r.profile:4:6
      |
    4 | read much
      |      ^^^^ not a decimal number of 64 bits
      |
      = help: a line is a call and a decimal number up to 18446744073709551615
    ");
}

proptest! {
    #[test]
    fn any_text_is_a_profile_or_an_error(text in "[a-z0-9 #\\t\\r\\n-]{0,80}") {
        match Profile::from_text("any.profile", &text) {
            Ok(profile) => prop_assert_eq!(Profile::from_text("again.profile", &profile.to_string()), Ok(profile)),
            Err(findings) => prop_assert!(!findings.render(false).is_empty()),
        }
    }
}
