/*
 * Tables of ACPI (6.5, chapter 5), and as much of AML (chapter 20) as devices that
 * only say what and where they are take: scopes, devices, names, and numbers,
 * strings, buffers and packages as their values.
 */
#include "bare.h"

#define SCAN_START 0xe0000
#define SCAN_END 0x100000
#define RSDP_BYTES 36
#define HEADER_BYTES 36

enum aml {
        AML_ZERO = 0x00,
        AML_ONE = 0x01,
        AML_NAME = 0x08,
        AML_BYTE = 0x0a,
        AML_WORD = 0x0b,
        AML_DWORD = 0x0c,
        AML_STRING = 0x0d,
        AML_QWORD = 0x0e,
        AML_SCOPE = 0x10,
        AML_BUFFER = 0x11,
        AML_PACKAGE = 0x12,
        AML_EXTENDED = 0x5b,
        AML_DEVICE = 0x82,
        /* Resources: small ones have their length in the lowest three bits. */
        RESOURCE_IO = 0x47,
        RESOURCE_LARGE = 0x80,
        RESOURCE_MEMORY32 = 0x86,
        RESOURCE_INTERRUPT = 0x89,
};

static uint32_t u32_at(const uint8_t *at)
{
        return *(const uint32_t *)at;
}

static uint64_t u64_at(const uint8_t *at)
{
        return u32_at(at) | (uint64_t)u32_at(at + 4) << 32;
}

static bool same(const uint8_t *at, const char *text, unsigned count)
{
        for (unsigned i = 0; i < count; i++)
                if (at[i] != (uint8_t)text[i])
                        return false;
        return true;
}

static bool sums_to_zero(const uint8_t *at, uint32_t count)
{
        uint8_t sum = 0;
        for (uint32_t i = 0; i < count; i++)
                sum += at[i];
        return sum == 0;
}

uint32_t acpi_bytes(const uint8_t *table)
{
        return u32_at(table + 4);
}

uint64_t acpi_scan(void)
{
        map(SCAN_START);
        for (uint64_t at = SCAN_START; at < SCAN_END; at += 16)
                if (same((const uint8_t *)at, "RSD PTR ", 8) && sums_to_zero((const uint8_t *)at, 20))
                        return at;
        return 0;
}

static const uint8_t *table_at(uint64_t address, const char *signature)
{
        const uint8_t *table = map(address);
        if (!table || !same(table, signature, 4) || !sums_to_zero(table, acpi_bytes(table)))
                return NULL;
        return table;
}

const uint8_t *acpi_table(uint64_t rsdp, const char *signature)
{
        const uint8_t *root = map(rsdp);
        if (!root || !same(root, "RSD PTR ", 8) || !sums_to_zero(root, RSDP_BYTES))
                return NULL;
        const uint8_t *xsdt = table_at(u64_at(root + 24), "XSDT");
        if (!xsdt)
                return NULL;
        for (uint32_t at = HEADER_BYTES; at + 8 <= acpi_bytes(xsdt); at += 8) {
                const uint8_t *table = table_at(u64_at(xsdt + at), signature);
                if (table)
                        return table;
        }
        return NULL;
}

/* ---- AML ------------------------------------------------------------------------ */

/* A length (section 20.2.4) at *at, which moves behind it; the end of what it is of. */
static const uint8_t *package_end(const uint8_t **at)
{
        const uint8_t *start = *at;
        unsigned more = start[0] >> 6;
        uint32_t length = more ? start[0] & 0x0f : start[0] & 0x3f;
        for (unsigned i = 0; i < more; i++)
                length |= (uint32_t)start[1 + i] << (4 + 8 * i);
        *at = start + 1 + more;
        return start + length;
}

/* The end of a value; its number if it is one. */
static const uint8_t *value(const uint8_t *at, uint64_t *number)
{
        *number = 0;
        switch (*at++) {
        case AML_ONE:
                *number = 1;
                return at;
        case AML_BYTE:
                *number = *at;
                return at + 1;
        case AML_WORD:
                *number = at[0] | at[1] << 8;
                return at + 2;
        case AML_DWORD:
                *number = u32_at(at);
                return at + 4;
        case AML_QWORD:
                *number = u64_at(at);
                return at + 8;
        case AML_STRING:
                while (*at++)
                        ;
                return at;
        case AML_BUFFER:
        case AML_PACKAGE:
                return package_end(&at);
        default:
                return at;
        }
}

/* What a device uses, from the buffer of its _CRS. */
static void resources(const uint8_t *at, const uint8_t *end, struct acpi_device *device)
{
        while (at < end) {
                const uint8_t *item = at;
                at += *item & RESOURCE_LARGE ? 3 + (item[1] | item[2] << 8) : 1 + (*item & 7);
                if (*item == RESOURCE_IO && !device->port)
                        device->port = (uint16_t)(item[2] | item[3] << 8);
                else if (*item == RESOURCE_MEMORY32)
                        device->memory = u32_at(item + 4);
                else if (*item == RESOURCE_INTERRUPT)
                        device->line = u32_at(item + 5);
        }
}

static void read_device(const uint8_t *at, const uint8_t *end, struct acpi_device *device)
{
        *device = (struct acpi_device){0};
        while (at < end && *at == AML_NAME) {
                const uint8_t *name = at + 1, *data = at + 5;
                uint64_t number;
                at = value(data, &number);
                if (same(name, "_HID", 4)) {
                        device->eisa_id = (uint32_t)number;
                        device->name = *data == AML_STRING ? (const char *)data + 1 : NULL;
                } else if (same(name, "_CRS", 4)) {
                        data++;
                        package_end(&data);
                        resources(value(data, &number), at, device);
                }
        }
}

bool acpi_device(const uint8_t *dsdt, unsigned nth, struct acpi_device *device)
{
        const uint8_t *at = dsdt + HEADER_BYTES, *end = dsdt + acpi_bytes(dsdt);
        uint64_t number;

        while (at < end) {
                if (*at == AML_SCOPE) {
                        at++;
                        package_end(&at);
                        at += 5; /* a root character and one name: what follows are its members */
                } else if (at[0] == AML_EXTENDED && at[1] == AML_DEVICE) {
                        const uint8_t *members = at + 2;
                        at = package_end(&members);
                        if (nth-- == 0) {
                                read_device(members + 4, at, device);
                                return true;
                        }
                } else if (*at == AML_NAME) {
                        at = value(at + 1 + (at[1] == '\\') + 4, &number);
                } else {
                        return false;
                }
        }
        return false;
}

int acpi_power_off(const uint8_t *dsdt)
{
        const uint8_t *at = dsdt + HEADER_BYTES, *end = dsdt + acpi_bytes(dsdt);
        uint64_t number;

        for (; at + 12 < end; at++) {
                if (at[0] == AML_NAME && same(at + 1, "\\_S5_", 5) && at[6] == AML_PACKAGE) {
                        at += 7;
                        package_end(&at);
                        value(at + 1, &number); /* behind the number of elements */
                        return (int)number;
                }
        }
        return -1;
}
