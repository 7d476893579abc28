/*
 * keyboard: a driver for the keyboard controller and the keyboard behind it, by
 * interrupts as real ones are. It says who the keyboard is and each code that comes,
 * and resets the machine when Ctrl, Alt and Delete are down. Without a keyboard the
 * verdict is 1.
 */
#include "bare.h"

enum {
        DATA = 0x60,
        COMMAND = 0x64,
        OUTPUT_FULL = 1, /* of the status */
        READ_CONFIGURATION = 0x20,
        WRITE_CONFIGURATION = 0x60,
        INTERRUPTS = 1, /* of the configuration */
        KEYBOARD_IRQ = 1,
        IDENTIFY = 0xf2,
        RESET = 0xff,
        TIMER_HERTZ = 20,
        PATIENCE = 40, /* ticks, 2 s */
        /* Codes of set 1; the topmost bit says that the key is released. */
        CTRL = 0x1d,
        ALT = 0x38,
        DELETE = 0x53, /* behind a prefix */
        PREFIX = 0xe0,
};

static volatile uint8_t taken[64];
static volatile unsigned count;
static volatile unsigned ticks;

static void on_key(struct trap *trap)
{
        (void)trap;
        if (inb(COMMAND) & OUTPUT_FULL)
                taken[count++ % sizeof(taken)] = inb(DATA);
        pic_done();
}

static void on_tick(struct trap *trap)
{
        (void)trap;
        ticks++;
        pic_done();
}

/* Waits for the byte of this number, counted from the start; -1 if it does not come. */
static int byte(unsigned number, bool patiently)
{
        unsigned end = ticks + PATIENCE;
        while (count <= number)
                if (wait_for_interrupt(), !patiently && ticks >= end)
                        return -1;
        return taken[number % sizeof(taken)];
}

static uint8_t answer(uint8_t command)
{
        outb(COMMAND, command);
        return inb(DATA);
}

void guest(void)
{
        uint8_t configuration = answer(READ_CONFIGURATION);
        unsigned next = 0;
        bool ctrl = false, alt = false;

        on_trap(IRQ_BASE, on_tick);
        on_trap(IRQ_BASE + KEYBOARD_IRQ, on_key);
        pic_open(1 | 1 << KEYBOARD_IRQ);
        pit_start(TIMER_HERTZ);
        outb(COMMAND, WRITE_CONFIGURATION);
        outb(DATA, configuration | INTERRUPTS);

        outb(DATA, RESET);
        int acknowledged = byte(next++, false);
        if (acknowledged < 0) {
                print("keyboard: there is none\n");
                finish(1);
        }
        int passed = byte(next++, false);
        outb(DATA, IDENTIFY);
        print("keyboard: reset %x %x,", (uint64_t)acknowledged, (uint64_t)passed);
        print(" who %x", (uint64_t)byte(next++, false));
        print(" %x", (uint64_t)byte(next++, false));
        print(" %x\n", (uint64_t)byte(next++, false));

        for (;;) {
                int code = byte(next++, true);
                bool prefixed = code == PREFIX;
                if (prefixed)
                        code = byte(next++, true);
                print(prefixed ? "keyboard: e0 %x\n" : "keyboard: %x\n", (uint64_t)code);
                if ((code & 0x7f) == CTRL)
                        ctrl = !(code & 0x80);
                if ((code & 0x7f) == ALT)
                        alt = !(code & 0x80);
                if (ctrl && alt && prefixed && code == DELETE) {
                        print("keyboard: Ctrl-Alt-Del\n");
                        return;
                }
        }
}
