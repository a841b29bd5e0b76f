//! Whether a registry types the output of an event.

use std::{
    future::{Future, poll_fn},
    pin::pin,
    sync::mpsc,
    task::Poll,
};

use tower_pyannote::{HandlerRegistry, WebhookEvent};

/// Runs the registry while the only blocking thread is busy. Returns whether the registry waits for the thread, on which the
/// output of a large event is typed.
///
/// # Panics
///
/// Panics if a handler fails.
pub fn waits_for_a_blocking_thread(registry: &HandlerRegistry, event: WebhookEvent) -> bool {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(1)
        .build()
        .unwrap();
    runtime.block_on(async {
        let (release, held) = mpsc::channel::<()>();
        let holder = tokio::task::spawn_blocking(move || held.recv());
        let mut handled = pin!(registry.handle(event));
        let first = poll_fn(|cx| Poll::Ready(handled.as_mut().poll(cx))).await;
        release.send(()).unwrap();
        holder.await.unwrap().unwrap();
        match first {
            Poll::Ready(report) => {
                assert!(report.is_success());
                false
            }
            Poll::Pending => {
                assert!(handled.await.is_success());
                true
            }
        }
    })
}
