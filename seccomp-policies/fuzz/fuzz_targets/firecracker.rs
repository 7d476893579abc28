//! Firecracker's and seccompiler's JSON.
#![no_main]

use libfuzzer_sys::fuzz_target;
use seccomp_policies_fuzz::imports::firecracker;

fuzz_target!(|bytes: &[u8]| {
    firecracker(bytes);
});
