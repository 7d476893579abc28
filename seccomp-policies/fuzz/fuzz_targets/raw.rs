//! Programs as bytes and as listings.
#![no_main]

use libfuzzer_sys::fuzz_target;
use seccomp_policies_fuzz::imports::raw;

fuzz_target!(|bytes: &[u8]| {
    raw(bytes);
});
