/// Implements [`Store`](super::store::Store) for a database of sqlx.
///
/// A macro, as what is generic over sqlx's databases needs a page of bounds. The statements are the same in SQLite and
/// PostgreSQL, but for how apalis' columns are made from seconds since the epoch: `$at("4")` is the fourth parameter as
/// such a time. What else differs, each store does for itself: `write`, `read`, `lock_job`, and the methods with `_in`.
macro_rules! sql_store {
    ($store:ty, $database:ty, $row:ty, $at_open:literal, $at_close:literal) => {
        impl $store {
            /// Keeps the body of an event whose name another one has.
            async fn keep_aside(
                tx: &mut Transaction<'_, $database>,
                record: &Record,
            ) -> Result<(), InboxError> {
                sqlx::query(
                    "INSERT INTO pyannote_conflicts (event_key, sha256, received_at, signed_at, body) \
                     VALUES ($1, $2, $3, $4, $5) ON CONFLICT (event_key, sha256) DO NOTHING",
                )
                .bind(&record.event_key[..])
                .bind(&record.sha256[..])
                .bind(record.received_at)
                .bind(record.signed_at)
                .bind(&record.body[..])
                .execute(&mut **tx)
                .await
                .map_err(failed)?;
                Ok(())
            }

            /// Before an event is removed: its job must not be asked for again while the API still lists it.
            async fn note_received(
                tx: &mut Transaction<'_, $database>,
                id: &str,
            ) -> Result<(), InboxError> {
                sqlx::query(
                    "UPDATE pyannote_submissions SET outcome = 'received' WHERE job_key IN \
                     (SELECT job_key FROM pyannote_events WHERE id = $1 \
                     AND status IN ('succeeded', 'failed', 'canceled'))",
                )
                .bind(id)
                .execute(&mut **tx)
                .await
                .map_err(failed)?;
                sqlx::query(
                    "INSERT INTO pyannote_submissions \
                     (job_key, job_id, status_only, submitted_at, outcome) \
                     SELECT job_key, job_id, FALSE, received_at, 'received' FROM pyannote_events \
                     WHERE id = $1 AND received_at > $2 \
                     AND status IN ('succeeded', 'failed', 'canceled') ON CONFLICT (job_key) DO NOTHING",
                )
                .bind(id)
                .bind(nanoseconds(SystemTime::now() - REMEMBERED))
                .execute(&mut **tx)
                .await
                .map_err(failed)?;
                Ok(())
            }

            /// Removes what is known of jobs that nobody asks for any more, of the next so many: those whose event is kept
            /// may be without number. Returns those whose end was never heard of.
            async fn forget_submissions(
                &self,
                tx: &mut Transaction<'_, $database>,
            ) -> Result<Vec<String>, InboxError> {
                let from = self.forgotten_to.load(Ordering::Relaxed);
                let row = sqlx::query(
                    "SELECT COUNT(*), MAX(submitted_at) FROM (SELECT submitted_at FROM pyannote_submissions \
                     WHERE submitted_at > $1 AND submitted_at < $2 ORDER BY submitted_at LIMIT $3) s",
                )
                .bind(from)
                .bind(nanoseconds(SystemTime::now() - REMEMBERED))
                .bind(FORGOTTEN_AT_ONCE)
                .fetch_one(&mut **tx)
                .await
                .map_err(failed)?;
                let seen: i64 = row.try_get(0).map_err(failed)?;
                let to: Option<i64> = row.try_get(1).map_err(failed)?;
                let forgotten = sqlx::query(
                    "DELETE FROM pyannote_submissions WHERE submitted_at > $1 AND submitted_at <= $2 AND NOT EXISTS \
                     (SELECT 1 FROM pyannote_events e WHERE e.job_key = pyannote_submissions.job_key) \
                     RETURNING CASE WHEN outcome IS NULL THEN job_id END",
                )
                .bind(from)
                .bind(to)
                .fetch_all(&mut **tx)
                .await
                .map_err(failed)?;
                let ids = forgotten.iter().map(|row| row.try_get(0));
                let ids: Vec<Option<String>> = ids.collect::<Result<_, _>>().map_err(failed)?;
                // From the start again, once it is through.
                let next = to.filter(|_| seen == FORGOTTEN_AT_ONCE).unwrap_or(i64::MIN);
                self.forgotten_to.store(next, Ordering::Relaxed);
                Ok(ids.into_iter().flatten().collect())
            }
        }

        impl Store for $store {
            fn grouping(&self) -> Grouping {
                GROUPING
            }

            fn commit<'a>(&'a self, batch: &'a [Record]) -> StoreFuture<'a, Vec<Commit>> {
                Box::pin(async move {
                    let mut tx = self.write().await?;
                    let commits = Self::commit_in(&mut tx, batch).await?;
                    tx.commit().await.map_err(failed)?;
                    Ok(commits)
                })
            }

            fn probe(&self) -> StoreFuture<'_, ()> {
                Box::pin(async move {
                    let mut tx = self.write().await?;
                    sqlx::query(
                        "INSERT INTO pyannote_probe (id, written_at) VALUES (1, $1) \
                         ON CONFLICT (id) DO UPDATE SET written_at = excluded.written_at",
                    )
                    .bind(nanoseconds(SystemTime::now()))
                    .execute(&mut *tx)
                    .await
                    .map_err(failed)?;
                    tx.commit().await.map_err(failed)
                })
            }

            fn register<'a>(
                &'a self,
                worker: &'a WorkerContext,
                lease: Duration,
            ) -> StoreFuture<'a, ()> {
                Box::pin(async move {
                    let mut tx = self.write().await?;
                    Self::register_in(&mut tx, worker, lease).await?;
                    Self::keep_alive_in(&mut tx, worker, lease).await?;
                    tx.commit().await.map_err(failed)
                })
            }

            fn keep_alive<'a>(
                &'a self,
                worker: &'a WorkerContext,
                lease: Duration,
            ) -> StoreFuture<'a, ()> {
                Box::pin(async move {
                    let mut tx = self.write().await?;
                    Self::keep_alive_in(&mut tx, worker, lease).await?;
                    tx.commit().await.map_err(failed)
                })
            }

            fn claim<'a>(
                &'a self,
                worker: &'a WorkerContext,
            ) -> StoreFuture<'a, Option<Claimed>> {
                Box::pin(async move {
                    let mut tx = self.write().await?;
                    let tasks = Self::claim_in(&mut tx, worker).await?;
                    let Some(task) = tasks.into_iter().next() else {
                        return Ok(None);
                    };
                    let row = sqlx::query(
                        "INSERT INTO pyannote_claims (event_id, claims) VALUES ($1, 1) \
                         ON CONFLICT (event_id) DO UPDATE SET claims = pyannote_claims.claims + 1 \
                         RETURNING claims, COALESCE((SELECT body_bytes FROM pyannote_events WHERE id = $1), 0)",
                    )
                    .bind(task.task_id().map(ToString::to_string))
                    .fetch_one(&mut *tx)
                    .await
                    .map_err(failed)?;
                    let ticket = Ticket {
                        number: row.try_get(0).map_err(failed)?,
                        body_bytes: unsigned(row.try_get(1).map_err(failed)?),
                    };
                    tx.commit().await.map_err(failed)?;
                    Ok(Some(task.map_args(|_| ticket)))
                })
            }

            fn start<'a>(&'a self, claim: &'a Claim) -> StoreFuture<'a, Start> {
                Box::pin(async move {
                    let mut tx = self.write().await?;
                    let found =
                        sqlx::query("SELECT job_key FROM pyannote_events WHERE id = $1")
                            .bind(&claim.id)
                            .fetch_optional(&mut *tx)
                            .await
                            .map_err(failed)?;
                    let Some(found) = found else {
                        return Ok(Start::Lost);
                    };
                    let job_key: Vec<u8> = found.try_get(0).map_err(failed)?;
                    Self::lock_job(&mut tx, &job_key).await?;
                    Self::lock_event(&mut tx, &claim.id).await?;

                    // Begun before, too, if the answer to that was lost on the way.
                    let begun = sqlx::query(
                        "UPDATE jobs SET status = 'Running' \
                         WHERE id = $1 AND lock_by = $2 AND status IN ('Queued', 'Running') AND EXISTS (\
                         SELECT 1 FROM pyannote_claims c WHERE c.event_id = $1 AND c.claims = $3) AND NOT EXISTS (\
                         SELECT 1 FROM pyannote_events e JOIN jobs j ON j.id = e.id \
                         WHERE e.job_key = $4 AND e.id <> $1 AND j.status = 'Running')",
                    )
                    .bind(&claim.id)
                    .bind(&*claim.worker)
                    .bind(claim.number)
                    .bind(&job_key)
                    .execute(&mut *tx)
                    .await
                    .map_err(failed)?
                    .rows_affected();
                    if begun == 0 {
                        sqlx::query(concat!(
                            "UPDATE jobs SET status = 'Pending', lock_by = NULL, lock_at = NULL, run_at = ",
                            $at_open, "$4", $at_close,
                            " WHERE id = $1 AND lock_by = $2 AND status = 'Queued' AND EXISTS (\
                             SELECT 1 FROM pyannote_claims c WHERE c.event_id = $1 AND c.claims = $3)",
                        ))
                        .bind(&claim.id)
                        .bind(&*claim.worker)
                        .bind(claim.number)
                        .bind(seconds_from_now(BUSY))
                        .execute(&mut *tx)
                        .await
                        .map_err(failed)?;
                        // Put off before, if the answer to that was lost on the way.
                        let is_waiting = sqlx::query(
                            "SELECT 1 FROM jobs j JOIN pyannote_claims c ON c.event_id = j.id \
                             WHERE j.id = $1 AND j.status = 'Pending' AND c.claims = $2",
                        )
                        .bind(&claim.id)
                        .bind(claim.number)
                        .fetch_optional(&mut *tx)
                        .await
                        .map_err(failed)?
                        .is_some();
                        tx.commit().await.map_err(failed)?;
                        return Ok(if is_waiting { Start::Busy } else { Start::Lost });
                    }

                    let stored = stored(
                        &sqlx::query(STORED)
                            .bind(&claim.id)
                            .fetch_one(&mut *tx)
                            .await
                            .map_err(failed)?,
                    )?;
                    let settled = sqlx::query(
                        "SELECT handler, error FROM pyannote_settled WHERE event_id = $1",
                    )
                    .bind(&claim.id)
                    .fetch_all(&mut *tx)
                    .await
                    .map_err(failed)?;
                    tx.commit().await.map_err(failed)?;
                    let settled = settled.iter().map(|row| {
                        Ok(Settled {
                            handler: row.try_get(0)?,
                            error: row.try_get(1)?,
                        })
                    });
                    let settled = settled.collect::<Result<_, _>>().map_err(failed)?;
                    Ok(Start::Begun { stored, settled })
                })
            }

            fn settle<'a>(&'a self, claim: &'a Claim, settled: Settled) -> StoreFuture<'a, ()> {
                Box::pin(async move {
                    let mut tx = self.write().await?;
                    // Of an event that is another worker's by now, it is true all the same.
                    sqlx::query(
                        "INSERT INTO pyannote_settled (event_id, handler, error) \
                         SELECT $1, $2, $3 WHERE EXISTS (SELECT 1 FROM pyannote_events WHERE id = $1) \
                         ON CONFLICT (event_id, handler) DO NOTHING",
                    )
                    .bind(&claim.id)
                    .bind(&settled.handler)
                    .bind(&settled.error)
                    .execute(&mut *tx)
                    .await
                    .map_err(failed)?;
                    tx.commit().await.map_err(failed)
                })
            }

            fn finish<'a>(&'a self, claim: &'a Claim, end: End) -> StoreFuture<'a, bool> {
                Box::pin(async move {
                    let is_exhausted = end == End::Exhausted;
                    let (status, failures, at, error) = match end {
                        End::Handled => ("Done", 0, None, None),
                        End::Retry { at, error } => ("Pending", 1, Some(at), Some(error)),
                        End::Dead { error } => ("Killed", 1, None, Some(error)),
                        End::Exhausted => ("Killed", 0, None, Some(EXHAUSTED.to_owned())),
                    };
                    let now = SystemTime::now();
                    let mut tx = self.write().await?;
                    Self::lock_event(&mut tx, &claim.id).await?;
                    let finished = sqlx::query(concat!(
                        "UPDATE jobs SET status = $4, attempts = attempts + $5, \
                         lock_by = NULL, lock_at = NULL, run_at = ",
                        $at_open, "$6", $at_close, ", done_at = ", $at_open, "$7", $at_close,
                        " WHERE id = $1 AND lock_by = $2 AND status IN ('Queued', 'Running') AND EXISTS (\
                         SELECT 1 FROM pyannote_claims c WHERE c.event_id = $1 AND c.claims = $3)",
                    ))
                    .bind(&claim.id)
                    .bind(&*claim.worker)
                    .bind(claim.number)
                    .bind(status)
                    .bind(failures)
                    .bind(at.unwrap_or_else(|| seconds(now)))
                    .bind(at.is_none().then(|| seconds(now)))
                    .execute(&mut *tx)
                    .await
                    .map_err(failed)?
                    .rows_affected();
                    if finished == 0 {
                        // Done before, if the answer to that was lost on the way.
                        let done = sqlx::query(concat!(
                            "SELECT 1 FROM jobs j JOIN pyannote_claims c ON c.event_id = j.id \
                             WHERE j.id = $1 AND j.status = $2 AND c.claims = $3 \
                             AND (CAST($4 AS BIGINT) IS NULL OR j.run_at = ", $at_open, "$4", $at_close, ")",
                        ))
                        .bind(&claim.id)
                        .bind(status)
                        .bind(claim.number)
                        .bind(at)
                        .fetch_optional(&mut *tx)
                        .await
                        .map_err(failed)?;
                        return Ok(done.is_some());
                    }
                    sqlx::query(
                        "UPDATE pyannote_events SET finished_at = $2, last_error = CASE WHEN $4 \
                         THEN COALESCE(last_error || '; then ', '') || $3 ELSE $3 END WHERE id = $1",
                    )
                    .bind(&claim.id)
                    .bind(at.is_none().then(|| nanoseconds(now)))
                    .bind(&error)
                    .bind(is_exhausted)
                    .execute(&mut *tx)
                    .await
                    .map_err(failed)?;
                    if error.is_none() {
                        sqlx::query("DELETE FROM pyannote_settled WHERE event_id = $1")
                            .bind(&claim.id)
                            .execute(&mut *tx)
                            .await
                            .map_err(failed)?;
                    }
                    tx.commit().await.map_err(failed)?;
                    Ok(true)
                })
            }

            fn release<'a>(
                &'a self,
                worker: &'a str,
                held: &'a HashSet<String>,
            ) -> StoreFuture<'a, u64> {
                Box::pin(async move {
                    let mut tx = self.write().await?;
                    let marked = sqlx::query(
                        "SELECT id FROM jobs WHERE lock_by = $1 AND status IN ('Queued', 'Running')",
                    )
                    .bind(worker)
                    .fetch_all(&mut *tx)
                    .await
                    .map_err(failed)?;
                    let mut released = 0;
                    for row in &marked {
                        let id: String = row.try_get(0).map_err(failed)?;
                        if held.contains(&id) {
                            continue;
                        }
                        released += sqlx::query(
                            "UPDATE jobs SET status = 'Pending', lock_by = NULL, lock_at = NULL \
                             WHERE id = $1 AND lock_by = $2 AND status IN ('Queued', 'Running')",
                        )
                        .bind(&id)
                        .bind(worker)
                        .execute(&mut *tx)
                        .await
                        .map_err(failed)?
                        .rows_affected();
                    }
                    tx.commit().await.map_err(failed)?;
                    Ok(released)
                })
            }

            fn stats(&self) -> StoreFuture<'_, InboxStats> {
                Box::pin(async move {
                    // By apalis' own column, which an index sorts; by the state, SQLite would sort all rows.
                    let rows = sqlx::query(concat!(
                        "SELECT ", state!("status"), ", COUNT(*) FROM jobs WHERE job_type = $1 GROUP BY status",
                    ))
                    .bind(QUEUE)
                    .fetch_all(self.read())
                    .await
                    .map_err(failed)?;
                    let mut stats = InboxStats::default();
                    for row in &rows {
                        let state: String = row.try_get(0).map_err(failed)?;
                        let count = unsigned(row.try_get(1).map_err(failed)?);
                        match InboxState::from_name(&state) {
                            InboxState::Waiting => stats.waiting += count,
                            InboxState::Running => stats.running += count,
                            InboxState::Handled => stats.handled += count,
                            InboxState::Dead => stats.dead += count,
                            InboxState::Unknown => stats.unknown += count,
                        }
                    }
                    let oldest: Option<i64> = sqlx::query(
                        "SELECT MIN(received_at) FROM pyannote_events WHERE finished_at IS NULL",
                    )
                    .fetch_one(self.read())
                    .await
                    .and_then(|row| row.try_get(0))
                    .map_err(failed)?;
                    let age = |oldest| SystemTime::now().duration_since(time(oldest)).ok();
                    stats.oldest_waiting = oldest.map(|oldest| age(oldest).unwrap_or_default());
                    Ok(stats)
                })
            }

            fn list<'a>(&'a self, filter: &'a InboxFilter) -> StoreFuture<'a, Vec<InboxEntry>> {
                Box::pin(async move {
                    let rows = sqlx::query(concat!(
                        "SELECT e.id, e.job_id, e.status, COALESCE(e.kind, \
                         (SELECT s.kind FROM pyannote_submissions s WHERE s.job_key = e.job_key)), ", state!("j.status"),
                        ", CAST(j.attempts AS BIGINT), e.body_bytes, e.received_at, e.finished_at, e.last_error, \
                         (SELECT COUNT(*) FROM pyannote_conflicts c WHERE c.event_key = e.event_key) \
                         FROM pyannote_events e JOIN jobs j ON j.id = e.id \
                         WHERE (CAST($1 AS TEXT) IS NULL OR ", state!("j.status"), " = $1) \
                         AND (NOT $2 OR e.job_key = $3) \
                         AND (CAST($4 AS TEXT) IS NULL OR e.id = $4) \
                         ORDER BY e.received_at DESC, e.id DESC LIMIT $5",
                    ))
                    .bind(filter.state.map(InboxState::as_str))
                    .bind(filter.job_id.is_some())
                    .bind(job_key(filter.job_id.as_deref().unwrap_or_default()).to_vec())
                    .bind(&filter.id)
                    .bind(i64::from(filter.limit))
                    .fetch_all(self.read())
                    .await
                    .map_err(failed)?;
                    rows.iter().map(|row| entry(row).map_err(failed)).collect()
                })
            }

            fn body<'a>(&'a self, id: &'a str) -> StoreFuture<'a, Option<Stored>> {
                Box::pin(async move {
                    let row = sqlx::query(STORED).bind(id).fetch_optional(self.read()).await;
                    row.map_err(failed)?.map(|row| stored(&row)).transpose()
                })
            }

            fn replay<'a>(&'a self, id: &'a str, replay: Replay) -> StoreFuture<'a, bool> {
                Box::pin(async move {
                    let mut tx = self.write().await?;
                    let due = sqlx::query(concat!(
                        "UPDATE jobs SET status = 'Pending', attempts = 0, lock_by = NULL, \
                         lock_at = NULL, done_at = NULL, run_at = ", $at_open, "$2", $at_close,
                        " WHERE id = $1 AND job_type = $3 AND status IN ('Done', 'Killed', 'Pending')",
                    ))
                    .bind(id)
                    .bind(seconds(SystemTime::now()))
                    .bind(QUEUE)
                    .execute(&mut *tx)
                    .await
                    .map_err(failed)?
                    .rows_affected();
                    if due == 0 {
                        return Ok(false);
                    }
                    sqlx::query("UPDATE pyannote_events SET finished_at = NULL WHERE id = $1")
                        .bind(id)
                        .execute(&mut *tx)
                        .await
                        .map_err(failed)?;
                    sqlx::query(
                        "DELETE FROM pyannote_settled WHERE event_id = $1 AND ($2 OR error IS NOT NULL)",
                    )
                    .bind(id)
                    .bind(replay == Replay::All)
                    .execute(&mut *tx)
                    .await
                    .map_err(failed)?;
                    tx.commit().await.map_err(failed)?;
                    Ok(true)
                })
            }

            fn prune(&self, before: i64) -> StoreFuture<'_, u64> {
                Box::pin(async move {
                    let mut tx = self.write().await?;
                    let old = sqlx::query(
                        "SELECT e.id, e.event_key, e.body_bytes + (SELECT COALESCE(SUM(LENGTH(c.body)), 0) \
                         FROM pyannote_conflicts c WHERE c.event_key = e.event_key) \
                         FROM pyannote_events e JOIN jobs j ON j.id = e.id \
                         WHERE e.finished_at < $1 AND j.status = 'Done' LIMIT $2",
                    )
                    .bind(before)
                    .bind(PRUNED_AT_ONCE)
                    .fetch_all(&mut *tx)
                    .await
                    .map_err(failed)?;
                    let mut pruned = 0;
                    let mut bytes = 0;
                    for row in &old {
                        if bytes >= PRUNED_BYTES {
                            break;
                        }
                        bytes += row.try_get::<i64, _>(2).map_err(failed)?;
                        let id: String = row.try_get(0).map_err(failed)?;
                        let event_key: Vec<u8> = row.try_get(1).map_err(failed)?;
                        // Not if it was replayed in the meantime.
                        let removed = sqlx::query("DELETE FROM jobs WHERE id = $1 AND status = 'Done'")
                            .bind(&id)
                            .execute(&mut *tx)
                            .await
                            .map_err(failed)?
                            .rows_affected();
                        if removed == 0 {
                            continue;
                        }
                        Self::note_received(&mut tx, &id).await?;
                        sqlx::query("DELETE FROM pyannote_conflicts WHERE event_key = $1")
                            .bind(&event_key)
                            .execute(&mut *tx)
                            .await
                            .map_err(failed)?;
                        for part in [
                            "DELETE FROM pyannote_settled WHERE event_id = $1",
                            "DELETE FROM pyannote_claims WHERE event_id = $1",
                        ] {
                            sqlx::query(part)
                                .bind(&id)
                                .execute(&mut *tx)
                                .await
                                .map_err(failed)?;
                        }
                        sqlx::query("DELETE FROM pyannote_events WHERE id = $1")
                            .bind(&id)
                            .execute(&mut *tx)
                            .await
                            .map_err(failed)?;
                        pruned += 1;
                    }
                    // Of those that came just as their event was pruned.
                    sqlx::query(
                        "DELETE FROM pyannote_conflicts WHERE NOT EXISTS (\
                         SELECT 1 FROM pyannote_events e WHERE e.event_key = pyannote_conflicts.event_key)",
                    )
                    .execute(&mut *tx)
                    .await
                    .map_err(failed)?;
                    sqlx::query(concat!(
                        "DELETE FROM workers WHERE worker_type = $1 AND last_seen < ",
                        $at_open, "$2", $at_close,
                        " AND NOT EXISTS (SELECT 1 FROM jobs WHERE lock_by = workers.id)",
                    ))
                    .bind(QUEUE)
                    .bind(seconds(SystemTime::now() - FORGOTTEN))
                    .execute(&mut *tx)
                    .await
                    .map_err(failed)?;
                    let lost = self.forget_submissions(&mut tx).await?;
                    Self::tidy(&mut tx).await?;
                    tx.commit().await.map_err(failed)?;
                    for job_id in lost {
                        super::telemetry::never_came(&job_id);
                    }
                    Ok(pruned)
                })
            }
        }

        fn stored(row: &$row) -> Result<Stored, InboxError> {
            let read = || {
                Ok(Stored {
                    received_at: row.try_get(0)?,
                    signed_at: row.try_get(1)?,
                    retry_number: row.try_get(2)?,
                    retry_reason: row.try_get(3)?,
                    body: row.try_get(4)?,
                    job_kind: row.try_get(5)?,
                })
            };
            read().map_err(failed)
        }

        fn entry(row: &$row) -> Result<InboxEntry, sqlx::Error> {
            let known: Option<String> = row.try_get(3)?;
            let state: String = row.try_get(4)?;
            let finished_at: Option<i64> = row.try_get(8)?;
            Ok(InboxEntry {
                id: row.try_get(0)?,
                job_id: row.try_get(1)?,
                status: row.try_get(2)?,
                kind: known.as_deref().and_then(kind),
                state: InboxState::from_name(&state),
                attempts: u32::try_from(row.try_get::<i64, _>(5)?).unwrap_or_default(),
                bytes: unsigned(row.try_get(6)?),
                received_at: time(row.try_get(7)?),
                finished_at: finished_at.map(time),
                last_error: row.try_get(9)?,
                conflicts: unsigned(row.try_get(10)?),
            })
        }

        const STORED: &str = "SELECT received_at, signed_at, retry_number, retry_reason, body, \
                              (SELECT s.kind FROM pyannote_submissions s WHERE s.job_key = e.job_key) \
                              FROM pyannote_events e WHERE id = $1";
    };
}

/// The state of an event, from the column in which apalis keeps it.
macro_rules! state {
    ($column:literal) => {
        concat!(
            "CASE ",
            $column,
            " WHEN 'Done' THEN 'handled' WHEN 'Killed' THEN 'dead' WHEN 'Queued' THEN 'running' \
             WHEN 'Running' THEN 'running' WHEN 'Pending' THEN 'waiting' WHEN 'Failed' THEN 'waiting' \
             ELSE 'unknown' END"
        )
    };
}

pub(crate) use {sql_store, state};

use std::time::Duration;

use super::{InboxError, InboxErrorKind};

pub(crate) fn failed(error: sqlx::Error) -> InboxError {
    let kind = match error {
        sqlx::Error::PoolTimedOut => InboxErrorKind::Timeout,
        _ => InboxErrorKind::Store,
    };
    InboxError::because(kind, error)
}

/// A count, or a size, that the database keeps as a signed number.
pub(crate) fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or_default()
}

/// How long a connection is waited for: less than the time within which a delivery is answered.
pub(crate) const PATIENCE: Duration = Duration::from_secs(4);

/// How long an event waits for another one of its job.
pub(crate) const BUSY: Duration = Duration::from_secs(1);

/// Why an event is dead whose last attempt ended with its worker, or was cut off from the database for too long.
pub(crate) const EXHAUSTED: &str = "its attempts are used up, the last of them without an end";

/// Few enough, and small enough together, but for the last of them, that deliveries do not wait for them.
pub(crate) const PRUNED_AT_ONCE: i64 = 100;
pub(crate) const PRUNED_BYTES: i64 = 16 << 20;

/// When the name of a worker that died is no longer of use to anyone.
pub(crate) const FORGOTTEN: Duration = Duration::from_secs(24 * 60 * 60);

/// How long what is known of a job outlives it: far longer than the API has its output, or lists it to a reconciler.
pub(crate) const REMEMBERED: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// More than are submitted, at a full rate, between two prunings that remove nothing.
pub(crate) const FORGOTTEN_AT_ONCE: i64 = 10_000;

/// How often an event is tried is the worker's affair: apalis' own count would take a failed task up again at once.
pub(crate) const MANY: i32 = 1_000_000;
