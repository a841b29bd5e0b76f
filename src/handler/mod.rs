//! Handlers, the registry that runs them, and how their work went.

mod closure;
mod dispatch;
pub(crate) mod error;
mod guard;
mod http;
pub(crate) mod registry;
mod report;
mod service;
mod telemetry;
pub(crate) mod webhook_handler;

pub use self::{
    http::{EmptyBody, HandlerResponseFuture, HandlerService},
    report::{HandlerOutcome, HandlerReport, HandlerRun, HandlersFailed},
    service::{EventRun, HandlerFuture, PendingHandler},
};
