//! Configuration files.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ringfence_fuzz::config::config;

fuzz_target!(|bytes: &[u8]| {
    config(bytes);
});
