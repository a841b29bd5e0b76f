//! Handlers, the registry that runs them, and the reports of their runs.

mod closure;
mod dispatch;
pub(crate) mod error;
mod guard;
mod http;
mod preparation;
pub(crate) mod registry;
mod report;
mod run;
mod service;
mod telemetry;
pub(crate) mod webhook_handler;

pub use self::{
    http::{EmptyBody, HandlerResponseFuture, HandlerService},
    preparation::EventPreparation,
    report::{HandlerOutcome, HandlerReport, HandlerRun, HandlersFailed},
    run::{PendingHandler, PendingHandlers},
    service::HandlerFuture,
};
