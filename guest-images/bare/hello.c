/*
 * hello: the smallest guest. It says how it was started, by which of the
 * monitor's ways to boot, and shows what it was handed.
 */
#include "bare.h"

void guest(void)
{
        struct region region;

        print("hello: started by %s, command line \"%s\"\n", boot_protocol, command_line);
        for (unsigned i = 0; memory_region(i, &region); i++)
                print("hello: %s memory from %x, %u KiB\n", region.usable ? "usable" : "reserved",
                      region.start, region.bytes >> 10);
}
