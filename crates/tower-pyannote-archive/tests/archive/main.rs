//! What the archive promises: bytes as received, one object per event, nothing outside the prefix, nothing incomplete.

use std::{
    collections::HashSet,
    fs,
    path::Path,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use object_store::{
    ObjectStore, ObjectStoreExt, PutPayload, local::LocalFileSystem, memory::InMemory,
    path::Path as Location,
};
use proptest::prelude::*;
use tempfile::TempDir;
use tower_pyannote::{
    HandlerError, HandlerRegistry, WebhookEvent, WebhookHandler,
    event::{Delivery, JobMetadata, Retry, RetryReason, Source},
};
use tower_pyannote_archive::{Archive, ConfigError, Metadata};

/// 2026-11-24 03:40:00 UTC.
const RECEIVED: Duration = Duration::from_secs(1_795_491_600);

fn at(seconds: u64) -> SystemTime {
    UNIX_EPOCH + RECEIVED + Duration::from_secs(seconds)
}

fn event_at(received: SystemTime, body: impl Into<bytes::Bytes>) -> WebhookEvent {
    WebhookEvent::new(body.into(), Delivery::at(received)).unwrap()
}

fn event(body: impl Into<bytes::Bytes>) -> WebhookEvent {
    event_at(at(0), body)
}

fn event_of(job: &str, status: &str) -> WebhookEvent {
    event(serde_json::json!({ "jobId": job, "status": status }).to_string())
}

fn local() -> (TempDir, Arc<dyn ObjectStore>) {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path(), false);
    (dir, store)
}

/// Opens the store under test: `GroupedFileSystem` in the binary `grouped`, else `LocalFileSystem`.
fn open(dir: &Path, fsync: bool) -> Arc<dyn ObjectStore> {
    #[cfg(feature = "fs")]
    if module_path!().starts_with("grouped::") {
        return Arc::new(tower_pyannote_archive::GroupedFileSystem::new(dir).unwrap());
    }
    let store = LocalFileSystem::new_with_prefix(dir).unwrap();
    Arc::new(store.with_fsync(fsync))
}

/// Returns the names of the files in a directory.
fn kept(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap());
    let files = entries.filter(|entry| entry.file_type().unwrap().is_file());
    let mut names: Vec<_> = files
        .map(|entry| entry.file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

mod behind_inbox;
mod keeping;
#[cfg(unix)]
mod kill;
mod metadata;
mod names;
mod recorded;
mod repeats;
mod trouble;
mod unconditional;
