//! What a driver gives a balloon.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ringfence_fuzz::balloon::balloon;

fuzz_target!(|bytes: &[u8]| {
    balloon(bytes);
});
