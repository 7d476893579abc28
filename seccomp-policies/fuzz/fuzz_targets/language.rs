//! The policy language.
#![no_main]

use libfuzzer_sys::fuzz_target;
use seccomp_policies_fuzz::languages::language;

fuzz_target!(|bytes: &[u8]| {
    language(bytes);
});
