/* This processor's local APIC (SDM volume 3, chapter 11). */
#include "bare.h"

#define LAPIC 0xfee00000
/* Software enable, and a vector for spurious interrupts that has a handler's entry. */
#define SPURIOUS_ENABLE (0x100 | (IRQ_BASE + 15))

void lapic_open(void)
{
        map(LAPIC);
        lapic_write(LAPIC_SPURIOUS, SPURIOUS_ENABLE);
}

uint32_t lapic_read(enum lapic offset)
{
        return *(volatile uint32_t *)(uint64_t)(LAPIC + offset);
}

void lapic_write(enum lapic offset, uint32_t value)
{
        *(volatile uint32_t *)(uint64_t)(LAPIC + offset) = value;
}
