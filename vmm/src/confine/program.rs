//! The pages of the program itself: code and constants, mapped from its file.

use std::ffi::c_void;

unsafe extern "C" {
    /// The first byte of the program in memory, and the first after its code: the linker defines both (GNU ld and lld do).
    #[link_name = "__executable_start"]
    static START: u8;
    #[link_name = "etext"]
    static END_OF_CODE: u8;
}

/// Lets go of the pages that only the start of a run needed, most of the program: parsing the command line, building the
/// machine. What is needed again comes back from the file, which the host keeps in memory for all runs, as each page did the first
/// time. To be called before main is fenced.
///
/// A breakpoint that a debugger has set before is lost with its page.
pub fn give_back() {
    let (start, end) = (&raw const START, &raw const END_OF_CODE);
    let bytes = end.addr().saturating_sub(start.addr());
    // SAFETY: from its first byte to the end of its code the program is mapped from its file without being writable, so that
    // every page comes back as it was. Where the call fails, they stay.
    let _ = unsafe {
        rustix::mm::madvise(start.cast::<c_void>().cast_mut(), bytes, rustix::mm::Advice::LinuxDontNeed)
    };
}
