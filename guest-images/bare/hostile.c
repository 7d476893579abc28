/*
 * hostile: everything a guest may do that a device author did not think of, in
 * sizes and places that no driver would use. The monitor has to answer reads
 * that nobody claims with ones, to ignore such writes, and to live on.
 *
 *   step=N   only every Nth port and MMIO page (1)
 *
 * The verdict is 0x2a, given when all of it is survived.
 */
#include "bare.h"

#define VERDICT_SURVIVED 0x2a
#define PAGE_BYTES 4096
#define PORTS 0x10000
#define EXIT_PORT 0xf4
#define I8042_DATA 0x60
#define I8042_COMMAND 0x64
#define I8042_WRITE_OUTPUT 0xd1 /* its data's lowest bit is the reset line */
#define I8042_PULSE 0xf0        /* and above: pulses output lines, reset among them */
#define GARBAGE 0x5a5a5a5a5a5a5a5a /* resets nothing through ports 0x64, 0x92, 0xcf9 */
#define MSR_INSTRUCTION_BYTES 2
#define CPUID_ADDRESS_SIZES 0x80000008
#define BITS_WITHOUT_CPUID 36
#define FOUR_GIB_BIT 32

/* The hole below 4 GiB, up to the I/O APIC, which is the kernel's, not the monitor's. */
#define HOLE_START 0xc0000000
#define HOLE_END 0xfec00000
#define HOLE_STRIDE 0x100000

static char buffer[256];

/* The serial port as print() needs it, whatever was done to it. */
static void restore_uart(void)
{
        outb(UART_LCR, 0x03); /* 8 bits, divisor latch closed */
        outb(UART_IER, 0);
        outb(UART_MCR, 0x03); /* no loop */
        outb(UART_FCR, 0x07); /* FIFOs on and empty */
}

static void report(const char *what, uint64_t count)
{
        restore_uart();
        print("\nhostile: %u %s\n", count, what);
}

/* ---- ports ---------------------------------------------------------------- */

static void touch_port(uint16_t port)
{
        inb(port);
        inw(port);
        inl(port);
        if (port > EXIT_PORT - sizeof(uint32_t) && port <= EXIT_PORT)
                return; /* a write could end the run */
        outb(port, (uint8_t)GARBAGE);
        outw(port, (uint16_t)GARBAGE);
        outl(port, (uint32_t)GARBAGE);
}

static void every_port(uint64_t step)
{
        uint64_t count = 0;
        for (uint64_t port = 0; port < PORTS; port += step, count++)
                touch_port((uint16_t)port);
        touch_port(0xffff); /* the wide ones reach past the last port */
        touch_port(0xfffd);
        touch_port(UART - 2);
        touch_port(UART - 1);
        report("ports, with 1, 2 and 4 bytes", count);
}

static void ins(uint16_t port, void *to, size_t count, unsigned size)
{
        if (size == 1)
                asm volatile("rep insb" : "+D"(to), "+c"(count) : "d"(port) : "memory");
        else if (size == 2)
                asm volatile("rep insw" : "+D"(to), "+c"(count) : "d"(port) : "memory");
        else
                asm volatile("rep insl" : "+D"(to), "+c"(count) : "d"(port) : "memory");
}

static void outs(uint16_t port, const void *from, size_t count, unsigned size)
{
        if (size == 1)
                asm volatile("rep outsb" : "+S"(from), "+c"(count) : "d"(port) : "memory");
        else if (size == 2)
                asm volatile("rep outsw" : "+S"(from), "+c"(count) : "d"(port) : "memory");
        else
                asm volatile("rep outsl" : "+S"(from), "+c"(count) : "d"(port) : "memory");
}

/* Many at once; to and from memory, and to and from where no memory is. */
static void strings(void)
{
        static const uint16_t ports[] = {0x80, 0x70, I8042_DATA, UART_DATA, UART_LSR, UART + 7, 0x5000, 0xfffe};
        static const unsigned sizes[] = {1, 2, 4};
        void *nowhere = map(UNMAPPED);
        uint64_t count = 0;

        for (unsigned i = 0; i < sizeof(ports) / sizeof(*ports); i++) {
                for (unsigned j = 0; j < sizeof(sizes) / sizeof(*sizes); j++) {
                        ins(ports[i], buffer, sizeof(buffer) / sizes[j], sizes[j]);
                        outs(ports[i], buffer, sizeof(buffer) / sizes[j], sizes[j]);
                        ins(ports[i], nowhere, 5, sizes[j]);
                        outs(ports[i], nowhere, 5, sizes[j]);
                        count += 4;
                }
        }
        report("string instructions", count);
}

/* ---- devices ---------------------------------------------------------------- */

static void uart(void)
{
        for (unsigned value = 0; value < 256; value++)
                for (uint16_t port = UART_IER; port <= UART + 7; port++) {
                        outb(port, (uint8_t)value);
                        inb(port);
                }
        restore_uart();
        outb(UART_IER, 0x0f);
        outb(UART_MCR, 0x1f); /* what is sent comes back, far more than fits */
        for (unsigned value = 0; value < 256; value++)
                outb(UART_DATA, (uint8_t)value);
        for (unsigned value = 0; value < 256; value++)
                inb(UART_DATA);
        report("values in each register of the serial port, and its loop overrun", 256);
}

static void keyboard(void)
{
        for (unsigned value = 0; value < I8042_PULSE; value++) {
                if (value == I8042_WRITE_OUTPUT)
                        continue;
                outb(I8042_COMMAND, (uint8_t)value);
                inb(I8042_DATA);
                outb(I8042_DATA, (uint8_t)~value);
                inb(I8042_COMMAND);
        }
        report("commands to the keyboard controller", I8042_PULSE - 1);
}

/* ---- memory ------------------------------------------------------------------ */

static bool is_memory(uint64_t address)
{
        struct region region;
        for (unsigned i = 0; memory_region(i, &region); i++)
                if (address - region.start < region.bytes)
                        return true;
        return false;
}

static void touch_sizes(uint64_t at)
{
        (void)*(volatile uint8_t *)at;
        (void)*(volatile uint16_t *)at;
        (void)*(volatile uint32_t *)at;
        (void)*(volatile uint64_t *)at;
        *(volatile uint8_t *)at = (uint8_t)GARBAGE;
        *(volatile uint16_t *)at = (uint16_t)GARBAGE;
        *(volatile uint32_t *)at = (uint32_t)GARBAGE;
        *(volatile uint64_t *)at = GARBAGE;
}

/* A page where no memory is: at its start, at an odd place, and across its end. */
static bool touch_page(uint64_t page)
{
        if (is_memory(page) || is_memory(page + PAGE_BYTES))
                return false;
        if (!map(page) || !map(page + PAGE_BYTES))
                return false;
        touch_sizes(page);
        touch_sizes(page + 3);
        touch_sizes(page + PAGE_BYTES - 1);
        return true;
}

/* Addresses of more bits than this are no addresses: they fault in the page tables. */
static unsigned physical_address_bits(void)
{
        uint32_t leaf = CPUID_ADDRESS_SIZES, b, c, d;
        asm volatile("cpuid" : "+a"(leaf), "=b"(b), "=c"(c), "=d"(d));
        return leaf & 0xff ? leaf & 0xff : BITS_WITHOUT_CPUID;
}

/* The edge of each region: accesses half in memory and half in nothing. */
static uint64_t touch_edges(void)
{
        struct region region;
        uint64_t count = 0;

        for (unsigned i = 0; memory_region(i, &region); i++) {
                uint64_t end = region.start + region.bytes;
                if (!region.usable || region.bytes < PAGE_BYTES || end <= LOAD_ADDRESS || is_memory(end))
                        continue;
                if (!map(end - 1) || !map(end))
                        continue;
                for (uint64_t at = end - 7; at < end; at++)
                        touch_sizes(at);
                count += touch_page(end);
        }
        return count;
}

static void every_hole(uint64_t step)
{
        uint64_t count = touch_edges();

        for (uint64_t page = HOLE_START; page < HOLE_END; page += step * HOLE_STRIDE)
                count += touch_page(page);
        for (unsigned bit = FOUR_GIB_BIT; bit < physical_address_bits(); bit++)
                count += touch_page((2ull << bit) - 2 * PAGE_BYTES);
        report("pages where no memory is, with 1 to 8 bytes and across their ends", count);
}

/* ---- model-specific registers -------------------------------------------------- */

static volatile bool refused;

static void on_general_protection(struct trap *trap)
{
        refused = true;
        trap->rip += MSR_INSTRUCTION_BYTES;
}

/* Writes those that cannot be read: what can be read may be needed. */
static bool touch_msr(uint32_t msr)
{
        uint32_t low, high;

        refused = false;
        asm volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(msr));
        if (!refused)
                return false;
        asm volatile("wrmsr" : : "c"(msr), "a"((uint32_t)GARBAGE), "d"(0));
        return true;
}

static void unknown_msrs(void)
{
        static const uint32_t starts[] = {0, 0x180, 0x400, 0x800, 0xd00, 0x40000000, 0x4b564d00, 0xc0000080,
                                          0xc0010000, 0xc0011000, 0xffffff80};
        uint64_t count = 0;

        on_trap(GENERAL_PROTECTION, on_general_protection);
        for (unsigned i = 0; i < sizeof(starts) / sizeof(*starts); i++)
                for (uint32_t offset = 0; offset < 0x80; offset++)
                        count += touch_msr(starts[i] + offset);
        report("model-specific registers that are not there", count);
}

void guest(void)
{
        uint64_t step = argument_value("step=", 1);

        print("hostile: I mean no harm, I only do everything wrong.\n");
        if (!step)
                step = 1;
        unknown_msrs();
        every_hole(step);
        keyboard();
        uart();
        strings();
        every_port(step);
        print("hostile: you are still there. Well done.\n");
        finish(VERDICT_SURVIVED);
}
