/* Printing on the 16550 at 0x3f8. */
#include "bare.h"

#include <stdarg.h>

#define FCR_ENABLE 0x01

void serial_write(const char *bytes, size_t count)
{
        static bool ready;
        if (!ready)
                outb(UART_FCR, FCR_ENABLE);
        ready = true;

        while (count) {
                size_t chunk = count < UART_FIFO_BYTES ? count : UART_FIFO_BYTES;
                count -= chunk;
                while (!(inb(UART_LSR) & LSR_THR_EMPTY))
                        pause();
                asm volatile("rep outsb" : "+S"(bytes), "+c"(chunk) : "d"(UART_DATA) : "memory");
        }
}

/* What is not yet written: sent whenever a FIFO is full of it, so that the first
 * bytes are on their way before the last are known. */
struct pending {
        char bytes[UART_FIFO_BYTES];
        size_t count;
};

static void flush(struct pending *pending)
{
        serial_write(pending->bytes, pending->count);
        pending->count = 0;
}

static void put_byte(struct pending *pending, char byte)
{
        pending->bytes[pending->count++] = byte;
        if (pending->count == UART_FIFO_BYTES)
                flush(pending);
}

static void put(struct pending *pending, char byte)
{
        if (byte == '\n') /* as terminals want it */
                put_byte(pending, '\r');
        put_byte(pending, byte);
}

static void put_number(struct pending *pending, uint64_t value, unsigned base)
{
        char digits[20]; /* of 2^64 in decimal */
        int count = 0;
        do {
                digits[count++] = "0123456789abcdef"[value % base];
                value /= base;
        } while (value);
        while (count)
                put(pending, digits[--count]);
}

void print(const char *format, ...)
{
        struct pending pending;
        va_list arguments;

        pending.count = 0;
        va_start(arguments, format);
        for (; *format; format++) {
                if (*format != '%') {
                        put(&pending, *format);
                        continue;
                }
                switch (*++format) {
                case 's':
                        for (const char *text = va_arg(arguments, const char *); *text; text++)
                                put(&pending, *text);
                        break;
                case 'u':
                        put_number(&pending, va_arg(arguments, uint64_t), 10);
                        break;
                case 'x':
                        put_number(&pending, va_arg(arguments, uint64_t), 16);
                        break;
                default:
                        put(&pending, *format);
                }
        }
        va_end(arguments);
        flush(&pending);
}
