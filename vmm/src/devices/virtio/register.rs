//! Offsets of the registers of a device over MMIO, virtio 1.2 table 4.1 (Linux `include/uapi/linux/virtio_mmio.h`).

/// Reads as [`MAGIC`].
pub const MAGIC_VALUE: u64 = 0x000;
/// Version of the transport: 2.
pub const VERSION: u64 = 0x004;
/// Device type.
pub const DEVICE_ID: u64 = 0x008;
/// Vendor: 0, as in Firecracker.
pub const VENDOR_ID: u64 = 0x00c;
/// 32 of the device's features, those that [`DEVICE_FEATURES_SEL`] selects.
pub const DEVICE_FEATURES: u64 = 0x010;
/// 0 for features 0 to 31, 1 for 32 to 63.
pub const DEVICE_FEATURES_SEL: u64 = 0x014;
/// 32 of the features that the driver takes.
pub const DRIVER_FEATURES: u64 = 0x020;
/// Which 32.
pub const DRIVER_FEATURES_SEL: u64 = 0x024;
/// The queue that the next registers are about.
pub const QUEUE_SEL: u64 = 0x030;
/// Its greatest size.
pub const QUEUE_NUM_MAX: u64 = 0x034;
/// Its size.
pub const QUEUE_NUM: u64 = 0x038;
/// Whether it may be used.
pub const QUEUE_READY: u64 = 0x044;
/// The driver has put buffers into this queue; an ioeventfd hears it, so that it leaves no trace here.
pub const QUEUE_NOTIFY: u64 = 0x050;
/// Why the device interrupts: bit 0 used buffers, bit 1 its configuration changed.
pub const INTERRUPT_STATUS: u64 = 0x060;
/// Clears bits of it.
pub const INTERRUPT_ACK: u64 = 0x064;
/// Device status.
pub const STATUS: u64 = 0x070;
/// Descriptor table, low half; the high half follows it, here and below.
pub const QUEUE_DESC: u64 = 0x080;
/// Available ring.
pub const QUEUE_DRIVER: u64 = 0x090;
/// Used ring.
pub const QUEUE_DEVICE: u64 = 0x0a0;
/// Length of a shared memory region, four words with its address: all ones where there is none.
pub const SHM_LEN: u64 = 0x0b0;
/// The last of these words.
pub const SHM_BASE_HIGH: u64 = 0x0bc;
/// Changes with the configuration.
pub const CONFIG_GENERATION: u64 = 0x0fc;
/// The device's configuration space.
pub const CONFIG: u64 = 0x100;

/// "virt", little-endian.
pub const MAGIC: u32 = 0x7472_6976;

/// Bits of the device status, virtio 1.2 section 2.1.
pub mod status {
    /// The guest has noticed the device.
    pub const ACKNOWLEDGE: u32 = 1;
    /// It has a driver for it.
    pub const DRIVER: u32 = 2;
    /// The driver is ready.
    pub const DRIVER_OK: u32 = 4;
    /// Features are agreed upon.
    pub const FEATURES_OK: u32 = 8;
    /// The device cannot go on.
    pub const NEEDS_RESET: u32 = 64;
    /// The driver has given up.
    pub const FAILED: u32 = 128;
}
