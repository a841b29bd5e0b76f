//! The limits on connections and on the memory of their bodies.

/// The maximum length of a request head, and of what a connection reads ahead. hyper's default is 400 KiB.
pub(crate) const READ_AT_ONCE: usize = 64 << 10;

/// The bytes of a connection that the byte budget does not count: the first 64 KiB of a body, a frame that waits for the
/// budget, and the next frame, which hyper has already read.
pub(crate) const BESIDE_BUDGET: usize = (64 << 10) + 2 * READ_AT_ONCE;

/// The connections of the private listener. Each open page of a browser holds one, and up to six while it loads.
pub(crate) const PRIVATE_CONNECTIONS: usize = 64;
