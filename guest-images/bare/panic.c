/*
 * panic: looks like a Linux guest that dies: the kernel's last words, then the
 * reset that `panic=-1` asks for. The monitor sees a reset; the words tell why.
 */
#include "bare.h"

void guest(void)
{
        print("[    0.123456] Kernel panic - not syncing: test\n");
        print("[    0.123457] ---[ end Kernel panic - not syncing: test ]---\n");
}
