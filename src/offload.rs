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
    use tokio::sync::Semaphore;

    use super::pool_for;
    use crate::event::WebhookEvent;

    /// Types the output before its first use, which otherwise types it where it happens.
    pub(crate) async fn type_output(event: &WebhookEvent) {
        let bytes = event.raw().len();
        let Some(pool) = pool_for(bytes) else {
            return;
        };
        let counted = u32::try_from(bytes).unwrap_or(AT_ONCE).min(AT_ONCE);
        // It fails only if the semaphore is closed, which it never is.
        let typing = TYPING.acquire_many(counted).await.ok();
        let event = event.clone();
        // Should the pool be gone, the first use types it after all.
        let _ = pool
            .spawn_blocking(move || {
                let _ = event.output();
                drop((event, typing));
            })
            .await;
    }

    /// Bytes of the bodies that are typed on the pool at the same time. A sender that leaves gives back the layer's byte budget,
    /// but typing that has begun goes on; without this limit, such senders could pile up bodies on the pool.
    static TYPING: Semaphore = Semaphore::const_new(128 << 20);

    /// As many as the longest body that the layer accepts by default.
    const AT_ONCE: u32 = 128 << 20;

    #[cfg(test)]
    mod tests {
        use std::{future::Future, pin::pin, task::Context, task::Waker, time::SystemTime};

        use super::*;
        use crate::event::Delivery;

        #[tokio::test]
        async fn a_large_output_is_typed_once_there_is_room_for_its_body() {
            let padding = " ".repeat(2 << 20);
            let body = format!(r#"{{"jobId":"a","output":{{"voiceprint":"AAAA"}}{padding}}}"#);
            let event = WebhookEvent::new(body.into(), Delivery::at(SystemTime::now())).unwrap();
            let others = TYPING.acquire_many(AT_ONCE - (1 << 20)).await.unwrap();
            let mut typed = pin!(type_output(&event));
            let mut context = Context::from_waker(Waker::noop());
            assert!(typed.as_mut().poll(&mut context).is_pending());
            assert_eq!(TYPING.available_permits(), 0);
            drop(others);
            typed.await;
            assert_eq!(TYPING.available_permits(), 128 << 20);
        }
    }
}

/// A scan takes about 1.5 ms a MiB.
const DONE_HERE: usize = 1 << 20;
