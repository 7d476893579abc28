/*
 * spin: a guest that never ends, for whoever ends it from outside. It loops in
 * ring 3, where it leaves the processor only for the host's reasons.
 *
 *   halt   sleeps instead, woken by a timer 20 times a second
 *   beat   says a number at each tick of the timer: still alive
 */
#include "bare.h"

#define TIMER_IRQ 0
#define TICKS_PER_SECOND 20

static bool beat;

static void on_timer(struct trap *trap)
{
        static uint64_t ticks;

        (void)trap;
        ticks++;
        if (beat)
                print("beat %u\n", ticks);
        pic_done();
}

static uint64_t forever(uint64_t count)
{
        while (count)
                pause();
        return count;
}

static void start_timer(void)
{
        on_trap(IRQ_BASE + TIMER_IRQ, on_timer);
        pic_open(1 << TIMER_IRQ);
        pit_start(TICKS_PER_SECOND);
}

void guest(void)
{
        bool halt = argument_given("halt");

        beat = argument_given("beat");
        print("spinning%s\n", halt ? ", asleep most of the time" : "");
        if (halt || beat)
                start_timer();
        while (halt)
                wait_for_interrupt();
        if (beat)
                interrupts_on();
        in_ring3(forever, 1);
}
