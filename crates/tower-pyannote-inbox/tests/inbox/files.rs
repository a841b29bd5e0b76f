//! Files that are removed, replaced or truncated while the inbox is open.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    time::Duration,
};

use sqlx::{Connection, SqliteConnection};
use tempfile::TempDir;
use tower_pyannote_inbox::{Inbox, InboxErrorKind};

use crate::place::{
    Log, Place, commit, counting, entry, event, hasty, spawn, state, until, until_handled,
};

/// Returns an inbox with two events, of which the second is only in the `-wal` file.
async fn inbox() -> (Place, PathBuf, Inbox) {
    let place = Place::sqlite().unwrap();
    let path = PathBuf::from(place.address().strip_prefix("sqlite://").unwrap());
    let inbox = place.open().await;
    commit(&inbox, "first").await;
    checkpoint(&place, "PASSIVE").await;
    commit(&inbox, "second").await;
    (place, path, inbox)
}

async fn checkpoint(place: &Place, mode: &str) {
    let mut other = SqliteConnection::connect(place.address()).await.unwrap();
    let checkpoint = sqlx::AssertSqlSafe(format!("PRAGMA wal_checkpoint({mode})"));
    sqlx::raw_sql(checkpoint).execute(&mut other).await.unwrap();
    other.close().await.unwrap();
}

fn wal(path: &Path) -> PathBuf {
    path.with_extension("sqlite-wal")
}

fn truncate(path: &Path, length: u64) {
    let file = File::options().write(true).open(path).unwrap();
    file.set_len(length).unwrap();
}

fn length(path: &Path) -> u64 {
    fs::metadata(path).unwrap().len()
}

async fn refuses_commits(inbox: &Inbox, why: &str) {
    for _ in 0..2 {
        let event = event("later", "succeeded", "");
        let error = inbox.commit(&event).await.unwrap_err();
        assert_eq!(error.kind(), InboxErrorKind::Store);
        let source = std::error::Error::source(&error).unwrap().to_string();
        assert!(source.starts_with(why), "{source}");
        inbox.check().await.unwrap_err();
    }
}

/// Copies the files as a kill would leave them, and opens the copy.
async fn killed(path: &Path) -> (TempDir, Inbox) {
    let directory = TempDir::new().unwrap();
    let copy = directory.path().join("inbox.sqlite");
    fs::copy(path, &copy).unwrap();
    if wal(path).exists() {
        fs::copy(wal(path), wal(&copy)).unwrap();
    }
    let inbox = Inbox::sqlite(copy).await.unwrap();
    (directory, inbox)
}

#[tokio::test]
async fn a_wal_file_that_is_removed_ends_commits_and_none_before_is_lost() {
    let (_place, path, inbox) = inbox().await;
    fs::remove_file(wal(&path)).unwrap();
    refuses_commits(&inbox, "the database's -wal file was removed").await;

    let (_directory, inbox) = killed(&path).await;
    assert_eq!(state(&inbox, "first").await, "waiting");
    assert_eq!(state(&inbox, "second").await, "waiting");
    assert_eq!(inbox.stats().await.unwrap().waiting, 2);
    commit(&inbox, "later").await;
}

#[tokio::test]
async fn a_wal_file_that_is_replaced_ends_commits() {
    let (_place, path, inbox) = inbox().await;
    let other = wal(&path).with_extension("copy");
    fs::copy(wal(&path), &other).unwrap();
    fs::rename(&other, wal(&path)).unwrap();
    refuses_commits(&inbox, "the database's -wal file was replaced").await;
}

#[tokio::test]
async fn a_wal_file_that_is_truncated_ends_commits() {
    let (_place, path, inbox) = inbox().await;
    inbox.check().await.unwrap();
    truncate(&wal(&path), 0);
    refuses_commits(&inbox, "the database's -wal file was truncated").await;
}

#[tokio::test]
async fn a_file_that_is_removed_or_replaced_ends_commits() {
    let (_place, path, inbox) = inbox().await;
    let moved = path.with_extension("moved");
    fs::rename(&path, &moved).unwrap();
    refuses_commits(&inbox, "No such file").await;
    fs::copy(&moved, &path).unwrap();
    refuses_commits(&inbox, "the database's file was replaced").await;
}

#[tokio::test]
async fn a_file_that_is_truncated_ends_commits() {
    for cut in [1, 4096, 20 * 4096, u64::MAX] {
        let (_place, path, inbox) = inbox().await;
        truncate(&path, length(&path).saturating_sub(cut));
        let error = inbox.commit(&event("later", "succeeded", "")).await;
        assert_eq!(error.unwrap_err().kind(), InboxErrorKind::Store, "{cut}");
        inbox.check().await.unwrap_err();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_that_a_checkpoint_shortens_are_whole() {
    let (place, path, inbox) = inbox().await;
    let log = Log::default();
    let worker = spawn(hasty(&inbox, counting(&log, "count")));
    let padding = format!(r#","padding":"{}""#, "x".repeat(1 << 20));
    for round in 1..=3 {
        let large = event(&format!("large {round}"), "succeeded", &padding);
        inbox.commit(&large).await.unwrap();
        until_handled(&inbox, if round == 1 { 3 } else { 2 }).await;
        // A write of the worker may prevent a full checkpoint.
        until("the -wal file is emptied", async || {
            checkpoint(&place, "TRUNCATE").await;
            length(&wal(&path)) == 0
        })
        .await;
        commit(&inbox, &format!("small {round}")).await;
        until_handled(&inbox, if round == 1 { 4 } else { 3 }).await;
        let before = length(&path);
        inbox.prune(Duration::ZERO).await.unwrap();
        until("the file is shortened", async || {
            checkpoint(&place, "FULL").await;
            length(&path) < before - (1 << 19)
        })
        .await;
        commit(&inbox, &format!("next {round}")).await;
        inbox.check().await.unwrap();
    }
    worker.abort();
    let (_directory, inbox) = killed(&path).await;
    assert_eq!(entry(&inbox, "next 3").await.status, "succeeded");
}
