/* A virtio device over MMIO and its queues, without interrupts: virtio 1.2,
 * sections 2.7 and 4.2. One device at a time. */
#include "bare.h"

enum {
        WINDOW = 0x1000, /* bytes from one device's registers to the next */
        DEVICES = 8,
        DEVICES_ELSEWHERE = 24, /* QEMU's microvm has so many places, which it fills from the last on */
        VERSION_1 = 1u << 0, /* bit 32 of the features, in their upper half */
        HAS_NEXT = 1,
        DEVICE_WRITES = 2,
};

struct virtio_queue virtio_queues[VIRTIO_QUEUES];

static volatile uint8_t *device;

uint32_t virtio_get(unsigned offset)
{
        return *(volatile uint32_t *)(device + offset);
}

void virtio_put(unsigned offset, uint32_t value)
{
        *(volatile uint32_t *)(device + offset) = value;
}

static void put_address(unsigned offset, uint64_t address)
{
        virtio_put(offset, (uint32_t)address);
        virtio_put(offset + 4, (uint32_t)(address >> 32));
}

bool virtio_find(uint32_t type, unsigned nth)
{
        /* Another monitor has them elsewhere: at "virtio=ADDRESS", "window=BYTES" apart. */
        uint64_t elsewhere = argument_value("virtio=", 0), window = argument_value("window=", WINDOW);
        for (unsigned i = 0; i < (elsewhere ? DEVICES_ELSEWHERE : DEVICES); i++) {
                uint8_t *registers = map((elsewhere ? elsewhere : VIRTIO) + i * window);
                if (!registers)
                        return false;
                device = registers;
                if (virtio_get(VIRTIO_MAGIC) == 0x74726976 && virtio_get(VIRTIO_VERSION) == 2 &&
                    virtio_get(VIRTIO_DEVICE_ID) == type && nth-- == 0)
                        return true;
        }
        return false;
}

/* False if the device has no such queue, or only a shorter one. */
static bool set_up(unsigned number, uint64_t table)
{
        struct virtio_queue *queue = &virtio_queues[number];

        virtio_put(VIRTIO_QUEUE_SEL, number);
        if (virtio_get(VIRTIO_QUEUE_NUM_MAX) < VIRTIO_SIZE)
                return false;
        virtio_put(VIRTIO_QUEUE_NUM, VIRTIO_SIZE);
        put_address(VIRTIO_QUEUE_DESC, table);
        put_address(VIRTIO_QUEUE_DRIVER, (uint64_t)&queue->available);
        put_address(VIRTIO_QUEUE_DEVICE, (uint64_t)&queue->used);
        queue->available.index = 0;
        queue->used.index = 0;
        queue->taken = 0;
        virtio_put(VIRTIO_QUEUE_READY, 1);
        return true;
}

bool virtio_start_at(uint32_t features, uint64_t table)
{
        const uint32_t agreed = VIRTIO_ACKNOWLEDGE | VIRTIO_DRIVER | VIRTIO_FEATURES_OK;

        virtio_put(VIRTIO_STATUS, 0);
        virtio_put(VIRTIO_STATUS, VIRTIO_ACKNOWLEDGE);
        virtio_put(VIRTIO_STATUS, VIRTIO_ACKNOWLEDGE | VIRTIO_DRIVER);
        virtio_put(VIRTIO_DRIVER_FEATURES_SEL, 0);
        virtio_put(VIRTIO_DRIVER_FEATURES, features);
        virtio_put(VIRTIO_DRIVER_FEATURES_SEL, 1);
        virtio_put(VIRTIO_DRIVER_FEATURES, VERSION_1);
        virtio_put(VIRTIO_STATUS, agreed);
        if (!(virtio_get(VIRTIO_STATUS) & VIRTIO_FEATURES_OK) || !set_up(0, table))
                return false;
        for (unsigned i = 1; i < VIRTIO_QUEUES; i++)
                if (!set_up(i, (uint64_t)virtio_queues[i].descriptors))
                        break;
        virtio_put(VIRTIO_STATUS, agreed | VIRTIO_DRIVER_OK);
        return virtio_get(VIRTIO_STATUS) & VIRTIO_DRIVER_OK;
}

bool virtio_start(uint32_t features)
{
        return virtio_start_at(features, (uint64_t)virtio_queues[0].descriptors);
}

void virtio_offer_head(unsigned queue, uint16_t head)
{
        volatile struct virtio_available *available = &virtio_queues[queue].available;
        uint16_t index = available->index;
        /* Volatile, and this processor keeps the order of its stores. */
        available->ring[index % VIRTIO_SIZE] = head;
        available->index = (uint16_t)(index + 1);
        virtio_put(VIRTIO_QUEUE_NOTIFY, queue);
}

void virtio_offer(unsigned queue, unsigned first, const struct virtio_buffer *buffers, unsigned count)
{
        for (unsigned i = 0; i < count; i++) {
                uint16_t flags = (uint16_t)((buffers[i].device_writes ? DEVICE_WRITES : 0) |
                                            (i + 1 < count ? HAS_NEXT : 0));
                virtio_queues[queue].descriptors[first + i] = (struct virtio_descriptor){
                        (uint64_t)buffers[i].at, buffers[i].length, flags, (uint16_t)(first + i + 1)};
        }
        virtio_offer_head(queue, (uint16_t)first);
}

bool virtio_take(unsigned queue, uint16_t *first, uint32_t *length)
{
        struct virtio_queue *from = &virtio_queues[queue];
        if (from->used.index == from->taken)
                return false;
        unsigned place = from->taken++ % VIRTIO_SIZE;
        *first = (uint16_t)from->used.ring[place].id;
        *length = from->used.ring[place].length;
        return true;
}

uint32_t virtio_wait(unsigned queue)
{
        struct virtio_queue *from = &virtio_queues[queue];
        while (from->used.index != from->available.index)
                pause();
        from->taken = from->used.index;
        return from->used.ring[(uint16_t)(from->used.index - 1) % VIRTIO_SIZE].length;
}
