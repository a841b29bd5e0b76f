//! Extractors for axum: `WebhookEvent`, `TypedEvent` and [`AckOthers`] (feature `axum`).

mod ack_others;
mod event;
mod rejection;

pub use self::{
    ack_others::AckOthers,
    rejection::{AckOthersRejection, MissingEvent, TypedEventRejection},
};
