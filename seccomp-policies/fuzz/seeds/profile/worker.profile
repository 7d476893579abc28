# Counted on an idle machine.
workload answers a thousand requests
kernel 6.12.1
date 2026-02-28

recvfrom 1000
  write 1001
futex 18446744073709551615
