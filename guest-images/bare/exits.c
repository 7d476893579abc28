/*
 * exits: what a way out of the guest and back costs. Writes a byte to a port
 * that nobody listens on, N times; each is one exit to the monitor.
 *
 *   N        port exits (1000)
 *   mmio=N   reads of unmapped memory instead
 *   kick=N   writes to another port, which a monitor may have KVM answer by an
 *            ioeventfd, and after each ten of these a port exit
 *   line     port exits for each line of input, as many as the line says, asleep
 *            in between; `q` ends it
 */
#include "bare.h"

#define PORT 0x80 /* the POST card's: no device here */

#define KICK_PORT 0x81
#define KICKS_PER_EXIT 10

static void port_exits(uint64_t count)
{
        for (uint64_t i = 0; i < count; i++)
                outb(PORT, (uint8_t)i);
}

static void mmio_exits(uint64_t count)
{
        const volatile uint32_t *nothing = map(UNMAPPED);
        for (uint64_t i = 0; i < count; i++)
                (void)*nothing;
}

static void kicks(uint64_t count)
{
        for (uint64_t i = 0; i < count; i++) {
                outb(KICK_PORT, (uint8_t)i);
                if (i % KICKS_PER_EXIT == 0)
                        outb(PORT, (uint8_t)i);
        }
}

static void on_serial(struct trap *trap)
{
        (void)trap;
        inb(UART_IIR);
        pic_done();
}

/* Takes what the port has; false after a `q`. */
static bool take_all(uint64_t *count)
{
        while (inb(UART_LSR) & LSR_DATA_READY) {
                char byte = (char)inb(UART_DATA);
                if (byte == 'q')
                        return false;
                if (byte >= '0' && byte <= '9') {
                        *count = *count * 10 + (uint64_t)(byte - '0');
                } else if (byte == '\n') {
                        port_exits(*count);
                        *count = 0;
                        print("left\n");
                }
        }
        return true;
}

static void exits_by_line(void)
{
        uint64_t count = 0;

        on_trap(IRQ_BASE + SERIAL_IRQ, on_serial);
        pic_open(1 << SERIAL_IRQ);
        outb(UART_MCR, MCR_INTERRUPTS);
        outb(UART_IER, IER_RECEIVED);
        while (take_all(&count))
                wait_for_interrupt();
}

void guest(void)
{
        bool line = argument_given("line");
        uint64_t mmio = argument_value("mmio=", 0);
        uint64_t kick = argument_value("kick=", 0);
        uint64_t count = kick ? kick : mmio ? mmio : argument_number(1000);
        const char *kind = kick ? "ioeventfd" : mmio ? "MMIO" : "port";

        if (line) {
                print("exits: begin, by lines\n");
                exits_by_line();
        } else {
                print("exits: begin, %u %s exits\n", count, kind);
                if (kick)
                        kicks(count);
                else if (mmio)
                        mmio_exits(count);
                else
                        port_exits(count);
        }
        print("exits: end\n");
}
