//! A store without `PutMode::Create`.

use super::{recorded::Recorded, *};

const BODY: &str = r#"{"jobId":"j","status":"failed"}"#;
const NAME: &str = "20261124T034000.000000000Z_none_j_failed.json";

async fn names(store: &Recorded) -> Vec<String> {
    let listed = store.list_with_delimiter(None).await.unwrap().objects;
    let names = listed.into_iter().map(|object| object.location.to_string());
    names.collect()
}

#[tokio::test]
async fn it_is_refused_unless_the_archive_may_do_without() {
    let store = Arc::new(Recorded::without_create());
    let archive = Archive::new(store.clone(), "").unwrap().behind_inbox();
    let error = archive.keep(&event(BODY)).await.unwrap_err();
    assert!(!error.is_permanent());
    assert_eq!(
        error.to_string(),
        format!(
            "cannot archive {NAME}: the store lacks what the archive needs; if that is PutMode::Create, use a store that has it or \
             Archive::without_conditional_create, if it is attributes, use Metadata::Sidecar"
        )
    );
    assert_eq!(names(&store).await, [""; 0]);
}

#[tokio::test]
async fn a_repeat_after_the_event_was_stored_is_not_stored_again() {
    let store = Arc::new(Recorded::without_create());
    let archive = Archive::new(store.clone(), "").unwrap();
    let archive = archive.without_conditional_create();
    for (seconds, body) in [
        (0, BODY),
        (5, BODY),
        (9, r#"{"jobId":"j","status":"failed","x":1}"#),
    ] {
        let location = archive.keep(&event_at(at(seconds), body)).await.unwrap();
        assert_eq!(location.as_ref(), NAME);
        let bytes = store.get(&location).await.unwrap().bytes().await.unwrap();
        assert_eq!(bytes, BODY);
    }
    assert_eq!(names(&store).await, [NAME]);
}

#[tokio::test]
async fn behind_an_inbox_it_is_one_question_and_one_write() {
    let store = Arc::new(Recorded::without_create());
    let archive = Archive::new(store.clone(), "").unwrap();
    let archive = archive.behind_inbox().without_conditional_create();
    archive.keep(&event(BODY)).await.unwrap();
    assert_eq!(
        store.requests(),
        [
            "list .claims",
            &format!("head {NAME}"),
            &format!("put {NAME}")
        ]
    );
}

#[tokio::test]
async fn an_object_that_was_cut_off_is_written_again() {
    let store = Arc::new(Recorded::without_create());
    let archive = Archive::new(store.clone(), "").unwrap();
    let archive = archive.behind_inbox().without_conditional_create();
    let location = archive.keep(&event(BODY)).await.unwrap();
    store.put(&location, "{".into()).await.unwrap();
    archive.keep(&event(BODY)).await.unwrap();
    let bytes = store.get(&location).await.unwrap().bytes().await.unwrap();
    assert_eq!(bytes, BODY);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn behind_an_inbox_attempts_at_once_leave_one_whole_object() {
    let store = Arc::new(Recorded::without_create());
    let archive = Archive::new(store.clone(), "").unwrap();
    let archive = archive.behind_inbox().without_conditional_create();
    let attempts = (0..8).map(|_| {
        let archive = archive.clone();
        tokio::spawn(async move { archive.keep(&event(BODY)).await.unwrap() })
    });
    for attempt in attempts.collect::<Vec<_>>() {
        assert_eq!(attempt.await.unwrap().as_ref(), NAME);
    }
    assert_eq!(names(&store).await, [NAME]);
    let kept = store.get(&NAME.into()).await.unwrap();
    assert_eq!(kept.bytes().await.unwrap(), BODY);
}
