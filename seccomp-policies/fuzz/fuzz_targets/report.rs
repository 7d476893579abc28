//! Reports of a run, of which the counts are read.
#![no_main]

use libfuzzer_sys::fuzz_target;
use seccomp_policies_fuzz::traces::report;

fuzz_target!(|bytes: &[u8]| {
    report(bytes);
});
