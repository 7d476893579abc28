//! The thread roles: what each owns and the loop that it runs.
