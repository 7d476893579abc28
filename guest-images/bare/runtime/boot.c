/*
 * What the monitor handed over: command line, memory map and ACPI's root, by PVH's start info
 * (Xen, xen/include/public/arch-x86/hvm/start_info.h) or Linux's boot parameters
 * (Documentation/arch/x86/zero-page.rst).
 */
#include "bare.h"

#define START_INFO_MAGIC 0x336ec578
#define MEMORY_USABLE 1

struct start_info {
        uint32_t magic, version, flags, module_count;
        uint64_t modules, command_line, rsdp;
        /* From version 1 on. */
        uint64_t memory_map;
        uint32_t memory_map_entries, reserved;
};

/* Both maps begin an entry like this; PVH's is 4 bytes longer. */
struct map_entry {
        uint64_t start, bytes;
        uint32_t type;
} __attribute__((packed));

enum {
        START_INFO_ENTRY_BYTES = 24,
        BOOT_PARAMS_ENTRY_BYTES = 20,
        BOOT_PARAMS_RSDP = 0x070,
        BOOT_PARAMS_COMMAND_LINE_HIGH = 0x0c8,
        BOOT_PARAMS_ENTRIES = 0x1e8,
        BOOT_PARAMS_COMMAND_LINE = 0x228,
        BOOT_PARAMS_MAP = 0x2d0,
};

const char *boot_protocol;
const char *command_line = "";
uint64_t acpi_rsdp;

static const uint8_t *map_start;
static unsigned map_stride, map_entries;

_Noreturn void start(const uint8_t *given);

static uint32_t u32_at(const uint8_t *bytes)
{
        return *(const uint32_t *)bytes;
}

static void set_command_line(uint64_t address)
{
        if (address && map(address))
                command_line = (const char *)address;
}

static void read_start_info(const struct start_info *info)
{
        boot_protocol = "PVH";
        acpi_rsdp = info->rsdp;
        set_command_line(info->command_line);
        if (info->version < 1)
                return;
        map_start = map(info->memory_map);
        map_stride = START_INFO_ENTRY_BYTES;
        map_entries = map_start ? info->memory_map_entries : 0;
}

static void read_boot_params(const uint8_t *params)
{
        boot_protocol = "Linux boot protocol";
        acpi_rsdp = u32_at(params + BOOT_PARAMS_RSDP) | (uint64_t)u32_at(params + BOOT_PARAMS_RSDP + 4) << 32;
        set_command_line(u32_at(params + BOOT_PARAMS_COMMAND_LINE)
                         | (uint64_t)u32_at(params + BOOT_PARAMS_COMMAND_LINE_HIGH) << 32);
        map_start = params + BOOT_PARAMS_MAP;
        map_stride = BOOT_PARAMS_ENTRY_BYTES;
        map_entries = params[BOOT_PARAMS_ENTRIES];
}

/* Called by head.S with the address that the monitor left in a register. */
void start(const uint8_t *given)
{
        map((uint64_t)given);
        if (u32_at(given) == START_INFO_MAGIC)
                read_start_info((const struct start_info *)given);
        else
                read_boot_params(given);
        guest();
        finish(0);
}

bool memory_region(unsigned number, struct region *region)
{
        if (number >= map_entries)
                return false;
        const struct map_entry *entry = (const void *)(map_start + number * map_stride);
        region->start = entry->start;
        region->bytes = entry->bytes;
        region->usable = entry->type == MEMORY_USABLE;
        return true;
}
