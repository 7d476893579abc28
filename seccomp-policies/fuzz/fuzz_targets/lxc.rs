//! Profiles of LXC.
#![no_main]

use libfuzzer_sys::fuzz_target;
use seccomp_policies_fuzz::imports::lxc;

fuzz_target!(|bytes: &[u8]| {
    lxc(bytes);
});
