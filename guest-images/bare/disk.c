/*
 * disk: drives a virtio block device, the first or another, by its queue.
 *
 *   nth=N      which disk, from 0 (0)
 *   fill=SEED  writes every sector: its number plus SEED, in each 8 bytes
 *   zero       has the first quarter zeroed
 *   discard    has the last quarter discarded
 *   flush      flushes
 *   sum        reads every sector and adds up its words
 *   requests=N reads so many times, or with the word `write` writes, `bytes=` (4096) each
 *              time and `depth=` (1) requests at once, between the lines "begin" and
 *              "end": for whoever measures from outside
 *   watch      goes on for ever: tells the size and the sum again whenever it is told
 *              that the disk has changed
 *
 * What is given is done in this order. Verdicts: 1 no such disk, 2 it does not
 * take its driver, 3 a request was refused.
 */
#include "bare.h"

/* Virtio 1.2, section 5.2. */
enum {
        BLOCK = 2, /* device type */
        SECTOR = 512,
        READ_ONLY = 1 << 5,
        FLUSH = 1 << 9,
        IN = 0,
        OUT = 1,
        DO_FLUSH = 4,
        GET_ID = 8,
        DISCARD = 11,
        WRITE_ZEROES = 13,

        AT_ONCE = 64, /* sectors */
        MOST_DEPTH = 16,
        MOST_BYTES = 65536,
        MOST_CLEARED = 0x20000,
};

static struct header {
        uint32_t type, reserved;
        uint64_t sector;
} header;

static struct {
        uint64_t sector;
        uint32_t sectors, flags;
} range;

static uint64_t data[AT_ONCE * SECTOR / 8];
static volatile uint8_t status;
static uint64_t sectors, seed;

/* One request; its status. */
static uint8_t request(uint32_t type, uint64_t sector, const void *at, uint32_t length, bool read)
{
        header.type = type;
        header.sector = sector;
        status = 0xff;
        const struct virtio_buffer all[] = {
                {&header, sizeof(header), false}, {at, length, read}, {(void *)&status, 1, true}};
        const struct virtio_buffer bare[] = {all[0], all[2]};
        if (length)
                virtio_offer(0, 0, all, 3);
        else
                virtio_offer(0, 0, bare, 2);
        virtio_wait(0);
        return status;
}

static uint32_t part(uint64_t sector)
{
        return sectors - sector < AT_ONCE ? (uint32_t)(sectors - sector) : AT_ONCE;
}

/* These two are for ring 3, which runs at the processor's own speed everywhere. */
static uint64_t fill(uint64_t from)
{
        for (uint64_t sector = from; sector < sectors; sector += AT_ONCE) {
                for (unsigned i = 0; i < AT_ONCE * SECTOR / 8; i++)
                        data[i] = sector + i / (SECTOR / 8) + seed;
                if (request(OUT, sector, data, part(sector) * SECTOR, false))
                        return status;
        }
        return 0;
}

static uint64_t sum(uint64_t from)
{
        uint64_t total = 0;
        for (uint64_t sector = from; sector < sectors; sector += AT_ONCE) {
                if (request(IN, sector, data, part(sector) * SECTOR, true))
                        return ~(uint64_t)0;
                for (unsigned i = 0; i < part(sector) * SECTOR / 8; i++)
                        total += data[i];
        }
        return total;
}

static struct header headers[MOST_DEPTH];
static uint8_t block[MOST_BYTES]; /* of all: what is in it does not matter */
static volatile uint8_t statuses[MOST_DEPTH];
static uint32_t kind, bytes;
static uint64_t requests;

/* From the beginning of the disk to its end, and again. */
static void put(unsigned slot, uint64_t number)
{
        uint32_t each = bytes / SECTOR;
        headers[slot].type = kind;
        headers[slot].sector = number % (sectors / each) * each;
        const struct virtio_buffer all[] = {{&headers[slot], sizeof(headers[slot]), false},
                                            {block, bytes, kind == IN},
                                            {(void *)&statuses[slot], 1, true}};
        virtio_offer(0, slot * 3, all, 3);
}

/* For ring 3, too. */
static uint64_t drive(uint64_t depth)
{
        uint64_t put_in = 0;
        for (; put_in < depth && put_in < requests; put_in++)
                put((unsigned)put_in, put_in);
        for (uint64_t done = 0; done < requests; done++) {
                uint16_t first;
                uint32_t length;
                while (!virtio_take(0, &first, &length))
                        pause();
                if (statuses[first / 3])
                        return 1;
                if (put_in < requests)
                        put(first / 3, put_in++);
        }
        return 0;
}

static void measured(void)
{
        uint64_t depth = argument_value("depth=", 1);
        kind = argument_given("write") ? OUT : IN;
        bytes = (uint32_t)argument_value("bytes=", 4096);
        if (!depth || depth > MOST_DEPTH || !bytes || bytes > MOST_BYTES || bytes % SECTOR ||
            sectors < bytes / SECTOR)
                finish(3);
        print("disk: begin\n");
        uint64_t outcome = in_ring3(drive, depth);
        print("disk: end\n");
        if (outcome)
                finish(3);
}

static uint8_t clear(uint32_t type, uint64_t first, uint64_t count, uint32_t flags)
{
        while (count) {
                range.sector = first;
                range.sectors = count < MOST_CLEARED ? (uint32_t)count : MOST_CLEARED;
                range.flags = flags;
                if (request(type, 0, &range, sizeof(range), false))
                        return status;
                first += range.sectors;
                count -= range.sectors;
        }
        return 0;
}

static void say(const char *what, uint64_t outcome)
{
        print("disk: %s: %s\n", what, outcome == 0 ? "done" : outcome == 1 ? "refused" : "not known");
        if (outcome)
                finish(3);
}

static void measure(void)
{
        sectors = virtio_get(VIRTIO_CONFIG) | (uint64_t)virtio_get(VIRTIO_CONFIG + 4) << 32;
}

static _Noreturn void watch(void)
{
        for (;;) {
                if (virtio_get(VIRTIO_INTERRUPT_STATUS) & VIRTIO_CONFIGURATION_CHANGED) {
                        virtio_put(VIRTIO_INTERRUPT_ACK, VIRTIO_CONFIGURATION_CHANGED);
                        measure();
                        print("disk: now %u sectors, ", sectors);
                        print("sum %x\n", in_ring3(sum, 0));
                }
                pause();
        }
}

void guest(void)
{
        char id[21] = {0};

        if (!virtio_find(BLOCK, (unsigned)argument_value("nth=", 0))) {
                print("disk: there is no such disk; give me one with --disk FILE\n");
                finish(1);
        }
        virtio_put(VIRTIO_DEVICE_FEATURES_SEL, 0);
        uint32_t features = virtio_get(VIRTIO_DEVICE_FEATURES);
        if (!virtio_start(features & VIRTIO_OF_DEVICE)) {
                print("disk: the device does not take its driver\n");
                finish(2);
        }
        measure();
        request(GET_ID, 0, id, 20, true);
        print("disk: %s, %u sectors, %s, %s\n", id, sectors, features & READ_ONLY ? "read-only" : "writable",
              features & FLUSH ? "flushes" : "no flushes");

        seed = argument_value("fill=", 0);
        if (seed)
                say("fill", in_ring3(fill, 0));
        if (argument_given("zero"))
                say("zero", clear(WRITE_ZEROES, 0, sectors / 4, 0));
        if (argument_given("discard"))
                say("discard", clear(DISCARD, sectors - sectors / 4, sectors / 4, 0));
        if (argument_given("flush"))
                say("flush", request(DO_FLUSH, 0, NULL, 0, false));
        if (argument_given("sum"))
                print("disk: sum %x\n", in_ring3(sum, 0));
        requests = argument_value("requests=", 0);
        if (requests)
                measured();
        if (argument_given("watch"))
                watch();
}
