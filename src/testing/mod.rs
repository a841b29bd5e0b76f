//! What tests of a receiver need: requests, bodies and retries as pyannoteAI makes them.

mod curves;
mod event;
mod json;
mod meeting;
mod output;
mod report;
mod request;
mod sender;
#[cfg(any(feature = "inbox-sqlite", feature = "inbox-postgres"))]
mod store;
mod voices;
mod words;

pub use self::event::EventBuilder;
pub use self::report::{DeliveryAttempt, DeliveryReport};
pub use self::request::SignedRequest;
pub use self::sender::WebhookSender;
#[cfg(any(feature = "inbox-sqlite", feature = "inbox-postgres"))]
pub use self::store::{StoreFault, StoreFaults};
