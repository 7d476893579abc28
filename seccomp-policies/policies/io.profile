# The thread of the devices: it hears that a queue has requests, moves the bytes of a disk, says so, and passes on what is typed.
# Counted by `ringfence run --kernel vmlinux --disk rootfs.ext4 --count-calls`.
workload a Linux guest starts from its root disk, reads and writes files, and ends
kernel 6.18.44
date 2026-11-28

pread64 253
epoll_wait 62
read 62
write 58
pwrite64 32
epoll_ctl 1
futex 1
