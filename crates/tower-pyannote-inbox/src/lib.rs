//! A durable inbox for pyannoteAI's webhooks: it commits each event before it is acknowledged, and a worker runs handlers
//! over what was committed until they succeed.
#![cfg_attr(docsrs, feature(doc_cfg))]
#![forbid(unsafe_code)]
#![warn(missing_docs)]
#![cfg_attr(
    not(test),
    warn(clippy::as_conversions, clippy::print_stdout, clippy::unwrap_used)
)]

mod backoff;
mod builder;
mod committer;
mod config_error;
mod cursor;
mod database;
mod details;
mod entry;
mod error;
#[cfg(feature = "testing")]
mod faults;
mod feed;
mod filter;
#[cfg(feature = "testing")]
mod gate;
mod group;
mod held;
mod inbox;
mod lane;
pub mod metrics;
mod open;
mod operate;
mod pool;
#[cfg(feature = "postgres")]
mod postgres;
mod read;
mod recent;
#[cfg(feature = "reconcile")]
mod reconcile;
mod record;
mod room;
mod service;
mod sql;
#[cfg(feature = "sqlite")]
mod sqlite;
mod store;
#[cfg(feature = "reconcile")]
mod submissions;
mod telemetry;
mod trace;
mod transfer;
#[cfg(feature = "reconcile")]
mod unanswered;
mod upkeep;
mod work;
mod worker;

#[cfg(not(any(feature = "sqlite", feature = "postgres")))]
compile_error!("tower-pyannote-inbox needs the feature `sqlite` or `postgres`");

#[cfg(feature = "testing")]
pub use self::faults::{StoreFault, StoreFaults};
#[cfg(feature = "testing")]
#[doc(hidden)]
pub use self::gate::{StoreCall, StoreGate, StoreMoment, StorePass, StoreStep, StoreWrite};
#[cfg(feature = "otel")]
pub use self::trace::OpenTelemetry;
pub use self::{
    builder::InboxBuilder,
    config_error::ConfigError,
    cursor::{InboxCursor, InvalidCursor},
    details::{HandlerResult, InboxConflict, InboxDetails},
    entry::{Commit, InboxEntry, InboxState, InboxStats, Replay},
    error::{InboxError, InboxErrorKind},
    filter::InboxFilter,
    inbox::Inbox,
    service::{InboxResponseFuture, InboxService},
    trace::{InvalidTraceContext, TraceContext, TracePropagation},
    transfer::ImportedState,
    worker::InboxWorker,
};
#[cfg(feature = "reconcile")]
pub use self::{
    reconcile::{ReconcileReport, Reconciler},
    submissions::Submissions,
    unanswered::UnansweredSubmission,
};

/// Compiles the README's examples.
#[cfg(all(doctest, feature = "sqlite", feature = "reconcile"))]
#[doc = include_str!("../README.md")]
mod readme {}
