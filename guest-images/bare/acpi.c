/*
 * acpi: what a kernel learns from the ACPI tables, and what it does by them. It finds
 * the root pointer as it was told and by a scan, checks every table's sum, and says
 * which processors and devices there are. Then, as its command line has it:
 *
 *   off      switches the machine off by the sleep control register
 *   reset    resets it by the reset register
 *   panic    tells of a panic at the port that the tables name, and goes on
 *   crash    tells of one that a crash kernel takes care of, and goes on
 *
 * The verdict is 1 to 4 where a table is not as it should be.
 */
#include "bare.h"

enum {
        FADT_DSDT = 140,
        FADT_FLAGS = 112,
        FADT_RESET = 116 + 4, /* the address in a generic address structure */
        FADT_RESET_VALUE = 128,
        FADT_SLEEP_CONTROL = 244 + 4,
        FADT_SLEEP_STATUS = 256 + 4,
        HW_REDUCED = 1 << 20,
        MADT_ENTRIES = 44,
        MADT_PROCESSOR = 0,
        SLP_TYP_SHIFT = 2,
        SLP_EN = 1 << 5,
        PANICKED = 1,
        CRASH_LOADED = 2,
};

static uint16_t port_at(const uint8_t *table, unsigned offset)
{
        return *(const uint16_t *)(table + offset);
}

static const uint8_t *dsdt_of(const uint8_t *fadt)
{
        const uint8_t *dsdt = map(*(const uint32_t *)(fadt + FADT_DSDT));
        uint8_t sum = 0;
        for (uint32_t i = 0; i < acpi_bytes(dsdt); i++)
                sum += dsdt[i];
        return sum ? NULL : dsdt;
}

static unsigned processors(const uint8_t *madt)
{
        unsigned count = 0;
        for (uint32_t at = MADT_ENTRIES; at < acpi_bytes(madt) && madt[at + 1]; at += madt[at + 1])
                count += madt[at] == MADT_PROCESSOR;
        return count;
}

/* An EISA id (ACPI 6.5, section 19.3.4) as people write it. */
static const char *eisa_name(uint32_t id)
{
        static const char digits[] = "0123456789ABCDEF";
        static char name[8];
        uint32_t bits = __builtin_bswap32(id);

        for (unsigned i = 0; i < 3; i++)
                name[i] = (char)('@' + (bits >> (26 - 5 * i) & 0x1f));
        for (unsigned i = 0; i < 4; i++)
                name[3 + i] = digits[bits >> (12 - 4 * i) & 0xf];
        return name;
}

static bool is_panic_port(const char *name)
{
        static const char expected[] = "QEMU0001";
        for (unsigned i = 0; i < sizeof(expected); i++)
                if (name[i] != expected[i])
                        return false;
        return true;
}

/* Says which devices there are; the panic port, or 0. */
static uint16_t devices(const uint8_t *dsdt)
{
        struct acpi_device device;
        uint16_t panic_port = 0;

        for (unsigned nth = 0; acpi_device(dsdt, nth, &device); nth++) {
                print("acpi: %s", device.name ? device.name : eisa_name(device.eisa_id));
                if (device.port)
                        print(", port %x", (uint64_t)device.port);
                if (device.memory)
                        print(", memory %x", (uint64_t)device.memory);
                if (device.line)
                        print(", line %u", (uint64_t)device.line);
                print("\n");
                if (device.name && is_panic_port(device.name))
                        panic_port = device.port;
        }
        return panic_port;
}

static void power_off(const uint8_t *fadt, int type)
{
        outb(port_at(fadt, FADT_SLEEP_CONTROL), (uint8_t)type << SLP_TYP_SHIFT); /* not entered: nothing happens */
        print("acpi: switching off\n");
        outb(port_at(fadt, FADT_SLEEP_CONTROL), (uint8_t)type << SLP_TYP_SHIFT | SLP_EN);
}

void guest(void)
{
        const uint8_t *fadt = acpi_table(acpi_rsdp, "FACP"), *madt = acpi_table(acpi_rsdp, "APIC");

        if (!fadt || !madt || acpi_scan() != acpi_rsdp)
                finish(1);
        const uint8_t *dsdt = dsdt_of(fadt);
        if (!dsdt)
                finish(2);
        int type = acpi_power_off(dsdt);
        if (type < 0 || !(*(const uint32_t *)(fadt + FADT_FLAGS) & HW_REDUCED))
                finish(3);
        print("acpi: root at %x, by %s and by a scan; %u processors\n", acpi_rsdp, boot_protocol,
              (uint64_t)processors(madt));
        uint16_t panic_port = devices(dsdt);
        if (!panic_port || inb(panic_port) != (PANICKED | CRASH_LOADED))
                finish(4);

        if (argument_given("crash")) {
                outb(panic_port, CRASH_LOADED);
                print("acpi: a crash kernel would go on\n");
        }
        if (argument_given("panic")) {
                print("acpi: last words\n");
                outb(panic_port, PANICKED);
        }
        if (argument_given("off"))
                power_off(fadt, type);
        if (argument_given("reset"))
                outb(port_at(fadt, FADT_RESET), fadt[FADT_RESET_VALUE]);
        print("acpi: still there\n");
}
