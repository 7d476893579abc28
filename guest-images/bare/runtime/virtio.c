/* A virtio device over MMIO and one queue of it, without interrupts: virtio 1.2,
 * sections 2.7 and 4.2. One device at a time. */
#include "bare.h"

enum {
        WINDOW = 0x1000, /* bytes from one device's registers to the next */
        DEVICES = 8,
        VERSION_1 = 1u << 0, /* bit 32 of the features, in their upper half */
        HAS_NEXT = 1,
        DEVICE_WRITES = 2,
};

struct virtio_descriptor virtio_descriptors[VIRTIO_SIZE] __attribute__((aligned(16)));
volatile struct virtio_available virtio_available __attribute__((aligned(2)));
volatile struct virtio_used virtio_used __attribute__((aligned(4)));

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
        for (unsigned i = 0; i < DEVICES; i++) {
                uint8_t *registers = map(VIRTIO + i * WINDOW);
                if (!registers)
                        return false;
                device = registers;
                if (virtio_get(VIRTIO_MAGIC) == 0x74726976 && virtio_get(VIRTIO_VERSION) == 2 &&
                    virtio_get(VIRTIO_DEVICE_ID) == type && nth-- == 0)
                        return true;
        }
        return false;
}

bool virtio_start(uint32_t features, uint64_t table)
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
        if (!(virtio_get(VIRTIO_STATUS) & VIRTIO_FEATURES_OK))
                return false;
        virtio_put(VIRTIO_QUEUE_SEL, 0);
        if (virtio_get(VIRTIO_QUEUE_NUM_MAX) < VIRTIO_SIZE)
                return false;
        virtio_put(VIRTIO_QUEUE_NUM, VIRTIO_SIZE);
        put_address(VIRTIO_QUEUE_DESC, table);
        put_address(VIRTIO_QUEUE_DRIVER, (uint64_t)&virtio_available);
        put_address(VIRTIO_QUEUE_DEVICE, (uint64_t)&virtio_used);
        virtio_available.index = 0;
        virtio_used.index = 0;
        virtio_put(VIRTIO_QUEUE_READY, 1);
        virtio_put(VIRTIO_STATUS, agreed | VIRTIO_DRIVER_OK);
        return virtio_get(VIRTIO_STATUS) & VIRTIO_DRIVER_OK;
}

void virtio_offer_head(uint16_t head)
{
        uint16_t index = virtio_available.index;
        /* Volatile, and this processor keeps the order of its stores. */
        virtio_available.ring[index % VIRTIO_SIZE] = head;
        virtio_available.index = (uint16_t)(index + 1);
        virtio_put(VIRTIO_QUEUE_NOTIFY, 0);
}

void virtio_offer(const struct virtio_buffer *buffers, unsigned count)
{
        for (unsigned i = 0; i < count; i++) {
                uint16_t flags = (uint16_t)((buffers[i].device_writes ? DEVICE_WRITES : 0) |
                                            (i + 1 < count ? HAS_NEXT : 0));
                virtio_descriptors[i] = (struct virtio_descriptor){
                        (uint64_t)buffers[i].at, buffers[i].length, flags, (uint16_t)(i + 1)};
        }
        virtio_offer_head(0);
}

uint32_t virtio_wait(void)
{
        while (virtio_used.index != virtio_available.index)
                pause();
        return virtio_used.ring[(uint16_t)(virtio_used.index - 1) % VIRTIO_SIZE].length;
}
