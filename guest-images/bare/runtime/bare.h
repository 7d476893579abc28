/* What the guests share: ports, printing, the command line, memory, traps, the
 * other processors, virtio devices, and the end. */
#ifndef BARE_H
#define BARE_H

#include "layout.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ---- ports: one instruction each -------------------------------------- */

static inline void outb(uint16_t port, uint8_t value)
{
        asm volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}

static inline void outw(uint16_t port, uint16_t value)
{
        asm volatile("outw %0, %1" : : "a"(value), "Nd"(port));
}

static inline void outl(uint16_t port, uint32_t value)
{
        asm volatile("outl %0, %1" : : "a"(value), "Nd"(port));
}

static inline uint8_t inb(uint16_t port)
{
        uint8_t value;
        asm volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
        return value;
}

static inline uint16_t inw(uint16_t port)
{
        uint16_t value;
        asm volatile("inw %1, %0" : "=a"(value) : "Nd"(port));
        return value;
}

static inline uint32_t inl(uint16_t port)
{
        uint32_t value;
        asm volatile("inl %1, %0" : "=a"(value) : "Nd"(port));
        return value;
}

/* ---- serial.c: the 16550 at 0x3f8 -------------------------------------- */

enum uart {
        UART = 0x3f8,
        UART_DATA = UART,
        UART_IER = UART + 1, /* interrupt enable: 1 received, 2 transmitter empty */
        UART_IIR = UART + 2, /* interrupt identification when read */
        UART_FCR = UART + 2, /* FIFO control when written */
        UART_LCR = UART + 3,
        UART_MCR = UART + 4, /* modem control: 8 lets interrupts through, 16 loops back */
        UART_LSR = UART + 5,
        UART_FIFO_BYTES = 16,
        LSR_DATA_READY = 0x01,
        LSR_THR_EMPTY = 0x20,
        IER_RECEIVED = 0x01,
        MCR_INTERRUPTS = 0x0b, /* DTR, RTS, and OUT2: the gate of the IRQ line */
        SERIAL_IRQ = 4,
};

/* Writes bytes, a FIFO's worth at a time, each time the transmitter is empty. */
void serial_write(const char *bytes, size_t count);

/* Prints; knows %s, %u (uint64_t), %x (uint64_t) and %%. */
void print(const char *format, ...);

/* ---- boot.c: what the monitor told us ----------------------------------- */

/* How it started us, for people: "PVH" or "Linux boot protocol". */
extern const char *boot_protocol;
/* The command line, never NULL. */
extern const char *command_line;
/* Where ACPI's root pointer is; 0 if it did not say. */
extern uint64_t acpi_rsdp;

struct region {
        uint64_t start;
        uint64_t bytes;
        bool usable;
};

/* The memory map's region of this number; false after the last. */
bool memory_region(unsigned number, struct region *region);

/* ---- arguments.c: the command line's words -------------------------------- */

/* The first word of the command line that is a decimal number, or `otherwise`. */
uint64_t argument_number(uint64_t otherwise);
/* The number after `name` (which includes its `=`), or `otherwise`. */
uint64_t argument_value(const char *name, uint64_t otherwise);
/* Whether `word` is on the command line. */
bool argument_given(const char *word);

/* ---- memory.c: page tables ------------------------------------------------------------ */

/* Makes the 2 MiB around a physical address, up to 512 GiB, accessible at that
 * address. NULL if it is beyond, or out of page tables (15 GiB touched). */
void *map(uint64_t address);

/* ---- traps.S and traps.c ------------------------------------------------- */

struct trap {
        uint64_t r11, r10, r9, r8, rdi, rsi, rdx, rcx, rax;
        uint64_t vector, error;
        uint64_t rip, cs, rflags, rsp, ss;
};

/* Has exceptions or interrupts of a vector handled. Unhandled ones end the guest. */
void on_trap(unsigned vector, void (*handler)(struct trap *));

/* Calls work(argument) in ring 3 and returns its result. Interrupts are taken there
 * if they are on; they are off afterwards. */
uint64_t in_ring3(uint64_t (*work)(uint64_t), uint64_t argument);

static inline void interrupts_on(void) { asm volatile("sti" : : : "memory"); }
static inline void interrupts_off(void) { asm volatile("cli" : : : "memory"); }
/* Interrupts on and wait for one, without a gap between; off again after it. */
static inline void wait_for_interrupt(void)
{
        asm volatile("sti; hlt; cli" : : : "memory");
}

/* ---- apic.c: the local APIC ------------------------------------------------ */

enum lapic {
        LAPIC_ID = 0x20,
        LAPIC_SPURIOUS = 0xf0,
        LAPIC_ICR_LOW = 0x300,
        LAPIC_ICR_HIGH = 0x310,
        LAPIC_LVT_LINT0 = 0x350,
};

/* Switches this processor's local APIC on; its input pins are ignored until then. */
void lapic_open(void);
uint32_t lapic_read(enum lapic offset);
void lapic_write(enum lapic offset, uint32_t value);

/* ---- pic.c: the two 8259s and the 8254 ----------------------------------- */

/* Has the PIC deliver these lines (bit N = IRQ N) at IRQ_BASE + N. */
void pic_open(uint16_t lines);
/* Says that an interrupt of the first PIC has been handled. */
void pic_done(void);
/* Starts the PIT's channel 0, IRQ 0, at this many interrupts a second (19..). */
void pit_start(uint32_t hertz);

/* ---- smp.c: the other processors ----------------------------------------- */

/* Fills in the APIC ids of the MP table's other processors (at most `most`) and
 * returns their number, or -1 if there is no table. */
int mp_table(uint8_t *apic_ids, int most);
/* INIT and SIPI to a processor; it then calls ap_main() with a number from 0. */
void ap_wake(uint8_t apic_id);
/* Waits a bounded time until this many have come back from ap_main(). */
bool ap_wait(unsigned count);
/* The guest's: what another processor does. Returning halts it. */
void ap_main(unsigned number);

static inline void pause(void) { asm volatile("pause" : : : "memory"); }

/* ---- virtio.c: a device over MMIO and its queues ------------------------------ */

enum virtio {
        /* Registers, virtio 1.2 section 4.2.2. */
        VIRTIO_MAGIC = 0x000,
        VIRTIO_VERSION = 0x004,
        VIRTIO_DEVICE_ID = 0x008,
        VIRTIO_DEVICE_FEATURES = 0x010,
        VIRTIO_DEVICE_FEATURES_SEL = 0x014,
        VIRTIO_DRIVER_FEATURES = 0x020,
        VIRTIO_DRIVER_FEATURES_SEL = 0x024,
        VIRTIO_QUEUE_SEL = 0x030,
        VIRTIO_QUEUE_NUM_MAX = 0x034,
        VIRTIO_QUEUE_NUM = 0x038,
        VIRTIO_QUEUE_READY = 0x044,
        VIRTIO_QUEUE_NOTIFY = 0x050,
        VIRTIO_INTERRUPT_STATUS = 0x060,
        VIRTIO_INTERRUPT_ACK = 0x064,
        VIRTIO_STATUS = 0x070,
        VIRTIO_QUEUE_DESC = 0x080,
        VIRTIO_QUEUE_DRIVER = 0x090,
        VIRTIO_QUEUE_DEVICE = 0x0a0,
        VIRTIO_CONFIG = 0x100,
        /* A bit of the interrupt status, section 4.2.2. */
        VIRTIO_CONFIGURATION_CHANGED = 2,
        /* Bits of the status, section 2.1. */
        VIRTIO_ACKNOWLEDGE = 1,
        VIRTIO_DRIVER = 2,
        VIRTIO_DRIVER_OK = 4,
        VIRTIO_FEATURES_OK = 8,
        VIRTIO_NEEDS_RESET = 64,
        /* Of features 0 to 31 those of the device's own type; the others are the queues'. */
        VIRTIO_OF_DEVICE = (1 << 24) - 1,
        VIRTIO_EVENT_IDX = 1 << 29,
        /* Descriptors of each of our queues, and how many of these at most. */
        VIRTIO_SIZE = 64,
        VIRTIO_QUEUES = 4,
};

/* Section 2.7. */
struct virtio_descriptor {
        uint64_t address;
        uint32_t length;
        uint16_t flags, next;
};

struct virtio_available {
        uint16_t flags, index, ring[VIRTIO_SIZE], used_event;
};

struct virtio_used {
        uint16_t flags, index;
        struct {
                uint32_t id, length;
        } ring[VIRTIO_SIZE];
        uint16_t available_event;
};

struct virtio_queue {
        _Alignas(16) struct virtio_descriptor descriptors[VIRTIO_SIZE];
        volatile struct virtio_available available;
        _Alignas(4) volatile struct virtio_used used;
        /* How much of the used ring virtio_take() has taken. */
        uint16_t taken;
};

extern struct virtio_queue virtio_queues[VIRTIO_QUEUES];

struct virtio_buffer {
        const void *at;
        uint32_t length;
        bool device_writes;
};

/* Finds a device of this type, the nth from 0; what follows is about it. */
bool virtio_find(uint32_t type, unsigned nth);
uint32_t virtio_get(unsigned offset);
void virtio_put(unsigned offset, uint32_t value);
/* Resets and starts it, with these of features 0 to 31 and as many queues as it has and we know. */
bool virtio_start(uint32_t features);
/* The same, with the descriptors of queue 0 at `table`. */
bool virtio_start_at(uint32_t features, uint64_t table);
/* Puts a chain of buffers into a queue, described from descriptor `first` on, and rings. */
void virtio_offer(unsigned queue, unsigned first, const struct virtio_buffer *buffers, unsigned count);
void virtio_offer_head(unsigned queue, uint16_t head);
/* What came back from a queue next, in its order: the first descriptor, and how many
 * bytes were written. False if nothing did. Looks at memory alone, as the next. */
bool virtio_take(unsigned queue, uint16_t *first, uint32_t *length);
/* Waits until everything has come back; the last length. */
uint32_t virtio_wait(unsigned queue);

/* ---- acpi.c: tables of ACPI ------------------------------------------------------ */

/* The table with this signature and a sum of zero, by way of the root pointer at this
 * address; NULL if one on the way is not there or does not sum to zero. */
const uint8_t *acpi_table(uint64_t rsdp, const char *signature);
/* The root pointer as a kernel finds it that was not told: by a scan. 0 if there is none. */
uint64_t acpi_scan(void);
/* Bytes of a table, its header included. */
uint32_t acpi_bytes(const uint8_t *table);

/* A device of the DSDT. */
struct acpi_device {
        uint32_t eisa_id;      /* 0 where the device has a name */
        const char *name;
        uint16_t port;         /* the first one; 0: none */
        uint32_t memory, line; /* 0: none */
};

/* The nth device; false after the last. */
bool acpi_device(const uint8_t *dsdt, unsigned nth, struct acpi_device *device);
/* What \_S5 says to write for power-off, or -1. */
int acpi_power_off(const uint8_t *dsdt);

/* ---- end.c ---------------------------------------------------------------- */

/* Verdict to the exit port, which only a test's monitor has, then reset. */
_Noreturn void finish(uint8_t verdict);
/* No table for exceptions, then one: the processor shuts down. */
_Noreturn void triple_fault(void);

/* The guest itself. Returning is finish(0). */
void guest(void);

#endif
