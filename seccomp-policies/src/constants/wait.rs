//! Waiting: futex, epoll, poll, clocks, and descriptors that carry events.

use super::family::family;

/// `FUTEX_PRIVATE_FLAG`, `include/uapi/linux/futex.h`: no other process shares the word.
const PRIVATE: i64 = 128;

family! {
    /// Operations of `futex`: `include/uapi/linux/futex.h`.
    FUTEX: Kind::Flags { field: 0xff };
    libc {
        FUTEX_WAIT FUTEX_WAKE FUTEX_FD FUTEX_REQUEUE FUTEX_CMP_REQUEUE FUTEX_WAKE_OP FUTEX_LOCK_PI FUTEX_UNLOCK_PI
        FUTEX_TRYLOCK_PI FUTEX_WAIT_BITSET FUTEX_WAKE_BITSET FUTEX_WAIT_REQUEUE_PI FUTEX_CMP_REQUEUE_PI FUTEX_LOCK_PI2
        FUTEX_PRIVATE_FLAG FUTEX_CLOCK_REALTIME
    }
    same {
        FUTEX_WAIT_PRIVATE = PRIVATE;
        FUTEX_WAKE_PRIVATE = 0x1 | PRIVATE;
        FUTEX_REQUEUE_PRIVATE = 0x3 | PRIVATE;
        FUTEX_CMP_REQUEUE_PRIVATE = 0x4 | PRIVATE;
        FUTEX_WAKE_OP_PRIVATE = 0x5 | PRIVATE;
        FUTEX_LOCK_PI_PRIVATE = 0x6 | PRIVATE;
        FUTEX_UNLOCK_PI_PRIVATE = 0x7 | PRIVATE;
        FUTEX_TRYLOCK_PI_PRIVATE = 0x8 | PRIVATE;
        FUTEX_WAIT_BITSET_PRIVATE = 0x9 | PRIVATE;
        FUTEX_WAKE_BITSET_PRIVATE = 0xa | PRIVATE;
        FUTEX_WAIT_REQUEUE_PI_PRIVATE = 0xb | PRIVATE;
        FUTEX_CMP_REQUEUE_PI_PRIVATE = 0xc | PRIVATE;
        FUTEX_LOCK_PI2_PRIVATE = 0xd | PRIVATE;
    }
}

family! {
    /// The bit set that stands for any waiter: `include/uapi/linux/futex.h`.
    FUTEX_BITSET: Kind::Values;
    same { FUTEX_BITSET_MATCH_ANY = 0xffff_ffff; }
}

family! {
    /// Operations of `epoll_ctl`.
    EPOLL_CTL: Kind::Values;
    libc { EPOLL_CTL_ADD EPOLL_CTL_MOD EPOLL_CTL_DEL }
}

family! {
    /// Flags of `epoll_create1`.
    EPOLL_CREATE: Kind::Flags { field: 0 };
    libc { EPOLL_CLOEXEC }
}

family! {
    /// Events of `epoll`.
    EPOLL_EVENTS: Kind::Flags { field: 0 };
    libc {
        EPOLLIN EPOLLPRI EPOLLOUT EPOLLERR EPOLLHUP EPOLLRDNORM EPOLLRDBAND EPOLLWRNORM EPOLLWRBAND EPOLLMSG EPOLLRDHUP
        EPOLLEXCLUSIVE EPOLLWAKEUP EPOLLONESHOT EPOLLET
    }
}

family! {
    /// Events of `poll`.
    POLL: Kind::Flags { field: 0 };
    libc { POLLIN POLLPRI POLLOUT POLLERR POLLHUP POLLNVAL POLLRDNORM POLLRDBAND POLLRDHUP }
}

family! {
    /// Flags of `eventfd2`.
    EVENTFD: Kind::Flags { field: 0 };
    libc { EFD_SEMAPHORE EFD_CLOEXEC EFD_NONBLOCK }
}

family! {
    /// Flags of `timerfd_create`.
    TIMERFD: Kind::Flags { field: 0 };
    libc { TFD_CLOEXEC TFD_NONBLOCK }
}

family! {
    /// Flags of calls that set timers.
    TIMER_FLAGS: Kind::Flags { field: 0 };
    libc { TIMER_ABSTIME TFD_TIMER_ABSTIME TFD_TIMER_CANCEL_ON_SET }
}

family! {
    /// Flags of `signalfd4`.
    SIGNALFD: Kind::Flags { field: 0 };
    libc { SFD_CLOEXEC SFD_NONBLOCK }
}

family! {
    /// Clocks.
    CLOCK: Kind::Values;
    libc {
        CLOCK_REALTIME CLOCK_MONOTONIC CLOCK_PROCESS_CPUTIME_ID CLOCK_THREAD_CPUTIME_ID CLOCK_MONOTONIC_RAW
        CLOCK_REALTIME_COARSE CLOCK_MONOTONIC_COARSE CLOCK_BOOTTIME CLOCK_REALTIME_ALARM CLOCK_BOOTTIME_ALARM CLOCK_TAI
    }
}

family! {
    /// Flags of `perf_event_open`: `include/uapi/linux/perf_event.h`.
    PERF: Kind::Flags { field: 0 };
    same {
        PERF_FLAG_FD_NO_GROUP = 1; PERF_FLAG_FD_OUTPUT = 2; PERF_FLAG_PID_CGROUP = 4; PERF_FLAG_FD_CLOEXEC = 8;
    }
}

family! {
    /// Flags of `io_uring_enter`: `include/uapi/linux/io_uring.h`.
    IO_URING: Kind::Flags { field: 0 };
    same {
        IORING_ENTER_GETEVENTS = 1; IORING_ENTER_SQ_WAKEUP = 2; IORING_ENTER_SQ_WAIT = 4; IORING_ENTER_EXT_ARG = 8;
        IORING_ENTER_REGISTERED_RING = 16;
    }
}
