//! Types large outputs on Tokio's blocking pool, because typing them on an async thread would delay other tasks.

use tokio::runtime::Handle;
use tokio::sync::Semaphore;

use crate::event::webhook_event::WebhookEvent;

/// Types the output of a large event on the blocking pool, so that its first use finds it typed.
///
/// The first use types a small output, and every output outside a Tokio runtime.
pub(crate) async fn type_output(event: &WebhookEvent) {
    let bytes = event.raw().len();
    if bytes <= TYPED_IN_PLACE {
        return;
    }
    let Ok(runtime) = Handle::try_current() else {
        return;
    };
    let counted = u32::try_from(bytes).unwrap_or(AT_ONCE).min(AT_ONCE);
    // Fails only if the semaphore is closed, which never happens.
    let permit = TYPING.acquire_many(counted).await.ok();
    let event = event.clone();
    // If the pool has shut down, the first use types the output.
    let _ = runtime
        .spawn_blocking(move || {
            let _ = event.output();
            drop((event, permit));
        })
        .await;
}

/// Limits the bytes of the bodies that are typed on the pool at the same time. When a sender disconnects, its body's share of
/// the layer's byte budget is released, but typing goes on. Without this limit, such bodies could pile up on the pool.
static TYPING: Semaphore = Semaphore::const_new(128 << 20);

/// The most permits that one body takes: the default body limit of the layer.
const AT_ONCE: u32 = 128 << 20;

/// The largest body whose output is typed in place. Typing takes about 1.5 ms a MiB.
const TYPED_IN_PLACE: usize = 1 << 20;

#[cfg(test)]
mod tests {
    use std::{future::Future, pin::pin, task::Context, task::Waker, time::SystemTime};

    use super::*;
    use crate::event::Delivery;

    #[tokio::test]
    async fn large_output_is_typed_once_permits_for_its_body_are_free() {
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
