# The main thread, after it has fenced itself: it waits, and at the end puts everything back and reports.
# Counted by `ringfence run tour --vcpus 2 --count-calls`.
workload the guest `tour` on two processors
kernel 6.18.44
date 2026-11-24

ioctl 23
fcntl 22
read 4
tgkill 4
futex 3
brk 1
ppoll 1
