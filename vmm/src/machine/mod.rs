//! The virtual machine: memory, interrupt chip, vCPU state and boot. Knows no thread and no device.
