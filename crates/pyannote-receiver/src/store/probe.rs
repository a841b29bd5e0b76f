use std::{
    error::Error,
    io, process,
    sync::atomic::{AtomicU64, Ordering},
};

use jiff::Timestamp;
use object_store::{ObjectStore, ObjectStoreExt, PutMode, PutOptions, path::Path};

/// Writes and deletes an object, as a test. The error is fit for a page that anyone may see.
pub(crate) async fn probe(store: &dyn ObjectStore) -> Result<(), String> {
    static COUNT: AtomicU64 = AtomicU64::new(0);

    // Unique, because several servers may share the store.
    let (process, count) = (process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
    let location = format!(".health/{process}-{count}").into();
    let stored = async {
        store.put(&location, CONTENT.into()).await?;
        store.delete(&location).await
    };
    stored.await.map_err(|error| public_error(&error))
}

/// What a store does when it is asked to create an object.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Creation {
    /// It keeps an object that exists.
    Conditional,
    /// It overwrites an object that exists.
    Overwrites,
    /// It refuses, because the settings say that it cannot create conditionally.
    Disabled,
}

/// Creates an object twice and deletes it, to learn what the store does.
pub(super) async fn creation(store: &dyn ObjectStore) -> object_store::Result<Creation> {
    let nanosecond = Timestamp::now().as_nanosecond();
    let location = Path::from(format!(".health/create-{}-{nanosecond}", process::id()));
    let create = || store.put_opts(&location, CONTENT.into(), PutOptions::from(PutMode::Create));
    match create().await {
        // An answer that was lost: object_store has asked again.
        Ok(_) | Err(object_store::Error::AlreadyExists { .. }) => {}
        Err(object_store::Error::NotImplemented { .. }) => {
            store.put(&location, CONTENT.into()).await?;
            store.delete(&location).await?;
            return Ok(Creation::Disabled);
        }
        Err(error) => return Err(error),
    }
    let again = create().await;
    store.delete(&location).await?;
    match again {
        Ok(_) => Ok(Creation::Overwrites),
        Err(object_store::Error::AlreadyExists { .. }) => Ok(Creation::Conditional),
        Err(error) => Err(error),
    }
}

/// Returns the operating system's message without the path around it, because a page shows the message to anyone. The
/// answer of a remote store may name accounts and keys, so only its kind is returned.
pub(super) fn public_error(error: &(dyn Error + 'static)) -> String {
    let mut cause = error;
    loop {
        if cause.is::<io::Error>() {
            return cause.to_string();
        }
        match cause.source() {
            Some(source) => cause = source,
            None => break,
        }
    }
    let kind = match error.downcast_ref() {
        Some(object_store::Error::NotFound { .. }) => "the bucket does not exist",
        Some(object_store::Error::PermissionDenied { .. }) => "the store denies access",
        Some(object_store::Error::Unauthenticated { .. }) => {
            "the store does not accept the credentials"
        }
        _ => "the store failed",
    };
    tracing::debug!(error = crate::error::in_full(error), "{kind}");
    kind.to_owned()
}

const CONTENT: &str = "written by a health check";
