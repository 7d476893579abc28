/* Numbers that the assembly and the C of the guests share. */
#ifndef LAYOUT_H
#define LAYOUT_H

#define LOAD_ADDRESS 0x100000

/* Segment selectors: places in the table of head.S. Code and data are where the
 * Linux boot protocol wants __BOOT_CS and __BOOT_DS. */
#define CODE32_SELECTOR 0x08
#define CODE_SELECTOR 0x10
#define DATA_SELECTOR 0x18
#define USER_DATA_SELECTOR (0x20 | 3)
#define USER_CODE_SELECTOR (0x28 | 3)
#define TSS_SELECTOR 0x30

/* Interrupt vectors. The first 32 are the processor's exceptions. */
#define INVALID_OPCODE 6
#define GENERAL_PROTECTION 13
#define IRQ_BASE 0x20 /* where pic_open() puts the PIC's 16 lines */
#define VECTORS 0x30

/* Page-table entries (SDM volume 3, section 4.5). */
#define PAGE_PRESENT_WRITE_USER 0x07
#define PAGE_LARGE 0x80

/* In the hole below 4 GiB, where monitors put neither memory nor devices. */
#define UNMAPPED 0xf0000000
/* Registers of the first virtio device, where Firecracker and ringfence have them. */
#define VIRTIO 0xc0001000
/* The register by which a guest says that it has started, likewise, and what it writes there. */
#define BOOT_TIMER 0xc0000000
#define BOOTED 123

#define STACK_BYTES 4096

/* Where the first instructions of the other processors are copied: a page below
 * 1 MiB that a monitor leaves free; its number is the SIPI vector. */
#define TRAMPOLINE 0x10000
#define MAX_CPUS 64
#define AP_STACK_BYTES 1024

#endif
