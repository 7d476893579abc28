//! Counts of calls, as `.profile` files.
#![no_main]

use libfuzzer_sys::fuzz_target;
use seccomp_policies_fuzz::profiles::profile;

fuzz_target!(|bytes: &[u8]| {
    profile(bytes);
});
