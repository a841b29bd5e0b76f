//! Work that would keep other tasks off an async thread goes to Tokio's blocking pool, where there is one.

use tokio::runtime::Handle;

#[cfg(any(feature = "axum", feature = "handler"))]
pub(crate) use self::output::type_output;

/// The blocking pool, if there is a runtime and to scan `bytes` of JSON takes too long to do it here.
pub(crate) fn pool_for(bytes: usize) -> Option<Handle> {
    match bytes {
        ..=DONE_HERE => None,
        _ => Handle::try_current().ok(),
    }
}

#[cfg(any(feature = "axum", feature = "handler"))]
mod output {
    use super::pool_for;
    use crate::event::WebhookEvent;

    /// Types the output before its first use, which otherwise types it where it happens.
    pub(crate) async fn type_output(event: &WebhookEvent) {
        let Some(pool) = pool_for(event.raw().len()) else {
            return;
        };
        let event = event.clone();
        // Should the pool be gone, the first use types it after all.
        let _ = pool
            .spawn_blocking(move || {
                let _ = event.output();
            })
            .await;
    }
}

/// A scan takes about 1.5 ms a MiB.
const DONE_HERE: usize = 1 << 20;
