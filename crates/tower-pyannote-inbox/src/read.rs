use tokio::time;

use crate::{
    database::Database,
    error::InboxError,
    held::PAUSE,
    pool::pool_for,
    record::Stored,
    store::{ANSWER, LONG_ANSWER},
    telemetry,
};
use tower_pyannote::{WebhookEvent, event::EventError};

/// Reads a large event. Waits while the database does not answer. If it answers, and only this event cannot be read, that is
/// an error, so that the event does not keep its place for ever.
pub(crate) async fn read(database: &Database, id: i64) -> Result<Option<Stored>, InboxError> {
    let mut unreadable = 0;
    loop {
        // A large body may take long over a slow network.
        let limit = if unreadable == 0 { ANSWER } else { LONG_ANSWER };
        let stored = database.ask_within(limit, |store| store.event(id));
        let error = match stored.await {
            Ok(stored) => return Ok(stored),
            Err(error) => error,
        };
        telemetry::store_failed("read", &error);
        time::sleep(PAUSE).await;
        let answers = database.ask(|store| store.probe()).await.is_ok();
        unreadable = if answers { unreadable + 1 } else { 0 };
        if unreadable == MOST_UNREADABLE {
            return Err(error);
        }
    }
}

/// Makes the event that was stored, in the blocking pool if it is large.
pub(crate) async fn event(stored: Stored, attempt: u32) -> Result<WebhookEvent, EventError> {
    match pool_for(stored.body.len()) {
        None => stored.into_event(attempt),
        Some(pool) => match pool
            .spawn_blocking(move || stored.into_event(attempt))
            .await
        {
            Ok(event) => event,
            Err(ended) => match ended.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                // The runtime shuts down, and this task with it.
                Err(_) => std::future::pending().await,
            },
        },
    }
}

/// Failed reads of an event, while the database answers, that count as a failed attempt.
const MOST_UNREADABLE: u32 = 3;
