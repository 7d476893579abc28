//! Packets of streams in both directions.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ringfence_fuzz::vsock::vsock;

fuzz_target!(|bytes: &[u8]| {
    vsock(bytes);
});
