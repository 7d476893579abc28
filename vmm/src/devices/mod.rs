//! What a guest sees. A device knows no thread and no descriptor: it returns what its caller has to do.
#![forbid(unsafe_code)]
