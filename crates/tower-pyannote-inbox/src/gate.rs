use std::{
    future::{Future, pending, poll_fn},
    pin::Pin,
    task::Poll,
};

use crate::{
    error::{InboxError, InboxErrorKind},
    store::StoreFuture,
};

/// Decides when and how the calls of a store go on.
#[doc(hidden)]
pub trait StoreGate: Send + Sync + 'static {
    /// Holds up a call, before it has an effect and again before its answer.
    fn pass(&self, call: &'static str, moment: StoreMoment) -> StorePass<'_>;
}

#[doc(hidden)]
pub type StorePass<'a> = Pin<Box<dyn Future<Output = StoreStep> + Send + 'a>>;

#[doc(hidden)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StoreMoment {
    BeforeEffect,
    BeforeAnswer,
}

#[doc(hidden)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StoreStep {
    GoesOn,
    Fails,
    /// The call is dropped after it was polled this often, as in a process that is killed, and is never answered.
    Dies {
        polls: u32,
    },
}

/// Runs a call through a gate.
pub(crate) async fn gated<T>(
    gate: &dyn StoreGate,
    call: &'static str,
    mut work: StoreFuture<'_, T>,
) -> Result<T, InboxError> {
    let done = match gate.pass(call, StoreMoment::BeforeEffect).await {
        StoreStep::GoesOn => work.await,
        StoreStep::Fails => return Err(commanded()),
        StoreStep::Dies { mut polls } => {
            let cut_off = poll_fn(|context| {
                if polls == 0 || work.as_mut().poll(context).is_ready() {
                    return Poll::Ready(());
                }
                polls -= 1;
                Poll::Pending
            });
            cut_off.await;
            drop(work);
            gate.pass(call, StoreMoment::BeforeAnswer).await;
            return pending().await;
        }
    };
    match gate.pass(call, StoreMoment::BeforeAnswer).await {
        StoreStep::GoesOn => done,
        _ => Err(commanded()),
    }
}

/// The error of a fault.
pub(crate) fn commanded() -> InboxError {
    InboxError::because(InboxErrorKind::Store, "a fault of StoreFaults")
}
