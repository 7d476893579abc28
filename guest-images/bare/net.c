/*
 * net: drives a virtio network device, the first or another, by its queues.
 * Answers ARP and ping, and sends every UDP datagram back that comes to port 7
 * (echo); one to port 9 (discard) ends it.
 *
 *   nth=N      which interface, from 0 (0)
 *   host=N     its own address is 10.0.N.2 (0)
 *   buffer=N   bytes of a buffer for frames that come, 12 to 65600 (2048)
 *   merge      a frame may be spread over several of them
 *   offload    checksums may be missing in frames that come, and are missing in those that go;
 *              TCP segments may come in rows
 *   broken     what no driver may do instead: breakages[], each after a reset
 *
 * Verdicts: 1 no such interface, 2 it does not take its driver, 3 a breakage is
 * answered otherwise than it should be, 4 a checksum was wrong.
 */
#include "bare.h"

/* Virtio 1.2, section 5.1. */
enum {
        NET = 1, /* device type */
        RECEIVE = 0,
        TRANSMIT = 1,
        CSUM = 1 << 0,
        GUEST_CSUM = 1 << 1,
        HAS_MTU = 1 << 3,
        HAS_MAC = 1 << 5,
        GUEST_TSO4 = 1 << 7,
        HOST_TSO4 = 1 << 11,
        MERGE = 1 << 15,
        HEADER = 12,
        NEEDS_CSUM = 1, /* a flag of the header */
        HAS_NEXT = 1,

        POOL = VIRTIO_SIZE * 4096,
        MOST_FRAME = 65600,

        ETHERNET = 14,
        IP = HEADER + ETHERNET,
        UDP = IP + 20, /* no options */
        ARP_TYPE = 0x0806,
        IP_TYPE = 0x0800,
        ICMP = 1,
        UDP_PROTOCOL = 17,
        ECHO = 7,
        DISCARD = 9,
};

static uint8_t pool[POOL] __attribute__((aligned(8)));
/* The frame at work, with its header. */
static uint8_t frame[MOST_FRAME + HEADER] __attribute__((aligned(8)));
static uint8_t mac[6], address[4] = {10, 0, 0, 2};
static uint32_t buffer_bytes, buffers;
static bool merge, offload;
static uint64_t datagrams;

static void copy(uint8_t *to, const uint8_t *from, uint32_t count)
{
        /* Whole words first: ring 3 has them at the processor's speed. */
        for (; count >= 8; count -= 8, to += 8, from += 8)
                *(uint64_t *)to = *(const uint64_t *)from;
        while (count--)
                *to++ = *from++;
}

static uint16_t get16(const uint8_t *at) { return (uint16_t)(at[0] << 8 | at[1]); }

static void put16(uint8_t *at, uint16_t value)
{
        at[0] = (uint8_t)(value >> 8);
        at[1] = (uint8_t)value;
}

/* A sum of 16-bit words in the order of the network, as IP, ICMP and UDP have it. */
static uint64_t add(uint64_t sum, const uint8_t *at, uint32_t count)
{
        for (; count >= 4; count -= 4, at += 4)
                sum += (uint64_t)get16(at) + get16(at + 2);
        if (count >= 2)
                sum += get16(at);
        if (count & 1)
                sum += (uint64_t)at[count - 1] << 8;
        return sum;
}

static uint16_t fold(uint64_t sum)
{
        while (sum >> 16)
                sum = (sum & 0xffff) + (sum >> 16);
        return (uint16_t)sum;
}

/* What a datagram's checksum begins with: addresses, protocol, length. */
static uint64_t pseudo_header(uint32_t length)
{
        return add(UDP_PROTOCOL + (uint64_t)length, frame + IP + 12, 8);
}

static void offer_buffer(uint16_t index)
{
        const struct virtio_buffer whole = {pool + index * buffer_bytes, buffer_bytes, true};
        virtio_offer(RECEIVE, index, &whole, 1);
}

/* Waits for the next frame and puts it together; its length, header and all. */
static uint32_t next_frame(void)
{
        uint32_t length = 0, bytes;
        uint16_t parts = 1, first;

        for (uint16_t part = 0; part < parts; part++) {
                while (!virtio_take(RECEIVE, &first, &bytes))
                        pause();
                const uint8_t *at = pool + first * buffer_bytes;
                if (!part && merge)
                        parts = (uint16_t)(at[10] | at[11] << 8);
                if (length + bytes > sizeof(frame))
                        bytes = 0;
                copy(frame + length, at, bytes);
                length += bytes;
                offer_buffer(first);
        }
        return length;
}

static void send(uint32_t length)
{
        const struct virtio_buffer whole = {frame, length, false};
        /* Back to whom it came from. */
        copy(frame + HEADER, frame + HEADER + 6, 6);
        copy(frame + HEADER + 6, mac, 6);
        virtio_offer(TRANSMIT, 0, &whole, 1);
        virtio_wait(TRANSMIT);
}

static void clear_header(void)
{
        for (unsigned i = 0; i < HEADER; i++)
                frame[i] = 0;
}

static bool same(const uint8_t *one, const uint8_t *other, unsigned count)
{
        while (count--)
                if (*one++ != *other++)
                        return false;
        return true;
}

static void answer_arp(uint32_t length)
{
        uint8_t *arp = frame + HEADER + ETHERNET;
        if (length < HEADER + ETHERNET + 28 || get16(arp + 6) != 1 || !same(arp + 24, address, 4))
                return;
        put16(arp + 6, 2);
        copy(arp + 18, arp + 8, 10); /* its sender is the one that it is for */
        copy(arp + 8, mac, 6);
        copy(arp + 14, address, 4);
        clear_header();
        send(HEADER + ETHERNET + 28);
}

/* Neither address nor checksum changes when the two ends do. */
static void swap(uint8_t *one, uint8_t *other, unsigned count)
{
        for (unsigned i = 0; i < count; i++) {
                uint8_t kept = one[i];
                one[i] = other[i];
                other[i] = kept;
        }
}

static void answer_ping(uint32_t bytes)
{
        uint8_t *icmp = frame + IP + 20;
        if (bytes < 28 || icmp[0] != 8)
                return;
        icmp[0] = 0;
        put16(icmp + 2, 0);
        put16(icmp + 2, (uint16_t)~fold(add(0, icmp, bytes - 20)));
        swap(frame + IP + 12, frame + IP + 16, 4);
        clear_header();
        send(IP + bytes);
}

enum outcome { GO_ON, ENDED, WRONG };

static enum outcome answer_datagram(uint32_t bytes)
{
        uint32_t length = bytes - 20;
        uint16_t port = get16(frame + UDP + 2);

        datagrams++;
        if (!(frame[0] & NEEDS_CSUM) && fold(add(pseudo_header(length), frame + UDP, length)) != 0xffff)
                return WRONG;
        if (port == DISCARD)
                return ENDED;
        if (port != ECHO)
                return GO_ON;
        swap(frame + IP + 12, frame + IP + 16, 4);
        swap(frame + UDP, frame + UDP + 2, 2);
        clear_header();
        put16(frame + UDP + 6, 0);
        if (offload) {
                frame[0] = NEEDS_CSUM; /* from the datagram on, at its byte 6 */
                frame[6] = UDP - HEADER;
                frame[8] = 6;
                put16(frame + UDP + 6, fold(pseudo_header(length)));
        } else {
                put16(frame + UDP + 6, (uint16_t)~fold(add(pseudo_header(length), frame + UDP, length)));
        }
        send(IP + bytes);
        return GO_ON;
}

/* Until the datagram that ends it, or one with a wrong checksum. For ring 3, which runs at the processor's own speed everywhere. */
static uint64_t serve(uint64_t unused)
{
        (void)unused;
        for (;;) {
                uint32_t length = next_frame();
                if (length < UDP)
                        continue;
                uint16_t type = get16(frame + HEADER + 12);
                if (type == ARP_TYPE)
                        answer_arp(length);
                if (type != IP_TYPE || frame[IP] != 0x45 || !same(frame + IP + 16, address, 4))
                        continue;
                uint32_t bytes = get16(frame + IP + 2);
                if (bytes < 28 || IP + bytes > length)
                        continue;
                if (frame[IP + 9] == ICMP)
                        answer_ping(bytes);
                if (frame[IP + 9] != UDP_PROTOCOL)
                        continue;
                enum outcome outcome = answer_datagram(bytes);
                if (outcome != GO_ON)
                        return outcome;
        }
}

/* ---- what no driver may do ---------------------------------------------- */

static void send_what_is_at(uint64_t at, uint32_t length)
{
        virtio_offer(TRANSMIT, 0, &(struct virtio_buffer){(void *)at, length, false}, 1);
}

static void header_without_a_frame(void) { send_what_is_at((uint64_t)frame, HEADER); }
static void frame_of_4_gib(void) { send_what_is_at((uint64_t)frame, 0xffffffff); }
static void frame_outside_memory(void) { send_what_is_at(~(uint64_t)0 - 7, 100); }

static void header_of_nonsense(void)
{
        for (unsigned i = 0; i < 100; i++)
                frame[i] = 0xff;
        send_what_is_at((uint64_t)frame, 100);
}

static void loop_of_descriptors(void)
{
        for (unsigned i = 0; i < VIRTIO_SIZE; i++)
                virtio_queues[TRANSMIT].descriptors[i] = (struct virtio_descriptor){
                        (uint64_t)frame, 1, HAS_NEXT, (uint16_t)((i + 1) % VIRTIO_SIZE)};
        virtio_offer_head(TRANSMIT, 0);
}

static void ring_ahead_of_itself(void)
{
        virtio_queues[RECEIVE].available.index = VIRTIO_SIZE + 1000;
        virtio_put(VIRTIO_QUEUE_NOTIFY, RECEIVE);
}

static const struct {
        const char *name;
        void (*doing)(void);
        bool ends; /* in a device that needs a reset */
} breakages[] = {
        {"a header without a frame", header_without_a_frame, false},
        {"a frame of 4 GiB", frame_of_4_gib, false},
        {"a header of nonsense", header_of_nonsense, false},
        {"descriptors in a loop", loop_of_descriptors, false},
        {"a frame outside memory", frame_outside_memory, true},
        {"an available ring ahead of itself", ring_ahead_of_itself, true},
};

static bool needs_reset(void)
{
        return virtio_get(VIRTIO_STATUS) & VIRTIO_NEEDS_RESET;
}

/* Waits a bounded time for the device to have done something. */
static bool answered(void)
{
        for (uint64_t i = 0; i < 1 << 22; i++) {
                if (virtio_queues[TRANSMIT].used.index != 0 || needs_reset())
                        return true;
                pause();
        }
        return false;
}

static void broken(uint32_t features)
{
        for (unsigned i = 0; i < sizeof(breakages) / sizeof(breakages[0]); i++) {
                if (!virtio_start(features))
                        finish(2);
                breakages[i].doing();
                bool answer = answered(), reset = needs_reset();
                print("net: %s: %s\n", breakages[i].name,
                      !answer ? "no answer" : reset ? "needs a reset" : "used");
                if (!answer || reset != breakages[i].ends)
                        finish(3);
        }
}

void guest(void)
{
        if (!virtio_find(NET, (unsigned)argument_value("nth=", 0))) {
                print("net: there is no such interface; give me one with --net TAP\n");
                finish(1);
        }
        merge = argument_given("merge");
        offload = argument_given("offload");
        address[2] = (uint8_t)argument_value("host=", 0);
        buffer_bytes = (uint32_t)argument_value("buffer=", 2048);
        if (buffer_bytes < HEADER || buffer_bytes > MOST_FRAME)
                buffer_bytes = 2048;
        buffers = POOL / buffer_bytes < VIRTIO_SIZE ? POOL / buffer_bytes : VIRTIO_SIZE;

        virtio_put(VIRTIO_DEVICE_FEATURES_SEL, 0);
        uint32_t offered = virtio_get(VIRTIO_DEVICE_FEATURES);
        for (unsigned i = 0; i < sizeof(mac); i++)
                mac[i] = (uint8_t)(virtio_get(VIRTIO_CONFIG + i / 4 * 4) >> i % 4 * 8);
        uint32_t mtu = virtio_get(VIRTIO_CONFIG + 8) >> 16;
        print("net: address");
        for (unsigned i = 0; i < sizeof(mac) && offered & HAS_MAC; i++)
                print(" %x", (uint64_t)mac[i]);
        if (!(offered & HAS_MAC)) {
                print(" none");
                mac[0] = 2; /* of a local's */
        }
        if (offered & HAS_MTU)
                print(", MTU %u\n", mtu);
        else
                print(", no MTU\n");

        uint32_t features = (offered & (HAS_MAC | HAS_MTU)) | (merge ? MERGE : 0);
        features |= offload ? CSUM | GUEST_CSUM | GUEST_TSO4 | HOST_TSO4 : 0;
        if (argument_given("broken")) {
                broken(features);
                print("net: now as it should be\n");
        }
        if (!virtio_start(features)) {
                print("net: the device does not take its driver\n");
                finish(2);
        }
        for (uint16_t i = 0; i < buffers; i++)
                offer_buffer(i);
        print("net: ready at 10.0.%u.2\n", (uint64_t)address[2]);
        if (in_ring3(serve, 0) == WRONG) {
                print("net: a datagram's checksum is wrong\n");
                finish(4);
        }
        print("net: end, %u datagrams, interrupt status %u\n", datagrams, virtio_get(VIRTIO_INTERRUPT_STATUS));
        virtio_put(VIRTIO_INTERRUPT_ACK, 1);
}
