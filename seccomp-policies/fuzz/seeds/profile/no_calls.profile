kernel x
date 0000-01-31
workload # not a comment é
