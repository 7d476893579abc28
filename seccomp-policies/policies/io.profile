# The thread of standard input: it waits, reads what the serial port has room for, and rings its interrupt.
# Counted by `ringfence run echo --count-calls`.
workload the guest `echo` says 300 lines of input back
kernel 6.18.44
date 2026-11-24

epoll_ctl 299
epoll_wait 299
read 299
write 150
