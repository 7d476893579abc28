/*
 * balloon: drives a virtio memory balloon. Touches as many pages as the balloon
 * wants, gives them to the host, takes them back and touches them again; after each
 * step it waits for a line of input, so that somebody can look at the host's memory.
 *
 *   obey   goes after the target for ever instead, and says each number that it reaches;
 *          tells statistics whenever they are asked for, counting their tellings
 *   free   reports the pages as free ones instead of giving them
 *
 * Verdicts: 1 no such device, 2 it does not take its driver, 3 a page that came back was
 * not empty, 4 the balloon wants more than the memory from 64 MiB on.
 */
#include "bare.h"

enum {
        BALLOON = 5, /* device type, virtio 1.2 section 5.5 */
        STATISTICS = 1 << 1,
        REPORTING = 1 << 5,
        INFLATE = 0,
        DEFLATE = 1,
        TELL = 2,
        PAGE = 4096,
        NUMBERS = 256, /* in one buffer */
        REPORTED = 32, /* buffers in one chain, as Linux */
        TARGET = VIRTIO_CONFIG,
        ACTUAL = VIRTIO_CONFIG + 4,
        FREE_MEMORY = 4, /* VIRTIO_BALLOON_S_MEMFREE */
};

#define FIRST ((uint64_t)64 << 20)

static uint32_t numbers[NUMBERS];
static struct __attribute__((packed)) {
        uint16_t tag;
        uint64_t value;
} told = {FREE_MEMORY, 0};

static void wait_for_line(void)
{
        char byte = 0;
        while (byte != '\n' && byte != '\r') {
                while (!(inb(UART_LSR) & LSR_DATA_READY))
                        pause();
                byte = (char)inb(UART_DATA);
        }
}

/* Writes a word to each page; the sum of what was there. For ring 3. */
static uint64_t touch(uint64_t pages)
{
        uint64_t found = 0;
        for (uint64_t i = 0; i < pages; i++) {
                volatile uint64_t *page = (volatile uint64_t *)(FIRST + i * PAGE);
                found |= *page;
                *page = i + 1;
        }
        return found;
}

/* Gives or takes back the pages from one number to another, counted from 64 MiB. */
static void move(unsigned queue, uint32_t from, uint32_t to)
{
        while (from < to) {
                unsigned count = 0;
                for (; count < NUMBERS && from < to; count++, from++)
                        numbers[count] = (uint32_t)(FIRST / PAGE) + from;
                const struct virtio_buffer buffer = {numbers, count * 4, false};
                virtio_offer(queue, 0, &buffer, 1);
                virtio_wait(queue);
        }
}

static void report(unsigned queue, uint64_t bytes)
{
        struct virtio_buffer free[REPORTED];
        for (unsigned i = 0; i < REPORTED; i++)
                free[i] = (struct virtio_buffer){(void *)(FIRST + i * (bytes / REPORTED)),
                                                 (uint32_t)(bytes / REPORTED), true};
        virtio_offer(queue, 0, free, REPORTED);
        virtio_wait(queue);
}

static void go_to(uint32_t *held, uint32_t target)
{
        if (*held < target)
                move(INFLATE, *held, target);
        else
                move(DEFLATE, target, *held);
        *held = target;
        virtio_put(ACTUAL, target);
}

static void tell(void)
{
        const struct virtio_buffer buffer = {&told, sizeof(told), false};
        told.value++;
        virtio_offer(TELL, 0, &buffer, 1);
}

static _Noreturn void obey(bool tells)
{
        uint32_t held = 0;
        uint16_t first;
        uint32_t length;

        if (tells)
                tell();
        for (;;) {
                uint32_t target = virtio_get(TARGET);
                if (target != held) {
                        go_to(&held, target);
                        print("balloon: at %u pages\n", (uint64_t)held);
                }
                if (tells && virtio_take(TELL, &first, &length))
                        tell();
                pause();
        }
}

/* The memory from 64 MiB on that the guest has. */
static uint64_t pages_there(void)
{
        struct region region;
        uint64_t end = FIRST;
        for (unsigned i = 0; memory_region(i, &region); i++)
                if (region.usable && region.start < FIRST && region.start + region.bytes > FIRST)
                        end = region.start + region.bytes;
        return (end - FIRST) / PAGE;
}

void guest(void)
{
        if (!virtio_find(BALLOON, 0)) {
                print("balloon: there is no balloon; give me one with --balloon MIB\n");
                finish(1);
        }
        virtio_put(VIRTIO_DEVICE_FEATURES_SEL, 0);
        uint32_t features = virtio_get(VIRTIO_DEVICE_FEATURES) & (STATISTICS | REPORTING);
        if (!virtio_start(features)) {
                print("balloon: the device does not take its driver\n");
                finish(2);
        }
        if (argument_given("obey"))
                obey(features & STATISTICS);

        uint32_t target = virtio_get(TARGET), held = 0;
        if (target > pages_there())
                finish(4);
        for (uint64_t at = FIRST; at < FIRST + (uint64_t)target * PAGE; at += 1 << 21)
                map(at);
        in_ring3(touch, target);
        print("balloon: touched %u pages\n", (uint64_t)target);
        wait_for_line();
        if (argument_given("free") && features & REPORTING)
                report(features & STATISTICS ? 3 : 2, (uint64_t)target * PAGE);
        else
                go_to(&held, target);
        print("balloon: gave them\n");
        wait_for_line();
        go_to(&held, 0);
        uint64_t found = in_ring3(touch, target);
        print("balloon: took them back, %s\n", found ? "and they were not empty" : "and they were empty");
        wait_for_line();
        if (found)
                finish(3);
}
