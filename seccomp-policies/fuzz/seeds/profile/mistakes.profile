workload
kernel  6.1 
date 2026-13-01
read 1
read 2
raed 3
write -1
kernel 6.2
