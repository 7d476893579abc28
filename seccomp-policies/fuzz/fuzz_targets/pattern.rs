//! Calls as people write them.
#![no_main]

use libfuzzer_sys::fuzz_target;
use seccomp_policies_fuzz::patterns::pattern;

fuzz_target!(|bytes: &[u8]| {
    pattern(bytes);
});
