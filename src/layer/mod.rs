//! The middleware: its limits, its refusals, and the service that it builds.

mod body;
mod budget;
mod buffer;
mod future;
mod limits;
mod pace;
mod parse;
mod receive;
mod rejection;
mod reservation;
mod service;
pub(crate) mod signature_layer;
mod telemetry;

pub use self::{
    body::VerifiedBody,
    budget::ByteBudget,
    future::ResponseFuture,
    rejection::{DefaultResponseForRejection, Rejection, ResponseForRejection},
    service::VerifySignature,
};
