/*
 * echo: input. Waits asleep for the serial port's receive interrupt, takes what
 * is there, and says each line back. No byte of a long paste may be lost: the
 * monitor has to hold what the port's FIFO has no room for.
 *
 * A line `quit` ends it. A line of more than 1024 bytes is said in pieces.
 */
#include "bare.h"

#define LINE_BYTES 1024

static char line[LINE_BYTES];
static size_t length;

static void on_serial(struct trap *trap)
{
        (void)trap;
        inb(UART_IIR);
        pic_done();
}

static void say(void)
{
        print("you said: ");
        serial_write(line, length);
        print("\n");
}

static bool is_quit(void)
{
        static const char quit[] = "quit";
        if (length != sizeof(quit) - 1)
                return false;
        for (size_t i = 0; i < length; i++)
                if (line[i] != quit[i])
                        return false;
        return true;
}

/* Takes a byte of input; false if it ended the line `quit`. Terminals end a line
 * with CR, pipes with LF, some with both. */
static bool take(char byte)
{
        static char before;
        bool second_half = byte == '\n' && before == '\r';

        before = byte;
        if (second_half)
                return true;
        if (byte != '\r' && byte != '\n') {
                line[length++] = byte;
                if (length < LINE_BYTES)
                        return true;
        } else if (is_quit()) {
                return false;
        }
        say();
        length = 0;
        return true;
}

/* Takes what the port has; false after the line `quit`. */
static bool take_all(void)
{
        while (inb(UART_LSR) & LSR_DATA_READY)
                if (!take((char)inb(UART_DATA)))
                        return false;
        return true;
}

void guest(void)
{
        on_trap(IRQ_BASE + SERIAL_IRQ, on_serial);
        pic_open(1 << SERIAL_IRQ);
        print("echo: type a line and I say it back; \"quit\" ends me.\n");
        outb(UART_MCR, MCR_INTERRUPTS);
        outb(UART_IER, IER_RECEIVED);

        while (take_all())
                wait_for_interrupt();
        print("echo: goodbye\n");
}
