//! Shared by the benches: bodies, the limits that the crate is compared with, and interleaved measuring.

pub mod bodies;
pub mod delivery;
pub mod exact;
pub mod limit;
#[cfg(feature = "time")]
pub mod peers;
pub mod rounds;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The secret of all signatures.
pub const SECRET: &str = "whs_0123456789abcdef0123456789abcdef";

/// The time of all signatures, as in the header.
pub const TIMESTAMP: &str = "1767225600";

/// Returns the time of [`TIMESTAMP`].
pub fn then() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_767_225_600)
}
