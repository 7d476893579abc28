//! Programs made of the input, run and decided.
#![no_main]

use libfuzzer_sys::fuzz_target;
use seccomp_policies_fuzz::programs::programs;

fuzz_target!(|bytes: &[u8]| {
    programs(bytes);
});
