//! Profiles of OCI runtimes.
#![no_main]

use libfuzzer_sys::fuzz_target;
use seccomp_policies_fuzz::imports::oci;

fuzz_target!(|bytes: &[u8]| {
    oci(bytes);
});
