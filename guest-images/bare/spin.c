/*
 * spin: a guest that never ends, for whoever ends it from outside. It computes
 * nothing in ring 3, where it leaves the processor only for the host's reasons.
 *
 *   halt   sleeps instead, woken by a timer 20 times a second
 */
#include "bare.h"

#define TIMER_IRQ 0
#define WAKE_HERTZ 20

static void on_timer(struct trap *trap)
{
        (void)trap;
        pic_done();
}

static uint64_t forever(uint64_t count)
{
        while (count)
                pause();
        return count;
}

void guest(void)
{
        if (argument_given("halt")) {
                print("spinning, asleep most of the time\n");
                on_trap(IRQ_BASE + TIMER_IRQ, on_timer);
                pic_open(1 << TIMER_IRQ);
                pit_start(WAKE_HERTZ);
                for (;;)
                        wait_for_interrupt();
        }
        print("spinning\n");
        in_ring3(forever, 1);
}
