//! Logs and tables of `strace` and `perf trace`.
#![no_main]

use libfuzzer_sys::fuzz_target;
use seccomp_policies_fuzz::traces::strace;

fuzz_target!(|bytes: &[u8]| {
    strace(bytes);
});
