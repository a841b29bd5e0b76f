//! Voiceprints of known speakers: kept by label, read within the limits of the API, shown nowhere.

use std::{
    fs,
    sync::Arc,
    time::{Duration, UNIX_EPOCH},
};

use object_store::{
    ObjectStore, ObjectStoreExt, PutPayload, local::LocalFileSystem, memory::InMemory, path::Path,
};
use proptest::prelude::*;
use tower_pyannote::{
    HandlerError, HandlerRegistry, TypedEvent, Voiceprint, WebhookEvent, WebhookHandler,
    event::Delivery,
};
use tower_pyannote_archive::{Archive, ConfigError, Speakers, SpeakersError, Voiceprints};

const SECRET: &str = "c2VjcmV0LXZvaWNl";

fn in_memory() -> (Arc<InMemory>, Speakers) {
    let store = Arc::new(InMemory::new());
    (store.clone(), Speakers::new(store, "speakers").unwrap())
}

fn event(body: &str) -> WebhookEvent {
    let received = UNIX_EPOCH + Duration::from_secs(1_795_491_600);
    WebhookEvent::new(body.to_owned().into(), Delivery::at(received)).unwrap()
}

fn voiceprint_event(job: &str, voiceprint: &str) -> WebhookEvent {
    event(&format!(
        r#"{{"jobId":"{job}","status":"succeeded","output":{{"voiceprint":"{voiceprint}"}}}}"#
    ))
}

fn pairs(voiceprints: Voiceprints) -> Vec<(String, String)> {
    voiceprints.into_iter().collect()
}

fn pair(label: &str, voiceprint: &str) -> (String, String) {
    (label.to_owned(), voiceprint.to_owned())
}

/// Returns the reason for which a label is refused.
fn label_reason(error: SpeakersError) -> &'static str {
    match error {
        SpeakersError::InvalidLabel { reason, .. } => reason,
        error => panic!("{error:?}"),
    }
}

async fn objects(store: &InMemory, prefix: &str) -> Vec<Path> {
    let listed = store
        .list_with_delimiter(Some(&prefix.into()))
        .await
        .unwrap();
    listed
        .objects
        .into_iter()
        .map(|meta| meta.location)
        .collect()
}

#[tokio::test]
async fn voiceprints_are_read_as_they_were_kept() {
    let (_, speakers) = in_memory();
    speakers.keep("Bob", "BBBB").await.unwrap();
    speakers.keep("Zoë/../😀\n", "CCCC").await.unwrap();
    speakers.keep("Ann", "AAAA").await.unwrap();
    let chosen = speakers
        .voiceprints_of(["Zoë/../😀\n", "Ann"])
        .await
        .unwrap();
    assert_eq!(
        pairs(chosen),
        [pair("Zoë/../😀\n", "CCCC"), pair("Ann", "AAAA")]
    );
    let all = speakers.all().await.unwrap();
    assert_eq!(all.iter().next(), Some(("Ann", "AAAA")));
    assert_eq!(
        pairs(all),
        [
            pair("Ann", "AAAA"),
            pair("Bob", "BBBB"),
            pair("Zoë/../😀\n", "CCCC")
        ]
    );
    assert_eq!(
        speakers.labels().await.unwrap(),
        ["Ann", "Bob", "Zoë/../😀\n"]
    );
}

#[tokio::test]
async fn labels_that_differ_in_case_are_different_speakers() {
    let (_, speakers) = in_memory();
    speakers.keep("ann", "AAAA").await.unwrap();
    speakers.keep("Ann", "BBBB").await.unwrap();
    assert_eq!(
        pairs(speakers.voiceprints_of(["ann"]).await.unwrap()),
        [pair("ann", "AAAA")]
    );
}

#[tokio::test]
async fn the_last_voiceprint_of_a_label_stays() {
    let (store, speakers) = in_memory();
    for voiceprint in ["AAAA", "BBBB"] {
        speakers.keep("Ann", voiceprint).await.unwrap();
    }
    assert_eq!(pairs(speakers.all().await.unwrap()), [pair("Ann", "BBBB")]);
    assert_eq!(objects(&store, "speakers").await.len(), 1);
}

#[tokio::test]
async fn a_removed_speaker_is_unknown() {
    let (store, speakers) = in_memory();
    speakers.keep("Ann", "AAAA").await.unwrap();
    for _ in 0..2 {
        speakers.remove("Ann").await.unwrap();
    }
    assert_eq!(objects(&store, "speakers").await, []);
    let error = speakers.voiceprints_of(["Ann"]).await.unwrap_err();
    assert!(matches!(&error, SpeakersError::UnknownLabel { label, .. } if label == "Ann"));
    assert_eq!(error.to_string(), r#"no voiceprint is kept for "Ann""#);
}

#[tokio::test]
async fn the_name_of_an_object_is_the_hash_of_its_label() {
    let (store, speakers) = in_memory();
    speakers.keep("Ann", "AAAA").await.unwrap();
    let name = "17239b6e250110330eda64a29c610bf146f89883371fab093feda03bec61b646.json";
    let names = objects(&store, "speakers").await;
    assert_eq!(names, [Path::from(format!("speakers/{name}"))]);
}

#[tokio::test]
async fn files_on_disk_survive_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let open = || {
        let store = LocalFileSystem::new_with_prefix(dir.path()).unwrap();
        Speakers::new(Arc::new(store), "a/b").unwrap()
    };
    assert_eq!(pairs(open().all().await.unwrap()), []);
    open().keep("Ann", "AAAA").await.unwrap();
    open().keep("Ann", "BBBB").await.unwrap();
    assert_eq!(pairs(open().all().await.unwrap()), [pair("Ann", "BBBB")]);
    assert_eq!(fs::read_dir(dir.path().join("a/b")).unwrap().count(), 1);
}

#[tokio::test]
async fn labels_that_the_api_refuses_are_refused() {
    let (store, speakers) = in_memory();
    let reserved = "begins with SPEAKER_, which is reserved for speakers without a match";
    for (label, expected) in [
        ("".to_owned(), "is empty"),
        ("ë".repeat(101), "is longer than 100 characters"),
        ("SPEAKER_".to_owned(), reserved),
        ("speaker_00".to_owned(), reserved),
        ("SpEaKeR_Ann".to_owned(), reserved),
    ] {
        let error = speakers.keep(&label, "AAAA").await.unwrap_err();
        assert_eq!(label_reason(error), expected, "{label}");
    }
    assert_eq!(objects(&store, "speakers").await, []);
    for label in [
        "ë".repeat(100),
        "SPEAKER".into(),
        "SPEAKERë".into(),
        " SPEAKER_00".into(),
    ] {
        speakers.keep(&label, "AAAA").await.unwrap();
    }
}

#[tokio::test]
async fn voiceprints_that_the_api_refuses_are_refused() {
    let (_, speakers) = in_memory();
    for (voiceprint, expected) in [
        ("".to_owned(), "is empty"),
        ("A".repeat(20_001), "is longer than 20,000 characters"),
    ] {
        let error = speakers.keep("Ann", &voiceprint).await.unwrap_err();
        assert!(
            matches!(error, SpeakersError::InvalidVoiceprint { reason, .. } if reason == expected),
            "{error:?}"
        );
    }
    let longest = "\u{1}".repeat(20_000);
    speakers.keep("Ann", &longest).await.unwrap();
    assert_eq!(
        pairs(speakers.all().await.unwrap()),
        [pair("Ann", &longest)]
    );
}

#[tokio::test]
async fn an_identification_gets_at_most_50() {
    let (_, speakers) = in_memory();
    let labels: Vec<String> = (0..51).map(|number| format!("voice {number:02}")).collect();
    for label in &labels[..50] {
        speakers.keep(label, "AAAA").await.unwrap();
    }
    assert_eq!(pairs(speakers.all().await.unwrap()).len(), 50);
    assert_eq!(
        pairs(speakers.voiceprints_of(&labels[..50]).await.unwrap()).len(),
        50
    );
    speakers.keep(&labels[50], "AAAA").await.unwrap();
    let errors = [
        speakers.all().await.unwrap_err(),
        speakers.voiceprints_of(&labels).await.unwrap_err(),
        speakers
            .voiceprints_of(std::iter::repeat("Ann"))
            .await
            .unwrap_err(),
    ];
    for error in errors {
        assert!(matches!(error, SpeakersError::TooMany), "{error:?}");
    }
    assert_eq!(speakers.labels().await.unwrap(), labels);
    assert_eq!(
        pairs(speakers.voiceprints_of(&labels[1..]).await.unwrap()).len(),
        50
    );
}

#[tokio::test]
async fn an_object_that_is_no_voiceprint_is_an_error() {
    let (store, speakers) = in_memory();
    speakers.keep("Ann", SECRET).await.unwrap();
    let location = objects(&store, "speakers").await.remove(0);
    let whole = store.get(&location).await.unwrap().bytes().await.unwrap();
    let other = String::from_utf8(whole.to_vec())
        .unwrap()
        .replace("Ann", "Bob");
    let damages = [
        Vec::new(),
        whole[..whole.len() - 1].to_vec(),
        other.into_bytes(),
        b"{}".to_vec(),
        vec![b' '; 1 << 20],
    ];
    for damage in damages {
        store
            .put(&location, PutPayload::from(damage))
            .await
            .unwrap();
        let errors = [
            speakers.voiceprints_of(["Ann"]).await.unwrap_err(),
            speakers.all().await.unwrap_err(),
            speakers.labels().await.unwrap_err(),
        ];
        for error in errors {
            assert!(!format!("{error} {error:?}").contains(SECRET));
            let SpeakersError::Damaged { location: told, .. } = error else {
                panic!("{error:?}");
            };
            assert_eq!(told, location.as_ref());
        }
    }
    speakers.keep("Ann", "AAAA").await.unwrap();
    assert_eq!(pairs(speakers.all().await.unwrap()), [pair("Ann", "AAAA")]);
}

#[tokio::test]
async fn other_objects_under_the_prefix_are_left_alone() {
    let store = Arc::new(InMemory::new());
    let speakers = Speakers::new(store.clone(), "").unwrap();
    let archive = Archive::new(store, "").unwrap();
    archive.keep(&voiceprint_event("j", "AAAA")).await.unwrap();
    speakers.keep("Ann", "AAAA").await.unwrap();
    assert_eq!(speakers.labels().await.unwrap(), ["Ann"]);
}

#[test]
fn a_prefix_that_is_no_path_is_refused() {
    for prefix in ["..", "a//b", "a/\n"] {
        let error = Speakers::new(Arc::new(InMemory::new()), prefix).unwrap_err();
        assert!(
            matches!(&error, ConfigError::InvalidPrefix { prefix: told, .. } if told == prefix)
        );
    }
}

#[tokio::test]
async fn debug_shows_no_voiceprint() {
    let (_, speakers) = in_memory();
    speakers.keep("Ann", SECRET).await.unwrap();
    let voiceprints = speakers.all().await.unwrap();
    assert_eq!(format!("{voiceprints:?}"), r#"{"Ann": [16 bytes]}"#);
    assert_eq!(
        format!("{speakers:?}"),
        r#"Speakers { store: InMemory, prefix: "speakers" }"#
    );
    let handler = speakers.handler(|_: &WebhookEvent| None);
    assert_eq!(
        format!("{handler:?}"),
        r#"SpeakersHandler(Speakers { store: InMemory, prefix: "speakers" })"#
    );
}

#[test]
fn types_are_send_and_sync() {
    fn sync<T: Send + Sync + Clone + 'static>(_: &T) {}
    let (_, speakers) = in_memory();
    sync(&speakers);
    sync(&speakers.handler(|_: &WebhookEvent| None));
    sync(&Voiceprints::default());
}

/// Takes what `pyannoteai_client::IdentifyRequest::new` takes.
fn identify<L: Into<String>, V: Into<String>>(pairs: impl IntoIterator<Item = (L, V)>) -> usize {
    let pairs = pairs
        .into_iter()
        .map(|(label, voiceprint)| (label.into(), voiceprint.into()));
    pairs.collect::<Vec<(String, String)>>().len()
}

#[tokio::test]
async fn an_identification_takes_voiceprints_as_they_are() {
    let (_, speakers) = in_memory();
    speakers.keep("Ann", "AAAA").await.unwrap();
    let voiceprints = speakers.all().await.unwrap();
    assert_eq!(identify(voiceprints.iter()), 1);
    assert_eq!(identify(voiceprints), 1);
}

mod handler {
    use super::*;

    fn label_of(event: &WebhookEvent) -> Option<String> {
        event.job_id().strip_prefix("job-of-").map(str::to_owned)
    }

    #[tokio::test]
    async fn voiceprints_of_labelled_jobs_are_kept() {
        let (_, speakers) = in_memory();
        let registry = HandlerRegistry::new()
            .register("speakers", speakers.handler(label_of))
            .unwrap();
        for body in [
            r#"{"jobId":"job-of-Ann","status":"succeeded","output":{"voiceprint":"AAAA"}}"#,
            r#"{"jobId":"job-of-Ann","status":"succeeded","output":{"voiceprint":"AAAA"}}"#,
            r#"{"jobId":"other","status":"succeeded","output":{"voiceprint":"BBBB"}}"#,
            r#"{"jobId":"job-of-Bob","status":"succeeded","output":{"diarization":[]}}"#,
            r#"{"jobId":"job-of-Cid","status":"failed","output":{"voiceprint":"CCCC"}}"#,
            r#"{"jobId":"job-of-Dan","status":"succeeded"}"#,
        ] {
            assert!(registry.handle(event(body)).await.is_success(), "{body}");
        }
        assert_eq!(pairs(speakers.all().await.unwrap()), [pair("Ann", "AAAA")]);
    }

    async fn error_of(
        speakers: &Speakers,
        label: &'static str,
        event: WebhookEvent,
    ) -> HandlerError {
        let handler = speakers.handler(move |_: &WebhookEvent| Some(label.to_owned()));
        let event = TypedEvent::<Voiceprint>::try_from(event).unwrap();
        handler.voiceprint(&event).await.unwrap_err()
    }

    #[tokio::test]
    async fn what_the_api_refuses_is_a_permanent_error() {
        let (_, speakers) = in_memory();
        let error = error_of(&speakers, "SPEAKER_00", voiceprint_event("j", SECRET)).await;
        assert!(error.is_permanent());
        assert_eq!(
            error.to_string(),
            "label of a speaker begins with SPEAKER_, which is reserved for speakers without a match"
        );
        let error = error_of(&speakers, "Ann", voiceprint_event("j", "")).await;
        assert!(error.is_permanent());
        assert_eq!(error.to_string(), "voiceprint of a speaker is empty");
    }

    #[tokio::test]
    async fn a_store_that_fails_is_a_retryable_error_with_its_cause() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(
            dir.path().join("speakers"),
            "a file where a directory belongs",
        )
        .unwrap();
        let store = LocalFileSystem::new_with_prefix(dir.path()).unwrap();
        let speakers = Speakers::new(Arc::new(store), "speakers").unwrap();
        let error = error_of(&speakers, "Ann", voiceprint_event("j", SECRET)).await;
        assert!(!error.is_permanent());
        assert!(
            error
                .to_string()
                .starts_with("cannot read or write speakers/"),
            "{error}"
        );
        assert!(error.as_error().source().is_some());
        assert!(!format!("{error:?}").contains(SECRET));
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None,
        cases: 64,
        ..ProptestConfig::default()
    })]

    #[test]
    fn any_label_is_refused_or_kept_as_it_is(
        labels in proptest::collection::vec(prop_oneof![any::<String>(), "[aA./ ]{0,3}", "(?i)speaker_?[0-9]?"], 1..8),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let (store, speakers) = in_memory();
            let mut known = std::collections::BTreeMap::new();
            for (number, label) in labels.iter().enumerate() {
                let voiceprint = format!("voiceprint {number}");
                let valid = (1..=100).contains(&label.chars().count()) && !label.to_ascii_lowercase().starts_with("speaker_");
                let kept = speakers.keep(label, &voiceprint).await;
                assert_eq!(kept.is_ok(), valid, "{label:?}");
                if valid {
                    known.insert(label.clone(), voiceprint);
                }
            }
            assert_eq!(pairs(speakers.all().await.unwrap()), Vec::from_iter(known.clone()));
            assert_eq!(objects(&store, "speakers").await.len(), known.len());
        });
    }
}

/// An event as an inbox hands it to a worker.
fn referring(reference: Option<&str>, voiceprint: &str) -> WebhookEvent {
    let event = voiceprint_event("job", voiceprint);
    let delivery = event.delivery().clone();
    let delivery = delivery.with_reference(reference.map(Into::into));
    WebhookEvent::new(event.raw().clone(), delivery).unwrap()
}

#[tokio::test]
async fn a_voiceprint_is_kept_under_the_reference_of_its_job() {
    let (store, speakers) = in_memory();
    let registry = HandlerRegistry::new();
    let registry = registry.register("speakers", speakers.clone()).unwrap();
    for (reference, voiceprint) in [("Ann", "AAAA"), ("Bob", "BBBB"), ("Ann", "CCCC")] {
        let report = registry
            .handle(referring(Some(reference), voiceprint))
            .await;
        assert!(report.is_success(), "{report:?}");
    }
    let report = registry.handle(referring(None, "DDDD")).await;
    assert!(report.is_success(), "{report:?}");
    assert_eq!(
        pairs(speakers.all().await.unwrap()),
        [pair("Ann", "CCCC"), pair("Bob", "BBBB")]
    );
    assert_eq!(objects(&store, "speakers").await.len(), 2);
}

#[tokio::test]
async fn a_reference_that_is_no_label_is_a_permanent_error() {
    let (store, speakers) = in_memory();
    let registry = HandlerRegistry::new();
    let registry = registry.register("speakers", speakers).unwrap();
    for reference in ["speaker_7", &"x".repeat(101)] {
        let report = registry.handle(referring(Some(reference), "AAAA")).await;
        assert_eq!(report.failures().count(), 1, "{reference}");
        assert!(!report.is_retryable(), "{reference}");
    }
    assert!(objects(&store, "speakers").await.is_empty());
}
