//! Frames in both directions.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ringfence_fuzz::net::net;

fuzz_target!(|bytes: &[u8]| {
    net(bytes);
});
