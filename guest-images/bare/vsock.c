/*
 * vsock: drives a virtio socket device by its queues.
 *
 *   connect=PORT  a stream to this port of the host (5000)
 *   listen=PORT   instead: a stream that the host begins to this port of ours
 *   send=KIB      sends so many KiB, and that it sends no more
 *   echo          sends back what it receives instead
 *   streams=N     N streams at once: each sends its port and expects it back
 *   broken        what no driver may do: breakages[]; then that the device works
 *
 * What the host sends is counted and summed up to its end. Verdicts: 1 no such
 * device, 2 it does not take its driver, 3 the stream was refused, 4 it broke,
 * 5 the device answers a breakage otherwise than it should.
 */
#include "bare.h"

/* Virtio 1.2, section 5.10. */
enum {
        SOCKET = 19, /* device type */
        RECEIVE = 0, /* queues */
        TRANSMIT = 1,

        STREAM = 1, /* the kind of socket */
        HOST = 2,   /* an address */

        REQUEST = 1, /* operations */
        RESPONSE = 2,
        RESET = 3,
        SHUTDOWN = 4,
        DATA = 5,
        CREDIT_UPDATE = 6,
        CREDIT_REQUEST = 7,

        NO_MORE_RECEIVED = 1, /* flags of a shutdown */
        NO_MORE_SENT = 2,
};

enum {
        FIRST_PORT = 1024, /* of ours */
        BUFFERS = 32,      /* for packets */
        BUFFER = 4096,     /* bytes of a packet's data */
        ROOM = 131072,     /* that the host may send ahead: what BUFFERS hold */
        MOST_STREAMS = 1024,
};

struct header {
        uint64_t source_cid, destination_cid;
        uint32_t source_port, destination_port, length;
        uint16_t kind, operation;
        uint32_t flags, buffer, forwarded;
} __attribute__((packed));

static struct packet {
        struct header header;
        uint8_t data[BUFFER];
} received[BUFFERS], sent;

static struct stream {
        uint32_t port, host_port;
        uint32_t buffer, forwarded; /* of the host's */
        uint32_t sent;
        uint32_t taken, told; /* of our own */
        bool open, over, host_sends_no_more, host_receives_no_more;
} streams[MOST_STREAMS];

static uint64_t cid, to_send;
static bool echo;
static uint8_t ring[ROOM]; /* what is to be sent back */
static uint32_t ring_from, ring_length;

/* FNV-1a, 64 bits. */
struct sum {
        uint64_t bytes, hash;
};
static struct sum in = {0, 0xcbf29ce484222325}, out = {0, 0xcbf29ce484222325};

static void add(struct sum *sum, const uint8_t *bytes, uint32_t length)
{
        for (uint32_t i = 0; i < length; i++)
                sum->hash = (sum->hash ^ bytes[i]) * 0x100000001b3;
        sum->bytes += length;
}

static void offer_buffer(unsigned i)
{
        virtio_offer(RECEIVE, i, &(struct virtio_buffer){&received[i], sizeof(received[i]), true}, 1);
}

static bool start(void)
{
        if (!virtio_start(0))
                return false;
        for (unsigned i = 0; i < BUFFERS; i++)
                offer_buffer(i);
        return true;
}

/* Sends what is in `sent`, with so many bytes of data. */
static void send_packet(uint32_t bytes)
{
        virtio_offer(TRANSMIT, 0,
                     &(struct virtio_buffer){&sent, (uint32_t)sizeof(struct header) + bytes, false}, 1);
        virtio_wait(TRANSMIT);
}

static void fill(struct stream *stream, uint16_t operation, uint32_t flags, uint32_t length)
{
        sent.header = (struct header){
                cid,    HOST,      stream->port, stream->host_port, length,
                STREAM, operation, flags,        ROOM,              stream->taken,
        };
        stream->told = stream->taken;
}

static void say(struct stream *stream, uint16_t operation, uint32_t flags)
{
        fill(stream, operation, flags, 0);
        send_packet(0);
}

/* Sends the data in `sent`; the host has room for it. */
static void send_data(struct stream *stream, uint32_t length)
{
        fill(stream, DATA, 0, length);
        send_packet(length);
        stream->sent += length;
}

static uint32_t room(const struct stream *stream)
{
        return stream->buffer - (stream->sent - stream->forwarded);
}

/* The next packet, if there is one. Its buffer is to be offered again. */
static struct packet *next(unsigned *buffer)
{
        uint16_t first;
        uint32_t length;

        if (!virtio_take(RECEIVE, &first, &length))
                return NULL;
        *buffer = first;
        return &received[first];
}

/* What a packet without data says. */
static void hear(struct stream *stream, const struct header *header)
{
        stream->buffer = header->buffer;
        stream->forwarded = header->forwarded;
        switch (header->operation) {
        case RESPONSE:
                stream->open = true;
                break;
        case RESET:
                stream->over = true;
                break;
        case SHUTDOWN:
                stream->host_sends_no_more |= (header->flags & NO_MORE_SENT) != 0;
                stream->host_receives_no_more |= (header->flags & NO_MORE_RECEIVED) != 0;
                break;
        case CREDIT_REQUEST:
                say(stream, CREDIT_UPDATE, 0);
                break;
        }
}

static void connect(struct stream *stream, uint32_t port, uint32_t host_port)
{
        *stream = (struct stream){.port = port, .host_port = host_port};
        say(stream, REQUEST, 0);
}

/* Waits for the host's answer, or for its request. */
static void establish(struct stream *stream, uint32_t listen)
{
        unsigned buffer;

        while (!stream->open && !stream->over) {
                struct packet *packet = next(&buffer);
                if (!packet)
                        continue;
                if (listen && packet->header.operation == REQUEST) {
                        bool ours = packet->header.destination_port == listen;
                        *stream = (struct stream){.port = packet->header.destination_port,
                                                  .host_port = packet->header.source_port};
                        hear(stream, &packet->header);
                        say(stream, ours ? RESPONSE : RESET, 0);
                        stream->open = ours;
                } else {
                        hear(stream, &packet->header);
                }
                offer_buffer(buffer);
        }
}

/* Data has come; it is taken at once, or kept to be sent back. */
static void take_data(struct stream *stream, const struct packet *packet)
{
        const uint32_t length = packet->header.length;

        add(&in, packet->data, length);
        if (echo) {
                for (uint32_t i = 0; i < length; i++)
                        ring[(ring_from + ring_length + i) % ROOM] = packet->data[i];
                ring_length += length;
        } else {
                stream->taken += length;
        }
}

/* Sends as much as there is and there is room for, of one packet's data. */
static void send_some(struct stream *stream)
{
        static uint64_t state = 88172645463325252;
        uint64_t most = echo ? ring_length : to_send;

        if (most > room(stream))
                most = room(stream);
        if (most > BUFFER)
                most = BUFFER;
        if (most == 0 || stream->host_receives_no_more)
                return;
        for (uint32_t i = 0; i < most; i++) {
                if (echo) {
                        sent.data[i] = ring[(ring_from + i) % ROOM];
                        continue;
                }
                /* xorshift64 */
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                sent.data[i] = (uint8_t)state;
        }
        if (echo) {
                ring_from = (ring_from + (uint32_t)most) % ROOM;
                ring_length -= (uint32_t)most;
                stream->taken += (uint32_t)most;
        } else {
                to_send -= most;
        }
        add(&out, sent.data, (uint32_t)most);
        send_data(stream, (uint32_t)most);
}

/* Everything there and back, to the end of both.
 * For ring 3, which runs at the processor's own speed everywhere. */
static uint64_t transfer(uint64_t unused)
{
        struct stream *stream = &streams[0];
        bool told_the_end = false, told_both = false;
        unsigned buffer;

        (void)unused;
        while (!stream->over) {
                struct packet *packet = next(&buffer);
                if (packet) {
                        hear(stream, &packet->header);
                        if (packet->header.operation == DATA)
                                take_data(stream, packet);
                        offer_buffer(buffer);
                }
                send_some(stream);
                if (stream->taken - stream->told >= ROOM / 2)
                        say(stream, CREDIT_UPDATE, 0);
                bool done = stream->host_receives_no_more ||
                            (to_send == 0 && ring_length == 0 && (!echo || stream->host_sends_no_more));
                if (done && !told_the_end) {
                        say(stream, SHUTDOWN, NO_MORE_SENT);
                        told_the_end = true;
                }
                if (done && stream->host_sends_no_more && !told_both) {
                        say(stream, SHUTDOWN, NO_MORE_SENT | NO_MORE_RECEIVED);
                        told_both = true;
                }
        }
        return told_both;
}

static struct stream *of_port(uint32_t port, uint64_t count)
{
        return port - FIRST_PORT < count ? &streams[port - FIRST_PORT] : NULL;
}

/* Takes packets of many streams until `wanted` of them are what is asked for. */
static uint64_t collect(uint64_t count, uint64_t wanted, bool (*is)(const struct stream *))
{
        unsigned buffer;

        for (;;) {
                uint64_t found = 0;
                for (uint64_t i = 0; i < count; i++)
                        found += is(&streams[i]);
                if (found >= wanted)
                        return found;
                struct packet *packet;
                while (!(packet = next(&buffer)))
                        pause();
                struct stream *stream = of_port(packet->header.destination_port, count);
                if (stream) {
                        hear(stream, &packet->header);
                        if (packet->header.operation == DATA && packet->header.length == 4 &&
                            *(uint32_t *)packet->data == stream->port)
                                stream->taken += 4;
                }
                offer_buffer(buffer);
        }
}

static bool is_answered(const struct stream *stream)
{
        return stream->open || stream->over;
}

static bool is_open(const struct stream *stream)
{
        return stream->open;
}

static bool has_its_port_back(const struct stream *stream)
{
        return stream->taken == 4;
}

static bool is_over(const struct stream *stream)
{
        return stream->over;
}

static uint64_t host_port;

/* In the lower half how many streams the host takes, in the upper how many answer. */
static uint64_t many(uint64_t count)
{
        for (uint64_t i = 0; i < count; i++) {
                connect(&streams[i], (uint32_t)(FIRST_PORT + i), (uint32_t)host_port);
                collect(i + 1, i + 1, is_answered);
        }
        uint64_t open = collect(count, 0, is_open);
        for (uint64_t i = 0; i < count; i++) {
                if (!streams[i].open)
                        continue;
                *(uint32_t *)sent.data = streams[i].port;
                send_data(&streams[i], 4);
        }
        uint64_t answered = collect(count, open, has_its_port_back);
        for (uint64_t i = 0; i < count; i++)
                if (streams[i].open)
                        say(&streams[i], SHUTDOWN, NO_MORE_SENT | NO_MORE_RECEIVED);
        collect(count, count, is_over);
        return open | answered << 32;
}

/* ---- What no driver may do ----------------------------------------------------- */

static struct stream *const victim = &streams[0];

static void more_data_than_there_is(void)
{
        fill(victim, DATA, 0, 5000);
        send_packet(100);
}

static void more_than_there_is_room_for(void)
{
        fill(victim, DATA, 0, 0xffffffff);
        send_packet(BUFFER);
}

static void unknown_operation(void)
{
        say(victim, 99, 0);
}

static void second_request(void)
{
        say(victim, REQUEST, 0);
}

static void no_such_stream(void)
{
        fill(victim, DATA, 0, 10);
        sent.header.destination_port++;
        send_packet(10);
}

static void another_kind_of_socket(void)
{
        fill(victim, DATA, 0, 10);
        sent.header.kind = 2;
        send_packet(10);
}

static void packet_without_a_header(void)
{
        virtio_offer(TRANSMIT, 0, &(struct virtio_buffer){&sent, 43, false}, 1);
}

static void buffer_for_no_packet(void)
{
        if (!virtio_start(0))
                finish(2);
        virtio_offer(RECEIVE, 0, &(struct virtio_buffer){&received[0], sizeof(struct header), true}, 1);
        say(victim, REQUEST, 0);
}

static void packet_outside_memory(void)
{
        virtio_offer(TRANSMIT, 0, &(struct virtio_buffer){(void *)(~(uint64_t)0 - 7), 4096, false}, 1);
}

static const struct {
        const char *name;
        void (*doing)(void);
        bool ends; /* in a device that needs a reset, and not in that of a stream */
} breakages[] = {
        {"more data than there is", more_data_than_there_is, false},
        {"more data than there is room for", more_than_there_is_room_for, false},
        {"an unknown operation", unknown_operation, false},
        {"a second request", second_request, false},
        {"a stream that is not there", no_such_stream, false},
        {"another kind of socket", another_kind_of_socket, false},
        {"a packet without a header", packet_without_a_header, true},
        {"a buffer that holds no packet", buffer_for_no_packet, true},
        {"a packet outside memory", packet_outside_memory, true},
};

static bool needs_reset(void)
{
        return virtio_get(VIRTIO_STATUS) & VIRTIO_NEEDS_RESET;
}

/* Waits a bounded time for a reset of a stream, or for a device that needs one. */
static const char *answer(void)
{
        unsigned buffer;

        for (uint64_t i = 0; i < 1 << 22; i++) {
                struct packet *packet = next(&buffer);
                if (needs_reset())
                        return "the device needs a reset";
                if (packet && packet->header.operation == RESET)
                        return "the stream is reset";
                pause();
        }
        return "no answer";
}

/* Breaks each rule on a stream of its own; then everything works. */
static void broken(void)
{
        for (unsigned i = 0; i < sizeof(breakages) / sizeof(breakages[0]); i++) {
                /* Which ends the stream before. */
                if (!start())
                        finish(2);
                connect(victim, FIRST_PORT, (uint32_t)host_port);
                establish(victim, 0);
                if (!victim->open)
                        finish(3);
                breakages[i].doing();
                const char *answered = answer();
                print("vsock: %s: %s\n", breakages[i].name, answered);
                if (answered[0] == 'n' || needs_reset() != breakages[i].ends)
                        finish(5);
        }
        if (!start())
                finish(2);
}

static void one(uint32_t listen)
{
        struct stream *stream = &streams[0];

        if (!listen)
                connect(stream, FIRST_PORT, (uint32_t)host_port);
        else
                print("vsock: listening\n");
        establish(stream, listen);
        if (!stream->open) {
                print("vsock: refused\n");
                finish(3);
        }
        print("vsock: connected\n");
        uint64_t whole = in_ring3(transfer, 0);
        print("vsock: sent %u bytes, sum %x\n", out.bytes, out.hash);
        print("vsock: received %u bytes, sum %x\n", in.bytes, in.hash);
        if (!whole) {
                print("vsock: the stream broke\n");
                finish(4);
        }
}

void guest(void)
{
        if (!virtio_find(SOCKET, 0)) {
                print("vsock: there is no socket device; give me one with --vsock CID,SOCKET\n");
                finish(1);
        }
        cid = virtio_get(VIRTIO_CONFIG) | (uint64_t)virtio_get(VIRTIO_CONFIG + 4) << 32;
        host_port = argument_value("connect=", 5000);
        to_send = argument_value("send=", 0) * 1024;
        echo = argument_given("echo");
        if (argument_given("broken")) {
                broken();
        } else if (!start()) {
                print("vsock: the device does not take its driver\n");
                finish(2);
        }
        print("vsock: CID %u\n", cid);
        uint64_t count = argument_value("streams=", 0);
        if (count > MOST_STREAMS)
                count = MOST_STREAMS;
        if (count) {
                uint64_t result = in_ring3(many, count);
                print("vsock: %u streams, the host took %u, answers on %u\n", count, result & 0xffffffff,
                      result >> 32);
        } else {
                one((uint32_t)argument_value("listen=", 0));
        }
}
