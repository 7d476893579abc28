# The thread of a disk: it hears that there are requests, moves the bytes, and says so.
# Counted by `ringfence run --kernel vmlinux --disk rootfs.ext4 --io-threads disks --count-calls`.
workload a Linux guest starts from the disk, reads and writes files, and ends
kernel 6.18.44
date 2026-11-28

pread64 254
epoll_wait 39
read 39
write 35
pwrite64 28
futex 1
