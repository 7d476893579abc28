/*
 * flood: more output than anyone can read. Numbered lines of 64 bytes, as fast
 * as the serial port takes them; a monitor has to slow the guest down to the
 * speed of its own output, and lose nothing.
 *
 *   N       KiB of lines (64)
 *   burst   a whole line in one string instruction, whether the FIFO has room
 *           or not
 */
#include "bare.h"

#define DIGITS 8
#define LINE_BYTES 64
#define LINES_PER_KIB (1024 / LINE_BYTES)

/* "00000000 the quick ...": counted in place, which is cheaper than printing. */
static char line[LINE_BYTES + 1] = "00000000 the quick brown fox jumps over the lazy dog, again.  \r\n";

static void count_up(void)
{
        char *digit = line + DIGITS - 1;
        while (digit > line && *digit == '9')
                *digit-- = '0';
        ++*digit;
}

static void write_at_once(const char *bytes, size_t count)
{
        asm volatile("rep outsb" : "+S"(bytes), "+c"(count) : "d"(UART_DATA) : "memory");
}

void guest(void)
{
        uint64_t lines = argument_number(64) * LINES_PER_KIB;
        bool burst = argument_given("burst");

        while (lines--) {
                if (burst)
                        write_at_once(line, LINE_BYTES);
                else
                        serial_write(line, LINE_BYTES);
                count_up();
        }
}
