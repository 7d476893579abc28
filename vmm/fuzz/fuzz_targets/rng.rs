//! Buffers for random bytes.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ringfence_fuzz::rng::rng;

fuzz_target!(|bytes: &[u8]| {
    rng(bytes);
});
