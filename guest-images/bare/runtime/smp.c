/*
 * Finding and starting the other processors: Intel's MultiProcessor
 * Specification 1.4 (the table) and SDM volume 3, section 9.4 (INIT, SIPI).
 */
#include "bare.h"

#define SIGNATURE 0x5f504d5f /* "_MP_" */
#define ENTRY_PROCESSOR 0
#define PROCESSOR_ENTRY_BYTES 20
#define OTHER_ENTRY_BYTES 8
#define PROCESSOR_ENABLED 1
#define PROCESSOR_BOOT 2

/* A read of an unused port leaves the guest, which takes a microsecond or ten: so
 * many are a wait of some seconds, for a processor that never comes. */
#define UNUSED_PORT 0x80
#define PATIENCE 500000

enum {
        ICR_INIT = 0x4500,
        ICR_STARTUP = 0x4600,
};

/* Only the beginning of it. */
struct floating_pointer {
        uint32_t signature, table;
};

struct table_header {
        uint32_t signature;
        uint16_t length;
        uint8_t revision, checksum;
        char names[20];
        uint32_t oem_table;
        uint16_t oem_bytes, entries;
        uint32_t lapic;
        uint16_t extended_length;
        uint8_t extended_checksum, reserved;
};

struct processor_entry {
        uint8_t type, apic_id, apic_version, flags;
};

extern const uint8_t trampoline[], trampoline_end[];
static volatile unsigned arrived;

void ap_start(unsigned number);

static const struct table_header *find_in(uint64_t from, uint64_t to)
{
        for (uint64_t at = from; at < to; at += 16) {
                const struct floating_pointer *pointer = (const void *)at;
                if (pointer->signature == SIGNATURE)
                        return map(pointer->table);
        }
        return NULL;
}

int mp_table(uint8_t *apic_ids, int most)
{
        const struct table_header *table = find_in(0x9fc00, 0xa0000);
        int found = 0;

        if (!table)
                table = find_in(0xf0000, 0x100000);
        if (!table)
                return -1;
        /* By length, as Linux does: some firmware leaves the number of entries at 0. */
        const uint8_t *at = (const uint8_t *)(table + 1);
        const uint8_t *end = (const uint8_t *)table + table->length;
        while (at < end && found < most) {
                const struct processor_entry *cpu = (const void *)at;
                if (cpu->type == ENTRY_PROCESSOR && (cpu->flags & PROCESSOR_ENABLED)
                    && !(cpu->flags & PROCESSOR_BOOT))
                        apic_ids[found++] = cpu->apic_id;
                at += cpu->type == ENTRY_PROCESSOR ? PROCESSOR_ENTRY_BYTES : OTHER_ENTRY_BYTES;
        }
        return found;
}

static void send(uint8_t target, uint32_t command)
{
        lapic_write(LAPIC_ICR_HIGH, (uint32_t)target << 24);
        lapic_write(LAPIC_ICR_LOW, command);
}

void ap_wake(uint8_t target)
{
        const uint8_t *from = trampoline;
        uint8_t *to = (uint8_t *)TRAMPOLINE;
        size_t count = (size_t)(trampoline_end - trampoline);

        asm volatile("rep movsb" : "+S"(from), "+D"(to), "+c"(count) : : "memory");
        lapic_open();
        /* A real board needs 10 ms after INIT and a second SIPI; a virtual one does not. */
        send(target, ICR_INIT);
        send(target, ICR_STARTUP | TRAMPOLINE >> 12);
}

bool ap_wait(unsigned count)
{
        for (unsigned patience = PATIENCE; patience; patience--) {
                if (arrived >= count)
                        return true;
                inb(UNUSED_PORT);
        }
        return false;
}

/* Called by head.S on another processor, with its ticket. */
void ap_start(unsigned number)
{
        ap_main(number);
        asm volatile("lock incl %0" : "+m"(arrived));
}

__attribute__((weak)) void ap_main(unsigned number)
{
        (void)number;
}
