//! Requests, bodies and retries like those of pyannoteAI, for tests of a receiver.

mod body;
mod curves;
mod event;
mod json;
mod meeting;
mod report;
mod request;
mod sender;
mod voices;
mod words;

pub use self::{
    event::EventBuilder,
    report::{DeliveryAttempt, DeliveryReport},
    request::SignedRequest,
    sender::WebhookSender,
};
