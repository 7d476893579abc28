//! Policies of minijail.
#![no_main]

use libfuzzer_sys::fuzz_target;
use seccomp_policies_fuzz::imports::minijail;

fuzz_target!(|bytes: &[u8]| {
    minijail(bytes);
});
