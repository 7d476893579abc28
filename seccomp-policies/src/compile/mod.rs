//! Checked policy to BPF program, by several backends.
