/*
 * exits: what a way out of the guest and back costs. Writes a byte to a port
 * that nobody listens on, N times; each is one exit to the monitor.
 *
 *   N        port exits (1000)
 *   mmio=N   reads of unmapped memory instead
 */
#include "bare.h"

#define PORT 0x80 /* the POST card's: no device here */

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

void guest(void)
{
        uint64_t mmio = argument_value("mmio=", 0);
        uint64_t count = mmio ? mmio : argument_number(1000);
        const char *kind = mmio ? "MMIO" : "port";

        print("exits: begin, %u %s exits\n", count, kind);
        if (mmio)
                mmio_exits(count);
        else
                port_exits(count);
        print("exits: end\n");
}
