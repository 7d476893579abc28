/*
 * hello: the smallest guest. It says how it was started, by which of the
 * monitor's ways to boot, shows what it was handed, and tells a boot timer.
 */
#include "bare.h"

void guest(void)
{
        struct region region;

        print("hello: started by %s, command line \"%s\"\n", boot_protocol, command_line);
        for (unsigned i = 0; memory_region(i, &region); i++)
                print("hello: %s memory from %x, %u KiB\n", region.usable ? "usable" : "reserved",
                      region.start, region.bytes >> 10);
        volatile uint8_t *boot_timer = map(BOOT_TIMER);
        *boot_timer = BOOTED;
}
