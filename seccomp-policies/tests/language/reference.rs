//! The examples of `docs/policy-language.md`.
