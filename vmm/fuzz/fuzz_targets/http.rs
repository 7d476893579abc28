//! What clients send to the API.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ringfence_fuzz::http::http;

fuzz_target!(|bytes: &[u8]| {
    http(bytes);
});
