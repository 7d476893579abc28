/* Who handles which exception or interrupt. */
#include "bare.h"

#define VERDICT_UNEXPECTED 0x3f

static void (*handlers[VECTORS])(struct trap *);

/* In traps.S. */
extern const uint8_t ring3_done[];
_Noreturn void return_from_ring3(uint64_t result);

void trap(struct trap *trap);

void on_trap(unsigned vector, void (*handler)(struct trap *))
{
        handlers[vector] = handler;
}

/* What an interrupt controller delivers when the cause has gone meanwhile: the
 * PICs on their last lines, the local APIC on the vector that apic.c gave it, which
 * is the second of these. There is nothing to handle and nothing to acknowledge. */
static bool is_spurious(uint64_t vector)
{
        return vector == IRQ_BASE + 7 || vector == IRQ_BASE + 15;
}

/* Called by traps.S for every vector below VECTORS. */
void trap(struct trap *trap)
{
        if (trap->vector == INVALID_OPCODE && trap->rip == (uint64_t)ring3_done)
                return_from_ring3(trap->rax);
        if (handlers[trap->vector]) {
                handlers[trap->vector](trap);
                return;
        }
        if (is_spurious(trap->vector))
                return;
        print("unexpected exception or interrupt %u, error %x, at %x\n", trap->vector, trap->error, trap->rip);
        finish(VERDICT_UNEXPECTED);
}
