//! Requests of `ioctl`, KVM's aside.

use super::family::family;

/// `_IOC`, `include/uapi/asm-generic/ioctl.h`: direction, type, number, size of what the argument points to.
pub(super) const fn request(direction: i64, kind: i64, number: i64, size: usize) -> i64 {
    assert!(size < 1 << 14, "a request has 14 bits for the size");
    (direction << 30) | ((size << 16).cast_signed() as i64) | (kind << 8) | number
}

/// `_IOC_NONE`
pub(super) const NONE: i64 = 0;
/// `_IOC_WRITE`: the kernel reads what the argument points to.
pub(super) const WRITE: i64 = 1;
/// `_IOC_READ`: the kernel writes it.
pub(super) const READ: i64 = 2;

/// Size of `struct termios2`, `include/uapi/asm-generic/termbits.h`: four flag words, line and 19 characters, two
/// speeds.
const TERMIOS2_BYTES: usize = 44;

family! {
    /// Terminals: `include/uapi/asm-generic/ioctls.h`.
    TERMINAL: Kind::Values;
    libc {
        TCGETS TCSETS TCSETSW TCSETSF TCGETA TCSETA TCSETAW TCSETAF TCSBRK TCXONC TCFLSH TIOCEXCL TIOCNXCL TIOCSCTTY
        TIOCGPGRP TIOCSPGRP TIOCOUTQ TIOCSTI TIOCGWINSZ TIOCSWINSZ TIOCMGET TIOCMSET TIOCNOTTY TIOCGSID TIOCGPTN
        TIOCSPTLCK
    }
    same {
        TCGETS2 = request(READ, 0x54, 0x2a, TERMIOS2_BYTES);
        TCSETS2 = request(WRITE, 0x54, 0x2b, TERMIOS2_BYTES);
        TCSETSW2 = request(WRITE, 0x54, 0x2c, TERMIOS2_BYTES);
        TCSETSF2 = request(WRITE, 0x54, 0x2d, TERMIOS2_BYTES);
        TIOCGPTPEER = request(NONE, 0x54, 0x41, 0);
    }
}

family! {
    /// Any file: `include/uapi/asm-generic/ioctls.h`, `include/uapi/linux/fs.h`.
    FILE: Kind::Values;
    libc { FIONREAD FIONBIO FIOASYNC FIOCLEX FIONCLEX }
    same {
        FICLONE = request(WRITE, 0x94, 9, 4);
        FS_IOC_FIEMAP = request(READ | WRITE, b'f' as i64, 11, 32);
    }
}

family! {
    /// TUN and TAP devices: `include/uapi/linux/if_tun.h`.
    TUN: Kind::Values;
    same {
        TUNSETNOCSUM = request(WRITE, 0x54, 200, 4);
        TUNSETIFF = request(WRITE, 0x54, 202, 4);
        TUNSETPERSIST = request(WRITE, 0x54, 203, 4);
        TUNSETOWNER = request(WRITE, 0x54, 204, 4);
        TUNSETGROUP = request(WRITE, 0x54, 206, 4);
        TUNGETFEATURES = request(READ, 0x54, 207, 4);
        TUNSETOFFLOAD = request(WRITE, 0x54, 208, 4);
        TUNGETIFF = request(READ, 0x54, 210, 4);
        TUNGETSNDBUF = request(READ, 0x54, 211, 4);
        TUNSETSNDBUF = request(WRITE, 0x54, 212, 4);
        TUNGETVNETHDRSZ = request(READ, 0x54, 215, 4);
        TUNSETVNETHDRSZ = request(WRITE, 0x54, 216, 4);
        TUNSETQUEUE = request(WRITE, 0x54, 217, 4);
        TUNSETVNETLE = request(WRITE, 0x54, 220, 4);
        TUNSETVNETBE = request(WRITE, 0x54, 222, 4);
    }
}

family! {
    /// Perf events: `include/uapi/linux/perf_event.h`.
    PERF: Kind::Values;
    same {
        PERF_EVENT_IOC_ENABLE = request(NONE, b'$' as i64, 0, 0);
        PERF_EVENT_IOC_DISABLE = request(NONE, b'$' as i64, 1, 0);
        PERF_EVENT_IOC_REFRESH = request(NONE, b'$' as i64, 2, 0);
        PERF_EVENT_IOC_RESET = request(NONE, b'$' as i64, 3, 0);
        PERF_EVENT_IOC_PERIOD = request(WRITE, b'$' as i64, 4, 8);
        PERF_EVENT_IOC_SET_OUTPUT = request(NONE, b'$' as i64, 5, 0);
        PERF_EVENT_IOC_SET_FILTER = request(WRITE, b'$' as i64, 6, 8);
        PERF_EVENT_IOC_ID = request(READ, b'$' as i64, 7, 8);
        PERF_EVENT_IOC_SET_BPF = request(WRITE, b'$' as i64, 8, 4);
        PERF_EVENT_IOC_PAUSE_OUTPUT = request(WRITE, b'$' as i64, 9, 4);
    }
}

family! {
    /// Block devices: `include/uapi/linux/fs.h`.
    BLOCK: Kind::Values;
    same {
        BLKROGET = request(NONE, 0x12, 94, 0);
        BLKGETSIZE = request(NONE, 0x12, 96, 0);
        BLKFLSBUF = request(NONE, 0x12, 97, 0);
        BLKSSZGET = request(NONE, 0x12, 104, 0);
        BLKGETSIZE64 = request(READ, 0x12, 114, 8);
        BLKDISCARD = request(NONE, 0x12, 119, 0);
        BLKPBSZGET = request(NONE, 0x12, 123, 0);
        BLKZEROOUT = request(NONE, 0x12, 127, 0);
    }
}
