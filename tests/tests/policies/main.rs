//! What the embedded policies let through and refuse, by several judges that must agree: the checked text of the
//! policy, the interpreter of BPF, and the running kernel.

mod arguments;
mod entries;
mod generated;
mod judges;
mod numbers;
mod strict;
