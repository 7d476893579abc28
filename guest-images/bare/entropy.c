/*
 * entropy: drives a virtio entropy device by its queue. Asks for buffers of
 * random bytes, one after the other, and counts their bits.
 *
 *   N        buffers (100)
 *   broken   what no driver may do instead: breakages[], each after a reset
 *
 * Verdicts: 1 no such device, 2 it does not take its driver, 3 it answers a
 * breakage otherwise than it should, 4 bytes that are not random.
 */
#include "bare.h"

enum {
        ENTROPY = 4,        /* device type, virtio 1.2 section 5.4 */
        BYTES = 4096,       /* of one buffer */
        MOST_BYTES = 65536, /* that the device writes for one chain, whatever it is asked for */
        HAS_NEXT = 1,
        DEVICE_WRITES = 2,
};

static uint8_t buffer[MOST_BYTES];

/* So many buffers filled; their bits counted.
 * For ring 3, which runs at the processor's own speed everywhere. */
static uint64_t fill(uint64_t count)
{
        const struct virtio_buffer whole = {buffer, BYTES, true};
        uint64_t bits = 0;
        for (; count; count--) {
                virtio_offer(0, 0, &whole, 1);
                virtio_wait(0);
                for (unsigned i = 0; i < BYTES; i++)
                        for (unsigned bit = 0; bit < 8; bit++)
                                bits += buffer[i] >> bit & 1;
        }
        return bits;
}

static void loop_of_descriptors(void)
{
        for (unsigned i = 0; i < VIRTIO_SIZE; i++)
                virtio_queues[0].descriptors[i] = (struct virtio_descriptor){
                        (uint64_t)buffer, 1, DEVICE_WRITES | HAS_NEXT, (uint16_t)((i + 1) % VIRTIO_SIZE)};
        virtio_offer_head(0, 0);
}

static void buffer_of_4_gib(void)
{
        virtio_offer(0, 0, &(struct virtio_buffer){buffer, 0xffffffff, true}, 1);
}

static void buffer_outside_memory(void)
{
        virtio_offer(0, 0, &(struct virtio_buffer){(void *)(~(uint64_t)0 - 7), 4096, true}, 1);
}

static void ring_ahead_of_itself(void)
{
        virtio_queues[0].available.index = VIRTIO_SIZE + 1000;
        virtio_put(VIRTIO_QUEUE_NOTIFY, 0);
}

static void descriptor_beyond_the_table(void)
{
        virtio_offer_head(0, VIRTIO_SIZE + 5);
}

static const struct {
        const char *name;
        void (*doing)(void);
        bool ends; /* in a device that needs a reset */
} breakages[] = {
        {"descriptors in a loop", loop_of_descriptors, false},
        {"a buffer of 4 GiB", buffer_of_4_gib, false},
        {"a buffer outside memory", buffer_outside_memory, true},
        {"an available ring ahead of itself", ring_ahead_of_itself, true},
        {"a descriptor beyond the table", descriptor_beyond_the_table, true},
};

static bool needs_reset(void)
{
        return virtio_get(VIRTIO_STATUS) & VIRTIO_NEEDS_RESET;
}

/* Waits a bounded time for the device to have done something. */
static bool answered(void)
{
        for (uint64_t i = 0; i < 1 << 22; i++) {
                if (virtio_queues[0].used.index != 0 || needs_reset())
                        return true;
                pause();
        }
        return false;
}

/* Breaks each rule, and sees that the device works again after a reset. */
static void broken(void)
{
        for (unsigned i = 0; i < sizeof(breakages) / sizeof(breakages[0]); i++) {
                if (!virtio_start(0))
                        finish(2);
                breakages[i].doing();
                bool answer = answered(), reset = needs_reset();
                print("entropy: %s: %s\n", breakages[i].name,
                      !answer ? "no answer" : reset ? "needs a reset" : "used");
                if (!answer || reset != breakages[i].ends)
                        finish(3);
        }
        bool taken = virtio_start_at(0, ~(uint64_t)0xfff) && !needs_reset();
        print("entropy: rings outside memory: %s\n", taken ? "taken" : "refused");
        if (!virtio_start(0) || !in_ring3(fill, 1))
                finish(2);
        print("entropy: and it works again\n");
}

void guest(void)
{
        uint64_t count = argument_number(100);

        if (!virtio_find(ENTROPY, 0)) {
                print("entropy: there is no entropy device; give me one with --entropy\n");
                finish(1);
        }
        if (argument_given("broken")) {
                broken();
                return;
        }
        if (!virtio_start(0)) {
                print("entropy: the device does not take its driver\n");
                finish(2);
        }
        print("entropy: begin, %u buffers\n", count);
        uint64_t ones = in_ring3(fill, count), bits = count * BYTES * 8;
        /* Half of all bits, give or take an eighth: far beyond what chance does. */
        bool random = ones > bits / 8 * 3 && ones < bits / 8 * 5;
        print("entropy: end, the bits are %s, interrupt status %u\n",
              random ? "random" : "not random", virtio_get(VIRTIO_INTERRUPT_STATUS));
        virtio_put(VIRTIO_INTERRUPT_ACK, 1);
        if (!random)
                finish(4);
}
