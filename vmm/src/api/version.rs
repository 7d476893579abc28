//! Versions, as clients ask for them.

/// The version of Firecracker with whose API and command line this program is compatible, as far as their subjects exist
/// here. Clients read it and choose what they send by it.
pub const FIRECRACKER: &str = "1.14.0";

/// What `app_name` of `GET /` says: clients of Firecracker expect its name.
pub const APP_NAME: &str = "Firecracker";
