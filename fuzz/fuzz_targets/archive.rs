//! An event with any ids is kept inside the prefix, under a name that any file system takes and that no other event has.
#![no_main]

use std::collections::BTreeSet;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, UNIX_EPOCH};

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use object_store::ObjectStoreExt;
use object_store::memory::InMemory;
use serde_json::json;
use tower_pyannote::{WebhookEvent, event::Delivery};
use tower_pyannote_archive::Archive;
use tower_pyannote_fuzz::NOW;

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    prefix: bool,
    events: Vec<Event<'a>>,
}

#[derive(Arbitrary, Debug)]
struct Event<'a> {
    job_id: &'a str,
    status: &'a str,
    output: u8,
    later: u32,
}

impl Event<'_> {
    fn received(&self) -> Option<WebhookEvent> {
        let output = match self.output % 4 {
            0 => json!(null),
            1 => json!({"diarization": []}),
            2 => json!({"voiceprint": self.job_id}),
            _ => json!([self.status]),
        };
        let body = json!({"jobId": self.job_id, "status": self.status, "output": output});
        let at = UNIX_EPOCH + Duration::from_secs(NOW + u64::from(self.later));
        WebhookEvent::new(body.to_string().into(), Delivery::at(at)).ok()
    }
}

fuzz_target!(|input: Input<'_>| {
    let prefix = if input.prefix { "one/two" } else { "" };
    let store = Arc::new(InMemory::new());
    let archive = Archive::new(store.clone(), prefix).expect("the prefix is good");

    let mut kept = BTreeSet::new();
    let mut events = BTreeSet::new();
    for event in input.events.iter().take(8).filter_map(Event::received) {
        let name = Archive::name_of(&event);
        assert!(name.len() <= 255, "{name}");
        assert!(name.ends_with(".json") && !name.starts_with('.'), "{name}");
        let is_safe = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
        assert!(name.chars().all(is_safe), "{name}");

        let location = ready(archive.keep(&event)).expect("memory takes it");
        let inside = location.as_ref().strip_prefix(prefix);
        let inside = inside.map(|inside| inside.trim_start_matches('/'));
        assert!(
            inside.is_some_and(|inside| !inside.contains('/')),
            "{location}"
        );
        let is_new = events.insert((
            event.job_id().to_owned(),
            event.status().as_str().to_owned(),
        ));
        // Also where upper and lower case are the same.
        let is_alone = kept.insert(location.as_ref().to_lowercase());
        assert_eq!(is_new, is_alone, "{location}");
        if is_new {
            assert_eq!(location.filename(), Some(&*name));
            let bytes = ready(async { store.get(&location).await?.bytes().await });
            assert_eq!(bytes.expect("it is there"), event.raw());
        }
    }
    assert_eq!(kept.len(), events.len());
});

/// The end of a future that waits for nobody.
fn ready<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("memory makes nobody wait"),
    }
}
