//! The virtual machine: memory, interrupt chip, vCPU state and boot. Knows no thread, and of devices where they are.

use std::path::PathBuf;

use kvm_ioctls::{Kvm, VcpuFd, VmFd};
use vm_memory::{GuestMemoryError, GuestMemoryMmap};

pub mod acpi;
pub mod boot;
pub mod command_line;
pub mod cpuid;
mod end;
pub mod exit;
pub mod image;
pub mod interrupt;
pub mod kvm;
pub mod layout;
pub mod memory;
pub mod mp_table;
pub mod msr;
pub mod quirk;
pub mod registers;

pub use boot::BootProtocol;
pub use command_line::CommandLine;
pub use image::Image;
pub use memory::HugePages;
pub use quirk::{Quirk, QuirkChoice};
pub use registers::describe_registers;

#[cfg(test)]
mod test_image;
#[cfg(test)]
mod tests;

/// The most vCPUs: as many as the MP table's kibibyte describes.
pub const MAX_VCPUS: u8 = 32;

/// What a machine is to be.
#[derive(Clone, Debug)]
pub struct Config {
    /// Number of vCPUs, 1 to [`MAX_VCPUS`].
    pub vcpus: u8,
    /// Memory in MiB.
    pub memory_mib: u32,
    /// Which pages of the host back it.
    pub huge_pages: HugePages,
    /// What it runs.
    pub kernel: Image,
    /// A file that the kernel finds in memory.
    pub initrd: Option<PathBuf>,
    /// What the kernel is told, verbatim.
    pub command_line: String,
    /// How many virtio devices its kernel is told of, at most [`layout::MAX_VIRTIO`].
    pub devices: u8,
    /// Whether its tables tell of a keyboard.
    pub keyboard: bool,
    /// Which quirk of the host to assume.
    pub quirk: QuirkChoice,
}

impl Config {
    /// What the ACPI tables say of the machine.
    fn described(&self) -> acpi::Description {
        acpi::Description { vcpus: self.vcpus, devices: self.devices, keyboard: self.keyboard }
    }
}

/// A machine that is ready to run: every vCPU may enter the guest.
///
/// Fields are dropped in this order: the vCPUs and the VM before the memory that they use.
#[derive(Debug)]
pub struct Machine {
    /// The vCPUs by APIC id; the first is at the kernel's entry, the others wait for INIT and SIPI.
    pub vcpus: Vec<VcpuFd>,
    /// The virtual machine.
    pub vm: VmFd,
    /// Guest memory.
    pub memory: GuestMemoryMmap,
    /// The quirk that it was built for.
    pub quirk: Option<Quirk>,
    /// How its kernel is started.
    pub boot: BootProtocol,
    /// What its kernel is told, and what of it the user did not give.
    pub command_line: CommandLine,
}

/// Why a machine could not be built.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// Too few or too many vCPUs.
    #[error("a machine has 1 to {max} vCPUs here, not {vcpus}")]
    Vcpus {
        /// What was asked for.
        vcpus: u8,
        /// The most: [`MAX_VCPUS`], or KVM's own maximum.
        max: usize,
    },
    /// KVM.
    #[error(transparent)]
    Kvm(#[from] kvm::KvmError),
    /// Kernel, initrd, command line.
    #[error(transparent)]
    Boot(#[from] boot::BootError),
    /// Kernel or initrd as files.
    #[error(transparent)]
    Image(#[from] image::ImageError),
    /// Memory.
    #[error(transparent)]
    Memory(#[from] memory::MemoryError),
    /// Interrupt controllers and timer.
    #[error(transparent)]
    Interrupt(#[from] interrupt::InterruptError),
    /// Processor features.
    #[error(transparent)]
    Cpuid(#[from] cpuid::CpuidError),
    /// Model-specific registers.
    #[error(transparent)]
    Msr(#[from] msr::MsrError),
    /// Registers.
    #[error(transparent)]
    Register(#[from] registers::RegisterError),
    /// The MP table.
    #[error("cannot write the MP table to guest memory: {0}")]
    MpTable(GuestMemoryError),
    /// The ACPI tables.
    #[error("cannot write the ACPI tables to guest memory: {0}")]
    Acpi(GuestMemoryError),
    /// The virtual machine itself.
    #[error("KVM cannot create a virtual machine: {0}")]
    CreateVm(kvm_ioctls::Error),
    /// A vCPU.
    #[error("KVM cannot create vCPU {id}: {source}")]
    CreateVcpu {
        /// Which.
        id: u8,
        /// What it answered.
        source: kvm_ioctls::Error,
    },
}

impl Machine {
    /// Builds the machine: everything is created, loaded and set, so that the vCPUs need nothing but `KVM_RUN`.
    ///
    /// What the user gave is checked before anything is made of it.
    /// # Errors
    /// [`BuildError`], which says what to do.
    pub fn build(config: &Config) -> Result<Self, BuildError> {
        let kvm = kvm::open()?;
        let max = kvm.get_max_vcpus().min(MAX_VCPUS.into());
        if config.vcpus == 0 || usize::from(config.vcpus) > max {
            return Err(BuildError::Vcpus { vcpus: config.vcpus, max });
        }
        let quirk = config.quirk.resolve();
        let cpuid = cpuid::Template::new(&kvm, config.vcpus, quirk)?;
        let split = memory::check_size(config.memory_mib, config.huge_pages, cpuid.address_bits())?;
        let plan = boot::Plan::new(request(config, quirk)?, split)?;

        let memory = memory::map(split, config.huge_pages)?;
        let vm = create_vm(&kvm)?;
        memory::give_to(&vm, &memory)?;
        interrupt::create(&vm)?;
        plan.load(&memory, split)?;
        mp_table::write(&memory, config.vcpus).map_err(BuildError::MpTable)?;
        acpi::write(&memory, config.described()).map_err(BuildError::Acpi)?;
        let vcpus =
            (0..config.vcpus).map(|id| create_vcpu(&vm, id, &cpuid)).collect::<Result<Vec<_>, _>>()?;
        registers::enter(&vcpus[0], &memory, plan.entry())?;
        Ok(Self { vcpus, vm, memory, quirk, boot: plan.protocol(), command_line: plan.command_line })
    }
}

/// Creates the VM. A signal may interrupt the call where the kernel starts a thread of its own for the VM; then it is
/// made again.
fn create_vm(kvm: &Kvm) -> Result<VmFd, BuildError> {
    loop {
        match kvm.create_vm() {
            Err(error) if error.errno() == libc::EINTR => {}
            result => return result.map_err(BuildError::CreateVm),
        }
    }
}

fn request(config: &Config, quirk: Option<Quirk>) -> Result<boot::Request<'_>, BuildError> {
    let kernel = image::Source::open_image(&config.kernel)?;
    let initrd = config.initrd.as_deref().map(|path| image::Source::open("initrd", path)).transpose()?;
    Ok(boot::Request { kernel, initrd, command_line: &config.command_line, devices: config.devices, quirk })
}

/// Creates a vCPU and sets what is the same whether it starts or waits.
fn create_vcpu(vm: &VmFd, id: u8, cpuid: &cpuid::Template) -> Result<VcpuFd, BuildError> {
    let vcpu = vm.create_vcpu(id.into()).map_err(|source| BuildError::CreateVcpu { id, source })?;
    cpuid.set(&vcpu, id)?;
    msr::set(&vcpu)?;
    registers::reset_fpu(&vcpu)?;
    interrupt::wire_local_apic(&vcpu)?;
    Ok(vcpu)
}
