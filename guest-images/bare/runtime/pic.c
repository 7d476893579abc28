/* The classic interrupt controllers and the timer: two 8259s, one 8254. */
#include "bare.h"

enum {
        PIC1_COMMAND = 0x20,
        PIC1_DATA = 0x21,
        PIC2_COMMAND = 0xa0,
        PIC2_DATA = 0xa1,
        PIC_ICW1 = 0x11,       /* edge-triggered, cascaded, ICW4 follows */
        PIC_ICW4 = 0x01,       /* 8086 mode */
        PIC_EOI = 0x20,        /* non-specific */
        PIC_CASCADE_IRQ = 2,
        PIT_CHANNEL0 = 0x40,
        PIT_COMMAND = 0x43,
        PIT_RATE = 0x34,       /* channel 0, both bytes, mode 2 */
        PIT_HERTZ = 1193182,
        LVT_EXTINT = 0x700,
};

void pic_open(uint16_t lines)
{
        outb(PIC1_COMMAND, PIC_ICW1);
        outb(PIC1_DATA, IRQ_BASE);
        outb(PIC1_DATA, 1 << PIC_CASCADE_IRQ);
        outb(PIC1_DATA, PIC_ICW4);
        outb(PIC2_COMMAND, PIC_ICW1);
        outb(PIC2_DATA, IRQ_BASE + 8);
        outb(PIC2_DATA, PIC_CASCADE_IRQ);
        outb(PIC2_DATA, PIC_ICW4);
        outb(PIC1_DATA, (uint8_t)~lines);
        outb(PIC2_DATA, (uint8_t)(~lines >> 8));

        /* The PIC reaches the processor through the local APIC's first input. */
        lapic_open();
        lapic_write(LAPIC_LVT_LINT0, LVT_EXTINT);
}

void pic_done(void)
{
        outb(PIC1_COMMAND, PIC_EOI);
}

void pit_start(uint32_t hertz)
{
        uint32_t divisor = PIT_HERTZ / hertz;
        outb(PIT_COMMAND, PIT_RATE);
        outb(PIT_CHANNEL0, (uint8_t)divisor);
        outb(PIT_CHANNEL0, (uint8_t)(divisor >> 8));
}
