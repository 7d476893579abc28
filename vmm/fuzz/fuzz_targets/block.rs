//! Requests to a disk.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ringfence_fuzz::block::block;

fuzz_target!(|bytes: &[u8]| {
    block(bytes);
});
