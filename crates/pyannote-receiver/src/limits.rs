//! The limits on connections and on the memory of their bodies.

/// The maximum number of connections.
pub(crate) const MAX_CONNECTIONS: usize = 192;

/// The maximum length of a request head, and of what a connection reads ahead. hyper's default is 400 KiB.
pub(crate) const READ_AT_ONCE: usize = 64 << 10;

/// The layer's byte budget. With what connections hold besides it, bodies in flight take at most 256 MiB.
pub(crate) const BYTE_BUDGET: usize = (256 << 20) - MAX_CONNECTIONS * BESIDE_BUDGET;

/// The bytes of a connection that the byte budget does not count: the first 64 KiB of a body, a frame that waits for the
/// budget, and the next frame, which hyper has already read.
const BESIDE_BUDGET: usize = (64 << 10) + 2 * READ_AT_ONCE;
