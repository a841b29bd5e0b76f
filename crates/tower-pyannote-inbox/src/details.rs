use std::time::SystemTime;

use crate::entry::InboxEntry;

/// An event in the inbox with the results of its handlers, without its body.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct InboxDetails {
    /// The event as [`Inbox::list`](crate::Inbox::list) returns it.
    pub entry: InboxEntry,
    /// The SHA-256 digest of the body.
    pub sha256: [u8; 32],
    /// The signed timestamp of the delivery, in Unix seconds.
    pub signed_at: u64,
    /// The `media://` URL of the job's audio file, if a client recorded the submission with one. Always `None` for a submission
    /// that [`Inbox::answer_submission`](crate::Inbox::answer_submission) assigned.
    pub media: Option<String>,
    /// The handlers that have finished with the event, by name. Empty once the event is handled.
    pub results: Vec<HandlerResult>,
    /// The other bodies that were delivered for the same job and status, the first received first.
    pub conflicts: Vec<InboxConflict>,
}

/// A handler that has finished with an event.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct HandlerResult {
    /// The handler's name.
    pub handler: String,
    /// The permanent error, after the name of the handler. `None` if the handler succeeded.
    pub error: Option<String>,
}

/// Another body that was delivered for the job and status of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct InboxConflict {
    /// The SHA-256 digest of the body.
    pub sha256: [u8; 32],
    /// When the body was received.
    pub received_at: SystemTime,
    /// The size of the body, in bytes.
    pub bytes: u64,
}
