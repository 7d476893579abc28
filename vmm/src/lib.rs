//! ringfence.
