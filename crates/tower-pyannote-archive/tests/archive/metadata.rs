//! The time of receipt, the source and the retry of a delivery are kept beside the body.

use object_store::{Attribute, Attributes};
use serde_json::json;

use super::{recorded::Recorded, *};

const BODY: &str = r#"{"jobId":"j","status":"failed"}"#;
const NAME: &str = "20261124T034000.000000000Z_none_j_failed.json";
const SIDECAR: &str = ".meta/20261124T034000.000000000Z_none_j_failed.meta.json";

fn delivered(delivery: Delivery) -> WebhookEvent {
    WebhookEvent::new(BODY.into(), delivery).unwrap()
}

fn first() -> Delivery {
    Delivery::at(at(0))
}

fn from_api() -> Delivery {
    first().with_source(Source::Api)
}

fn retry(reason: RetryReason) -> Delivery {
    first().with_retry(Some(Retry::new(2, Some(reason))))
}

async fn attributes_of(event: &WebhookEvent) -> Attributes {
    let store = Arc::new(InMemory::new());
    let archive = Archive::new(store.clone(), "").unwrap();
    let archive = archive.with_metadata(Metadata::Attributes);
    let location = archive.keep(event).await.unwrap();
    let listed = store.list_with_delimiter(None).await.unwrap().objects;
    assert_eq!(listed.len(), 1);
    store.get(&location).await.unwrap().attributes
}

fn attributes(facts: &[(&'static str, &'static str)]) -> Attributes {
    let facts = facts
        .iter()
        .map(|(key, value)| (Attribute::Metadata((*key).into()), *value));
    let json = (Attribute::ContentType, "application/json");
    facts.chain([json]).collect()
}

async fn sidecar_of(event: &WebhookEvent) -> serde_json::Value {
    let (dir, store) = local();
    let archive = Archive::new(store, "").unwrap();
    let archive = archive.behind_inbox().with_metadata(Metadata::Sidecar);
    assert_eq!(archive.keep(event).await.unwrap().as_ref(), NAME);
    serde_json::from_slice(&fs::read(dir.path().join(SIDECAR)).unwrap()).unwrap()
}

fn referring() -> Delivery {
    let metadata = JobMetadata::new(&json!({ "room": "Blue" })).unwrap();
    first()
        .with_reference(Some("r\u{e9}union\n42_-.".into()))
        .with_metadata(Some(metadata))
}

const AT: &str = "2026-11-24T03:40:00Z";

#[tokio::test]
async fn attributes_say_when_and_how_the_event_came() {
    let webhook = [("receivedat", AT), ("source", "webhook")];
    let api = [("receivedat", AT), ("source", "api")];
    let [received, source] = webhook;
    let number = ("retrynumber", "2");
    let rows = [
        (first(), attributes(&webhook)),
        (from_api(), attributes(&api)),
        (
            retry(RetryReason::HttpTimeout),
            attributes(&[received, source, number, ("retryreason", "http_timeout")]),
        ),
        (
            first().with_retry(Some(Retry::new(2, None))),
            attributes(&[received, source, number]),
        ),
        (
            retry(RetryReason::Other(" a  b\r\nx-amz-acl: \u{e9}".into())),
            attributes(&[
                received,
                source,
                number,
                ("retryreason", "-a--b--x-amz-acl---"),
            ]),
        ),
        (
            referring(),
            attributes(&[received, source, ("reference", "r%C3%A9union%0A42_-.")]),
        ),
    ];
    for (delivery, expected) in rows {
        assert_eq!(attributes_of(&delivered(delivery)).await, expected);
    }
    let long = RetryReason::Other("x".repeat(10_000).into());
    let kept = attributes_of(&delivered(retry(long))).await;
    let reason = kept.get(&Attribute::Metadata("retryreason".into()));
    assert_eq!(reason.map(|reason| reason.len()), Some(64));
}

#[tokio::test]
async fn a_repeat_leaves_the_object_and_its_attributes() {
    let store = Arc::new(Recorded::default());
    let archive = Archive::new(store.clone(), "").unwrap();
    let archive = archive.behind_inbox().with_metadata(Metadata::Attributes);
    let location = archive.keep(&delivered(first())).await.unwrap();
    store.requests();
    let again = retry(RetryReason::HttpError);
    archive.keep(&delivered(again)).await.unwrap();
    assert_eq!(
        store.requests(),
        [format!("create {NAME}"), format!("get {NAME}")]
    );
    let kept = store.get(&location).await.unwrap().attributes;
    assert_eq!(
        kept,
        attributes(&[("receivedat", AT), ("source", "webhook")])
    );
}

#[tokio::test]
async fn a_sidecar_says_when_and_how_the_event_came() {
    let rows = [
        (first(), json!({ "received_at": AT, "source": "webhook" })),
        (from_api(), json!({ "received_at": AT, "source": "api" })),
        (
            retry(RetryReason::SslError),
            json!({
                "received_at": AT,
                "source": "webhook",
                "retry_number": 2,
                "retry_reason": "ssl_error",
            }),
        ),
        (
            referring(),
            json!({
                "received_at": AT,
                "source": "webhook",
                "reference": "r\u{e9}union\n42_-.",
                "metadata": { "room": "Blue" },
            }),
        ),
    ];
    for (delivery, expected) in rows {
        assert_eq!(sidecar_of(&delivered(delivery)).await, expected);
    }
}

#[tokio::test]
async fn a_sidecar_is_not_among_the_events_and_a_repeat_leaves_it() {
    let (dir, store) = local();
    let archive = Archive::new(store, "").unwrap();
    let archive = archive.with_metadata(Metadata::Sidecar);
    let sidecar = dir.path().join(SIDECAR);
    archive.keep(&delivered(first())).await.unwrap();
    let before = fs::read(&sidecar).unwrap();
    let again = retry(RetryReason::HttpError);
    archive.keep(&delivered(again)).await.unwrap();
    assert_eq!(kept(dir.path()), [NAME]);
    assert_eq!(kept(&dir.path().join(".meta")).len(), 1);
    assert_eq!(fs::read(sidecar).unwrap(), before);
}

#[tokio::test]
async fn a_sidecar_that_was_cut_off_is_written_again() {
    let (dir, store) = local();
    let archive = Archive::new(store, "").unwrap();
    let archive = archive.with_metadata(Metadata::Sidecar);
    let sidecar = dir.path().join(SIDECAR);
    archive.keep(&delivered(first())).await.unwrap();
    let before = fs::read(&sidecar).unwrap();
    for cut in [0, 10] {
        fs::write(&sidecar, &before[..cut]).unwrap();
        archive.keep(&delivered(first())).await.unwrap();
        assert_eq!(fs::read(&sidecar).unwrap(), before);
    }
}

#[tokio::test]
async fn a_local_file_system_has_no_attributes_and_the_error_says_what_to_do() {
    let (_dir, store) = local();
    let archive = Archive::new(store, "").unwrap();
    let archive = archive.with_metadata(Metadata::Attributes);
    let error = archive.keep(&event(BODY)).await.unwrap_err();
    let text = error.to_string();
    assert!(
        text.ends_with("if it is attributes, use Metadata::Sidecar"),
        "{text}"
    );
}
