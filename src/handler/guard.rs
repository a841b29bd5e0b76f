use std::{
    any::Any,
    future::{Future, poll_fn},
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    task::Poll,
    time::Duration,
};

use super::{dispatch::BoxFuture, error::HandlerError, report::HandlerOutcome};

/// Runs the work of one handler within its timeout, and catches its panics. An error is how the work failed.
///
/// `AssertUnwindSafe` is sound because events are immutable. A handler must keep its own shared state sound, as in any
/// server that survives a panic.
pub(super) async fn guarded<T>(
    mut work: BoxFuture<'_, Result<T, HandlerError>>,
    timeout: Duration,
) -> Result<T, HandlerOutcome> {
    let outcome = match tokio::time::timeout(timeout, caught(work.as_mut())).await {
        Ok(Ok(Ok(value))) => Ok(value),
        Ok(Ok(Err(error))) => Err(HandlerOutcome::Failed { error }),
        Ok(Err(panic)) => Err(HandlerOutcome::Panicked {
            message: message(panic),
        }),
        Err(_elapsed) => Err(HandlerOutcome::TimedOut { timeout }),
    };
    // Dropping unfinished work runs its destructors, which may panic too.
    match catch_unwind(AssertUnwindSafe(|| drop(work))) {
        Ok(()) => outcome,
        Err(panic) => Err(HandlerOutcome::Panicked {
            message: message(panic),
        }),
    }
}

/// Calls `log`, and ignores its panic: the `Display` of a handler's error may panic.
pub(super) fn without_panic(log: impl FnOnce()) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(log)) {
        // The payload may have a type of the user's, whose destructor may panic.
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
                // The payload may have a type of the user's, whose destructor may panic.
                std::mem::forget(panic);
                "no message".to_owned()
            }
        },
    }
}

type Panic = Box<dyn Any + Send>;
