//! The middleware: what it limits, how it refuses, and the service that it makes.

mod body;
mod budget;
mod buffer;
mod future;
mod limits;
mod pace;
mod receive;
mod rejection;
mod service;
pub(crate) mod signature_layer;

pub use self::{
    body::VerifiedBody,
    budget::ByteBudget,
    future::ResponseFuture,
    rejection::{DefaultResponseForRejection, Rejection, ResponseForRejection},
    service::VerifySignature,
};
