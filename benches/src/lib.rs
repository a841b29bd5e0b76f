//! What the benches share: the bodies, the limits that the crate is held against, and how two ways are measured together.

pub mod bodies;
pub mod delivery;
pub mod exact;
pub mod limit;
#[cfg(feature = "time")]
pub mod peers;
pub mod rounds;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The secret that everything is signed with.
pub const SECRET: &str = "whs_0123456789abcdef0123456789abcdef";

/// When everything is signed, as a header has it.
pub const TIMESTAMP: &str = "1767225600";

/// The time that [`TIMESTAMP`] stands for.
pub fn then() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_767_225_600)
}
