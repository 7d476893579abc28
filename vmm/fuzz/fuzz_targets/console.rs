//! A console's two queues.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ringfence_fuzz::console::console;

fuzz_target!(|bytes: &[u8]| {
    console(bytes);
});
