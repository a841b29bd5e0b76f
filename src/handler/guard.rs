use std::{
    any::Any,
    future::{Future, poll_fn},
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    task::Poll,
    time::Duration,
};

use super::{HandlerOutcome, dispatch::BoxFuture};
use crate::HandlerError;

/// Runs one handler's work so that neither its time nor its panics reach its neighbours.
///
/// The registry hands on nothing that a panic could leave half-changed: events are immutable, and
/// what a handler shares it has to keep sound itself, as behind any server that outlives a panic.
pub(super) async fn guarded(
    mut work: BoxFuture<'_, Result<(), HandlerError>>,
    timeout: Duration,
) -> HandlerOutcome {
    let outcome = match tokio::time::timeout(timeout, caught(work.as_mut())).await {
        Ok(Ok(Ok(()))) => HandlerOutcome::Succeeded,
        Ok(Ok(Err(error))) => HandlerOutcome::Failed { error },
        Ok(Err(panic)) => HandlerOutcome::Panicked {
            message: message(panic),
        },
        Err(_elapsed) => HandlerOutcome::TimedOut { timeout },
    };
    // What is cut off in the middle runs destructors, and those may panic too.
    match catch_unwind(AssertUnwindSafe(|| drop(work))) {
        Ok(()) => outcome,
        Err(panic) => HandlerOutcome::Panicked {
            message: message(panic),
        },
    }
}

/// Does what may run a handler's own code once more, such as its error's `Display`, and outlives that.
pub(crate) fn told(tell: impl FnOnce()) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(tell)) {
        // A payload of the user's own type might panic when dropped.
        std::mem::forget(panic);
    }
}

async fn caught<F: Future + ?Sized>(mut work: Pin<&mut F>) -> Result<F::Output, Panic> {
    poll_fn(
        |cx| match catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(cx))) {
            Ok(poll) => poll.map(Ok),
            Err(panic) => Poll::Ready(Err(panic)),
        },
    )
    .await
}

fn message(panic: Panic) -> String {
    match panic.downcast::<String>() {
        Ok(message) => *message,
        Err(panic) => match panic.downcast::<&'static str>() {
            Ok(message) => (*message).to_owned(),
            Err(panic) => {
                // A payload of the user's own type might panic when dropped.
                std::mem::forget(panic);
                "no message".to_owned()
            }
        },
    }
}

type Panic = Box<dyn Any + Send>;
