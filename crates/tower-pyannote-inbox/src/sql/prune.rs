use std::{
    sync::atomic::Ordering,
    time::{Duration, SystemTime},
};

use super::{
    SUBMISSIONS_KEPT, SqlStore,
    session::{Session, Value},
    span, statements as sql,
};
use crate::{error::InboxError, record::nanoseconds};

impl SqlStore {
    /// Deletes expired submissions in batches, except those whose event is still stored. Returns the jobs whose end is not known.
    async fn forget_submissions(&self, session: &mut Session) -> Result<Vec<String>, InboxError> {
        let from = self.forgotten_to.load(Ordering::Relaxed);
        let before = nanoseconds(SystemTime::now() - SUBMISSIONS_KEPT);
        let values = [
            Value::Int(from),
            Value::Int(before),
            Value::Int(FORGOTTEN_AT_ONCE),
        ];
        let seen = session.row(sql::OLD_SUBMISSIONS, &values).await?;
        let (seen, to): (i64, Option<i64>) = seen.unwrap_or_default();
        let values = [Value::Int(from), Value::MaybeInt(to)];
        let ids = session
            .rows::<(Option<String>,)>(sql::FORGET_SUBMISSIONS, &values)
            .await?;
        // The next pass begins again at the oldest submission once this one has reached the youngest.
        let next = to.filter(|_| seen == FORGOTTEN_AT_ONCE);
        self.forgotten_to
            .store(next.unwrap_or(i64::MIN), Ordering::Relaxed);
        Ok(ids.into_iter().filter_map(|(id,)| id).collect())
    }

    pub(super) async fn prune_in(
        &self,
        session: &mut Session,
        before: i64,
    ) -> Result<(u64, Vec<String>), InboxError> {
        let values = [Value::Int(before), Value::Int(PRUNED_AT_ONCE)];
        let old: Vec<(i64, i64)> = session.rows(sql::PRUNABLE, &values).await?;
        let mut bytes = 0;
        let few = old.into_iter().take_while(|(_, size)| {
            let fits = bytes < PRUNED_BYTES;
            bytes += size;
            fits
        });
        let ids: Vec<i64> = few.map(|(id, _)| id).collect();
        let mut pruned = 0;
        if !ids.is_empty() {
            let ids = Value::Ids(&ids);
            session.run(sql::NOTE_RECEIVED, &[ids]).await?;
            let since = nanoseconds(SystemTime::now() - SUBMISSIONS_KEPT);
            session
                .run(sql::NOTE_UNSUBMITTED, &[ids, Value::Int(since)])
                .await?;
            pruned = session.run(sql::PRUNE, &[ids]).await?;
        }
        let day = Value::Int(span(LEASES_KEPT));
        session.run(sql::FORGET_LEASES, &[day]).await?;
        let lost = self.forget_submissions(session).await?;
        // SQLite returns the space to the file system, a part at a time; PostgreSQL does so by itself.
        let tidy = self.engine.choose("PRAGMA incremental_vacuum(4096)", "");
        session.script(tidy).await?;
        Ok((pruned, lost))
    }
}

/// Few and small enough that deliveries do not wait long for the transaction; the last one may be larger.
const PRUNED_AT_ONCE: i64 = 100;
const PRUNED_BYTES: i64 = 16 << 20;

/// How long the lease of a dead worker is kept.
const LEASES_KEPT: Duration = Duration::from_secs(24 * 60 * 60);

/// More than clients submit between two prunings, even at the API's full rate.
const FORGOTTEN_AT_ONCE: i64 = 10_000;
