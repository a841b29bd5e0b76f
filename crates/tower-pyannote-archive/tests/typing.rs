//! An archive keeps bytes, so a registry types no output for it.

use std::{sync::Arc, time::UNIX_EPOCH};

use object_store::memory::InMemory;
use tower_pyannote::{HandlerRegistry, WebhookEvent, WebhookHandler, event::Delivery};
use tower_pyannote_archive::Archive;
use tower_pyannote_test_support::typing::waits_for_a_blocking_thread;

/// A handler with the default methods, which needs the output.
struct Idle;

impl WebhookHandler for Idle {}

/// Returns whether the handlers of a large event wait for a blocking thread, on which its output is typed.
fn types_the_output(registry: &HandlerRegistry) -> bool {
    let padding = " ".repeat(2 << 20);
    let body =
        format!(r#"{{"jobId":"j","status":"succeeded","output":{{"diarization":[{padding}]}}}}"#);
    let event = WebhookEvent::new(body.into(), Delivery::at(UNIX_EPOCH)).unwrap();
    waits_for_a_blocking_thread(registry, event)
}

#[test]
fn no_output_is_typed_for_an_archive_alone() {
    let archive = || Archive::new(Arc::new(InMemory::new()), "").unwrap();
    let alone = HandlerRegistry::new()
        .register("archive", archive())
        .unwrap();
    assert!(!types_the_output(&alone));

    let shared = HandlerRegistry::new()
        .register("archive", Arc::new(archive()))
        .unwrap();
    assert!(!types_the_output(&shared));

    let beside = shared.register("idle", Idle).unwrap();
    assert!(types_the_output(&beside));
}
