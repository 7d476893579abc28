//! Policies made of the input, by every backend and in every form.
#![no_main]

use libfuzzer_sys::fuzz_target;
use seccomp_policies_fuzz::backends::backends;

fuzz_target!(|bytes: &[u8]| {
    backends(bytes);
});
