/*
 * fault: how a machine ends that nobody caught. With no table of handlers, an
 * invalid instruction becomes a double fault, that a triple fault, and the
 * processor shuts down. The monitor should say so plainly.
 */
#include "bare.h"

void guest(void)
{
        print("fault: I take the handlers away and execute an invalid instruction.\n");
        triple_fault();
}
