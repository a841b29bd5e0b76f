use std::{
    future::{Future, pending, poll_fn},
    pin::Pin,
    task::Poll,
};

use bytes::Bytes;

use crate::{
    database::{Call, StoreFuture},
    error::{InboxError, InboxErrorKind},
    store::{Batch, Outcome},
};

/// Decides when and how the calls of a store go on.
#[doc(hidden)]
pub trait StoreGate: Send + Sync + 'static {
    /// Holds up a call, before it has an effect and again before its answer.
    fn pass(&self, call: &StoreCall, moment: StoreMoment) -> StorePass<'_>;
}

/// A call of a store: `transact`, `release`, `keep_alive` or `other`. `keep_alive` and `other` have only a name.
#[doc(hidden)]
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoreCall {
    pub name: &'static str,
    /// The bodies of the events to commit.
    pub bodies: Vec<Bytes>,
    pub writes: Vec<StoreWrite>,
    /// The most events to claim.
    pub places: usize,
    /// The events that are not released.
    pub held: Vec<i64>,
}

/// What an attempt writes.
#[doc(hidden)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoreWrite {
    pub event: i64,
    /// The fencing token.
    pub claim: i64,
    /// Whether the attempt ends.
    pub ends: bool,
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

impl From<Call<'_>> for StoreCall {
    fn from(call: Call<'_>) -> Self {
        let named = |name| Self {
            name,
            ..Self::default()
        };
        match call {
            Call::Transact(batch) => Self::transact(batch),
            Call::Release(held) => Self {
                held: held.iter().copied().collect(),
                ..named("release")
            },
            Call::KeepAlive => named("keep_alive"),
            Call::Other => named("other"),
        }
    }
}

impl StoreCall {
    fn transact(batch: &Batch) -> Self {
        let write = |outcome: &Outcome| StoreWrite {
            event: outcome.claim.id,
            claim: outcome.claim.number,
            ends: outcome.end.is_some(),
        };
        let bodies = batch.records.iter().map(|record| record.body.clone());
        Self {
            name: "transact",
            bodies: bodies.collect(),
            writes: batch.outcomes.iter().map(write).collect(),
            places: batch.claims.iter().map(|claim| claim.places).sum(),
            held: Vec::new(),
        }
    }
}

/// Runs a call through a gate.
pub(crate) async fn gated<T>(
    gate: &dyn StoreGate,
    call: &StoreCall,
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
