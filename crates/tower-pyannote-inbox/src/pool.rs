use tokio::runtime::Handle;

/// Returns tokio's blocking pool if scanning or hashing `bytes` would keep other tasks off an async thread for too long.
pub(crate) fn pool_for(bytes: usize) -> Option<Handle> {
    match bytes {
        ..=DONE_HERE => None,
        _ => Handle::try_current().ok(),
    }
}

/// A scan takes about 1.5 ms a MiB.
const DONE_HERE: usize = 1 << 20;
