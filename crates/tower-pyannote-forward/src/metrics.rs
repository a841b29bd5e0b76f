//! The metrics of this crate: names, units and help texts.
//!
//! The handlers record them through the `metrics` facade, so an exporter of your choice publishes them. Call [`describe`]
//! after you installed the exporter. The registry records how long each handler takes.
//!
//! | name | kind | unit | labels | help |
//! |---|---|---|---|---|
//! | `pyannote_webhook_forwards_total` | counter | count | `endpoint`, `outcome` | Attempts to forward an event over HTTP, by endpoint and outcome. |
//! | `pyannote_webhook_relays_total` | counter | count | `outcome` | Attempts to publish an event to a broker, by outcome. |
//!
//! `endpoint` is the name that you gave, or the host. The outcome of a forward is `sent`, `refused` (a permanent error),
//! `failed` (another answer outside of 2xx), `timed_out`, `unanswered`, `busy` or `circuit_open`. That of a relay is
//! `published` or `failed`. Events that a filter does not accept are not counted.

tower_pyannote::__metrics! {
    FORWARDS = "pyannote_webhook_forwards_total", Counter, "count", ["endpoint", "outcome"],
        "Attempts to forward an event over HTTP, by endpoint and outcome.";
    RELAYS = "pyannote_webhook_relays_total", Counter, "count", ["outcome"],
        "Attempts to publish an event to a broker, by outcome.";
}
