//! The pages behind the guest's memory.

use rustix::mm::Advice;
use vm_memory::{GuestAddress, GuestMemoryBackend as _, GuestMemoryMmap};

use crate::devices::virtio::balloon::Pages;

/// Those of this process, mapped privately and backed by no file.
#[derive(Debug)]
pub(super) struct HostPages;

impl Pages for HostPages {
    fn release(&self, memory: &GuestMemoryMmap, start: GuestAddress, bytes: u64) -> bool {
        let Some(slice) = usize::try_from(bytes).ok().and_then(|bytes| memory.get_slice(start, bytes).ok())
        else {
            return false;
        };
        let guard = slice.ptr_guard_mut();
        // SAFETY: the slice is guest memory that is mapped as long as the process lives. Nothing but the guest counts on its
        // content: this program copies it and keeps no reference into it. A refused call leaves the pages as they are, which
        // is what a balloon may do as well.
        let _ = unsafe { rustix::mm::madvise(guard.as_ptr().cast(), slice.len(), Advice::LinuxDontNeed) };
        true
    }
}
