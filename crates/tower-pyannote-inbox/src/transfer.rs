use std::time::SystemTime;

use tower_pyannote::{Kind, WebhookEvent};

use crate::{
    entry::{Commit, InboxEntry, InboxState},
    error::InboxError,
    inbox::Inbox,
    record::Record,
    store::LONG_ANSWER,
};

/// An event of another inbox, with what was submitted with its job.
#[derive(Debug)]
pub(crate) struct Import {
    pub(crate) record: Record,
    pub(crate) state: ImportedState,
    pub(crate) job_kind: Option<&'static str>,
    pub(crate) reference: Option<String>,
    pub(crate) metadata: Option<String>,
}

/// The state of an event that comes from another inbox. See [`Inbox::import`].
#[derive(Clone, Debug)]
#[must_use]
pub struct ImportedState {
    pub(crate) state: InboxState,
    pub(crate) attempts: u32,
    pub(crate) finished_at: Option<SystemTime>,
    pub(crate) last_error: Option<String>,
}

impl ImportedState {
    /// Creates the state that an event has in the other inbox. An event that is running there waits here.
    pub fn of(entry: &InboxEntry) -> Self {
        Self::new(entry.state)
            .with_attempts(entry.attempts)
            .with_finished_at(entry.finished_at)
            .with_last_error(entry.last_error.clone())
    }

    /// Creates a state without failed attempts. An event that is neither handled nor dead waits for a worker.
    pub fn new(state: InboxState) -> Self {
        Self {
            state: match state {
                InboxState::Handled | InboxState::Dead => state,
                _ => InboxState::Waiting,
            },
            attempts: 0,
            finished_at: None,
            last_error: None,
        }
    }

    /// Sets the number of failed attempts. Default: 0.
    pub fn with_attempts(mut self, attempts: u32) -> Self {
        self.attempts = attempts;
        self
    }

    /// Sets when the event was handled or became dead. Default: now, for such an event.
    pub fn with_finished_at(mut self, finished_at: Option<SystemTime>) -> Self {
        self.finished_at = finished_at;
        self
    }

    /// Sets why the last attempt failed. Default: none.
    pub fn with_last_error(mut self, error: Option<String>) -> Self {
        self.last_error = error;
        self
    }

    /// Returns the time at which the event ended, if it has.
    pub(crate) fn finished(&self) -> Option<SystemTime> {
        match self.state {
            InboxState::Handled | InboxState::Dead => {
                Some(self.finished_at.unwrap_or_else(SystemTime::now))
            }
            _ => None,
        }
    }
}

impl Inbox {
    /// Commits an event of another inbox with its state, reference and metadata. Returns whether the event was new. An event
    /// that this inbox already has does not change.
    ///
    /// No handler runs for a handled event: the inbox stores it to recognize its duplicates. All handlers run for an event that
    /// waits, also those that succeeded in the other inbox.
    ///
    /// # Errors
    ///
    /// Returns an error if the database failed, or did not answer within 2 minutes. If only the answer was lost, the event is
    /// committed.
    ///
    /// # Example: from SQLite to PostgreSQL
    ///
    /// ```no_run
    /// use tower_pyannote_inbox::{ImportedState, Inbox, InboxFilter};
    ///
    /// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
    /// let from = Inbox::open_existing("sqlite://data/inbox.sqlite").await?;
    /// let to = Inbox::open("postgres://server@localhost/meetings").await?;
    /// let mut last = "0".to_owned();
    /// loop {
    ///     let page = from.list(&InboxFilter::new().with_id_above(&last)).await?;
    ///     let Some(end) = page.last() else { break };
    ///     last = end.id.clone();
    ///     for entry in &page {
    ///         if let Some(event) = from.event(&entry.id).await? {
    ///             to.import(&event, &ImportedState::of(entry)).await?;
    ///         }
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub async fn import(
        &self,
        event: &WebhookEvent,
        state: &ImportedState,
    ) -> Result<Commit, InboxError> {
        let import = Import {
            record: Record::of(event, event.source()),
            state: state.clone(),
            job_kind: event.job_kind().map(Kind::as_str),
            reference: event.reference().map(str::to_owned),
            metadata: event
                .metadata()
                .map(|metadata| metadata.as_str().to_owned()),
        };
        let imported = self
            .database
            .ask_within(LONG_ANSWER, |store| store.import(&import));
        let commit = imported.await?;
        self.wake.notify();
        Ok(commit)
    }
}
