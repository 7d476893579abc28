/* Printing on the 16550 at 0x3f8. */
#include "bare.h"

#include <stdarg.h>

#define LINE_BYTES 200
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

struct line {
        char bytes[LINE_BYTES];
        size_t length;
};

static void put(struct line *line, char byte)
{
        if (byte == '\n') /* as terminals want it */
                put(line, '\r');
        if (line->length < LINE_BYTES)
                line->bytes[line->length++] = byte;
}

static void put_number(struct line *line, uint64_t value, unsigned base)
{
        char digits[20];
        int count = 0;
        do {
                digits[count++] = "0123456789abcdef"[value % base];
                value /= base;
        } while (value);
        while (count)
                put(line, digits[--count]);
}

void print(const char *format, ...)
{
        struct line line;
        va_list arguments;

        line.length = 0; /* and no more: zeroing 200 bytes is slow in an emulated ring 0 */
        va_start(arguments, format);
        for (; *format; format++) {
                if (*format != '%') {
                        put(&line, *format);
                        continue;
                }
                switch (*++format) {
                case 's':
                        for (const char *text = va_arg(arguments, const char *); *text; text++)
                                put(&line, *text);
                        break;
                case 'u':
                        put_number(&line, va_arg(arguments, uint64_t), 10);
                        break;
                case 'x':
                        put_number(&line, va_arg(arguments, uint64_t), 16);
                        break;
                default:
                        put(&line, *format);
                }
        }
        va_end(arguments);
        serial_write(line.bytes, line.length);
}
