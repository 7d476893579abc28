/* What the guests share: ports, printing, the command line, memory, traps, the
 * other processors, and the end. */
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

/* ---- end.c ---------------------------------------------------------------- */

/* Verdict to the exit port, which only a test's monitor has, then reset. */
_Noreturn void finish(uint8_t verdict);
/* No table for exceptions, then one: the processor shuts down. */
_Noreturn void triple_fault(void);

/* The guest itself. Returning is finish(0). */
void guest(void);

#endif
