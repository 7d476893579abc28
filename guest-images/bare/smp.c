/*
 * smp: every processor of the MP table, started by INIT and SIPI. Each counts
 * itself with a locked increment, so that none is lost when they come at once.
 *
 * The verdict is the number of processors that came up, the first included.
 */
#include "bare.h"

static volatile unsigned up = 1; /* this one is */

void ap_main(unsigned number)
{
        (void)number;
        asm volatile("lock incl %0" : "+m"(up));
}

void guest(void)
{
        uint8_t others[MAX_CPUS];
        int found = mp_table(others, MAX_CPUS);

        if (found < 0) {
                print("smp: no MP table at the end of conventional memory or in the BIOS area\n");
                finish(0);
        }
        for (int i = 0; i < found; i++)
                ap_wake(others[i]);
        ap_wait((unsigned)found);
        print("smp: %u of %u processors up\n", (uint64_t)up, (uint64_t)found + 1);
        finish((uint8_t)up);
}
