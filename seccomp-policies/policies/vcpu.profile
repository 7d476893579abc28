# A vCPU thread: the ports of the serial line make it leave the guest, and each line of output rings a bell.
# Counted by `ringfence run echo --count-calls`.
workload the guest `echo` says 300 lines of input back
kernel 6.18.44
date 2026-11-24

ioctl 33243
write 5211
futex 3
