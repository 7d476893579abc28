/*
 * compute: work at the processor's own speed. Ring 3 runs natively even where
 * ring 0 is emulated; N million rounds of xorshift64 (Marsaglia, "Xorshift
 * RNGs", 2003; shifts 13, 7, 17) from the seed below give a number that anyone
 * can recompute.
 *
 *   N   million rounds (10)
 */
#include "bare.h"

#define SEED 88172645463325252 /* the paper's */
#define MILLION 1000000

static uint64_t xorshift(uint64_t rounds)
{
        uint64_t x = SEED;
        while (rounds--) {
                x ^= x << 13;
                x ^= x >> 7;
                x ^= x << 17;
        }
        return x;
}

void guest(void)
{
        uint64_t millions = argument_number(10);

        print("compute: %u million rounds of xorshift64 in ring 3\n", millions);
        print("compute: result %u\n", in_ring3(xorshift, millions * MILLION));
}
