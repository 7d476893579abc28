//! What keeps a disk's bytes.

use vm_memory::VolatileSlice;

/// Why storage did not do what was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failed {
    /// An error of reading or writing.
    Input,
    /// It cannot do such a thing.
    Unsupported,
}

/// A file, as far as a disk needs it. Offsets and lengths lie on the disk: the device has checked them.
pub trait Storage: std::fmt::Debug {
    /// Fills guest memory with the bytes from `offset` on.
    ///
    /// # Errors
    /// [`Failed`]
    fn read(&self, offset: u64, memory: &VolatileSlice<'_>) -> Result<(), Failed>;

    /// Writes all bytes of guest memory from `offset` on. The guest may change them meanwhile.
    ///
    /// # Errors
    /// [`Failed`]
    fn write(&self, offset: u64, memory: &VolatileSlice<'_>) -> Result<(), Failed>;

    /// Comes back when everything that was written outlives a loss of power.
    ///
    /// # Errors
    /// [`Failed`]
    fn flush(&self) -> Result<(), Failed>;

    /// Nobody needs these bytes any more.
    ///
    /// # Errors
    /// [`Failed`]
    fn discard(&self, offset: u64, length: u64) -> Result<(), Failed>;

    /// Makes these bytes zeros; with `unmap` they need not keep their place.
    ///
    /// # Errors
    /// [`Failed`]
    fn zero(&self, offset: u64, length: u64, unmap: bool) -> Result<(), Failed>;
}
