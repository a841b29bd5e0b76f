//! What tests of a receiver need: requests, bodies and retries as pyannoteAI makes them.

mod curves;
mod event;
mod json;
mod meeting;
mod output;
mod report;
mod request;
mod sender;
mod voices;
mod words;

pub use self::event::EventBuilder;
pub use self::report::{DeliveryAttempt, DeliveryReport};
pub use self::request::SignedRequest;
pub use self::sender::WebhookSender;
