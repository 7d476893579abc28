//! The registers of a device, in every state.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ringfence_fuzz::transport::transport;

fuzz_target!(|bytes: &[u8]| {
    transport(bytes);
});
