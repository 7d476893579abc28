/*
 * console: talks through a virtio console instead of the serial port. Says each line
 * of input back, and ends on a line `quit`.
 *
 *   N   KiB of numbered lines of 64 bytes that it says first (0)
 *
 * Verdicts: 1 no such device, 2 it does not take its driver.
 */
#include "bare.h"

enum {
        CONSOLE = 3, /* device type, virtio 1.2 section 5.3 */
        RECEIVE = 0,
        TRANSMIT = 1,
        BUFFERS = 4, /* for input */
        BYTES = 16,  /* of each: fewer than a line */
        LINE = 64,
        MOST = 1024, /* of a line of input */
};

static char input[BUFFERS][BYTES];

static void say(const char *text, size_t count)
{
        const struct virtio_buffer buffer = {text, (uint32_t)count, false};
        virtio_offer(TRANSMIT, 0, &buffer, 1);
        virtio_wait(TRANSMIT);
}

static void say_text(const char *text)
{
        size_t count = 0;
        while (text[count])
                count++;
        say(text, count);
}

static void listen(unsigned buffer)
{
        const struct virtio_buffer empty = {input[buffer], BYTES, true};
        virtio_offer(RECEIVE, buffer, &empty, 1);
}

/* A line with its number, filled up with points. */
static void number_line(char *line, uint64_t number)
{
        for (unsigned i = 0; i < LINE - 1; i++)
                line[i] = '.';
        line[LINE - 1] = '\n';
        for (unsigned i = 8; i-- > 0; number /= 10)
                line[i] = (char)('0' + number % 10);
}

/* Four lines at once. */
static void flood(uint64_t lines)
{
        static char text[4 * LINE];
        for (uint64_t i = 0; i < lines; i += 4) {
                for (unsigned j = 0; j < 4; j++)
                        number_line(text + j * LINE, i + j);
                say(text, sizeof(text));
        }
}

static bool is_quit(const char *line, size_t length)
{
        return length == 4 && line[0] == 'q' && line[1] == 'u' && line[2] == 'i' && line[3] == 't';
}

/* Says lines back until one is `quit`. */
static void echo(void)
{
        static char line[MOST];
        size_t length = 0;

        for (;;) {
                uint16_t buffer;
                uint32_t count;
                while (!virtio_take(RECEIVE, &buffer, &count))
                        pause();
                for (uint32_t i = 0; i < count; i++) {
                        char byte = input[buffer][i];
                        if (byte != '\n' && length < MOST) {
                                line[length++] = byte;
                                continue;
                        }
                        if (is_quit(line, length))
                                return;
                        say_text("you said: ");
                        say(line, length);
                        say_text("\n");
                        length = 0;
                }
                listen(buffer);
        }
}

void guest(void)
{
        if (!virtio_find(CONSOLE, 0)) {
                print("console: there is no console device; give me one with --console virtio\n");
                finish(1);
        }
        if (!virtio_start(0)) {
                print("console: the device does not take its driver\n");
                finish(2);
        }
        flood(argument_number(0) * 1024 / LINE);
        say_text("console: say something\n");
        for (unsigned i = 0; i < BUFFERS; i++)
                listen(i);
        echo();
        say_text("console: goodbye\n");
}
