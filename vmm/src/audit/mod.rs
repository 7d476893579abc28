//! What threads may ask of the kernel, looked at from outside: processes that run, whoever wrote them.

pub mod compare;
pub mod live;
pub mod observe;
pub mod record;
