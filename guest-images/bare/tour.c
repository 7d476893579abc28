/*
 * tour: a walk around the machine, for a person's first run. Each step uses one
 * thing that the monitor provides, and says what it saw: memory, the timer's and
 * the serial port's interrupts, ring 3, another processor.
 */
#include "bare.h"

#define TICKS 5
#define TICKS_PER_SECOND 200
#define TIMER_IRQ 0
#define IER_THR_EMPTY 0x02
#define PAGE_BYTES 4096
#define FOUR_GIB 0x100000000

static volatile unsigned ticks, serial_interrupts;

/* Writes two patterns to the region's last page and reads them back. */
static bool try_last_page(const struct region *region)
{
        static const uint64_t patterns[] = {0x5555555555555555, 0xaaaaaaaaaaaaaaaa};
        volatile uint64_t *word = map(region->start + region->bytes - PAGE_BYTES);

        if (!word)
                return false;
        for (unsigned i = 0; i < 2; i++) {
                *word = patterns[i];
                if (*word != patterns[i])
                        return false;
        }
        return true;
}

static void show_memory(void)
{
        struct region region;
        uint64_t bytes = 0;

        for (unsigned i = 0; memory_region(i, &region); i++) {
                if (!region.usable || region.bytes < PAGE_BYTES)
                        continue;
                bytes += region.bytes;
                if (region.start < LOAD_ADDRESS)
                        continue;
                print("  memory    %u MiB from %x%s: its last page %s\n", region.bytes >> 20, region.start,
                      region.start >= FOUR_GIB ? ", above 4 GiB" : "",
                      try_last_page(&region) ? "remembers" : "FORGETS");
        }
        print("            %u KiB in all\n", bytes >> 10);
}

static void on_timer(struct trap *trap)
{
        (void)trap;
        ticks++;
        pic_done();
}

static void on_serial(struct trap *trap)
{
        (void)trap;
        inb(UART_IIR); /* reading it takes the "transmitter empty" back */
        serial_interrupts++;
        outb(UART_IER, 0);
        pic_done();
}

static void show_interrupts(void)
{
        on_trap(IRQ_BASE + TIMER_IRQ, on_timer);
        on_trap(IRQ_BASE + SERIAL_IRQ, on_serial);
        pic_open(1 << TIMER_IRQ | 1 << SERIAL_IRQ);
        pit_start(TICKS_PER_SECOND);
        outb(UART_MCR, MCR_INTERRUPTS);
        outb(UART_IER, IER_THR_EMPTY);

        while (ticks < TICKS)
                wait_for_interrupt();
        print("  timer     %u interrupts, asleep in between\n", (uint64_t)ticks);
        print("  serial    %s\n", serial_interrupts ? "its interrupt came: ready for more"
                                                    : "NO interrupt on IRQ 4");
        pic_open(0);
}

static uint64_t sum_to(uint64_t last)
{
        uint64_t sum = 0;
        for (uint64_t i = 1; i <= last; i++) {
                sum += i;
                asm volatile("" : "+r"(sum)); /* really count, do not use Gauss's formula */
        }
        return sum;
}

static void show_ring3(void)
{
        print("  ring 3    1 + 2 + ... + 1000000 = %u, and back again\n", in_ring3(sum_to, 1000000));
}

void ap_main(unsigned number)
{
        print("  cpu %u     hello from the second processor\n", (uint64_t)lapic_read(LAPIC_ID) >> 24);
        (void)number;
}

static void show_processors(void)
{
        uint8_t others[MAX_CPUS];
        int found = mp_table(others, MAX_CPUS);

        if (found < 0) {
                print("  cpus      this one; no table names others\n");
                return;
        }
        print("  cpus      %u in the MP table\n", (uint64_t)found + 1);
        if (!found)
                return;
        ap_wake(others[0]);
        if (!ap_wait(1))
                print("            the second processor did NOT answer\n");
}

void guest(void)
{
        print("Hello from inside. I am the tour, a guest of a few kilobytes, without a system.\n");
        print("  started   by %s, command line \"%s\"\n", boot_protocol, command_line);
        show_memory();
        show_interrupts();
        show_ring3();
        show_processors();
        print("That was the tour. I press the reset button now.\n");
}
