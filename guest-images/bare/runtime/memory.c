/* Page tables: every address maps to itself, 2 MiB at a time, when asked for. */
#include "bare.h"

#define PAGE_SHIFT 21
#define GIB_SHIFT 30
#define ENTRIES 512
#define DIRECTORIES 16 /* as head.S has room for; the first is in use */
#define ADDRESS_MASK 0x000ffffffffff000

extern uint64_t page_pointers[ENTRIES];
extern uint64_t page_directories[DIRECTORIES][ENTRIES];

void *map(uint64_t address)
{
        static unsigned used = 1;
        uint64_t gib = address >> GIB_SHIFT;

        if (gib >= ENTRIES)
                return NULL;
        if (!page_pointers[gib]) {
                if (used == DIRECTORIES)
                        return NULL;
                page_pointers[gib] = (uint64_t)page_directories[used++] | PAGE_PRESENT_WRITE_USER;
        }
        uint64_t *directory = (uint64_t *)(page_pointers[gib] & ADDRESS_MASK);
        directory[address >> PAGE_SHIFT & (ENTRIES - 1)] =
                (address >> PAGE_SHIFT << PAGE_SHIFT) | PAGE_LARGE | PAGE_PRESENT_WRITE_USER;
        return (void *)address;
}
