use super::*;

const BODY: &str = r#"{"jobId":"j","status":"failed"}"#;
const NAME: &str = "20261124T034000.000000000Z_none_j_failed.json";
const EARLIER: &str = "20261124T033959.000000000Z_none_j_failed.json";

/// An archive that has kept the event once, and where the claim is.
async fn kept_once() -> (Arc<InMemory>, Archive, Location) {
    let store = Arc::new(InMemory::new());
    let archive = Archive::new(store.clone(), "").unwrap();
    let location = archive.keep(&event(BODY)).await.unwrap();
    assert_eq!(location.as_ref(), NAME);
    let claims = Location::from(".claims");
    let listed = store.list_with_delimiter(Some(&claims)).await.unwrap();
    assert_eq!(listed.objects.len(), 1);
    (store, archive, listed.objects[0].location.clone())
}

async fn put(store: &InMemory, location: &Location, bytes: &'static [u8]) {
    let payload = PutPayload::from_static(bytes);
    store.put(location, payload).await.unwrap();
}

async fn get(store: &InMemory, location: &Location) -> bytes::Bytes {
    store.get(location).await.unwrap().bytes().await.unwrap()
}

#[tokio::test]
async fn a_claim_without_its_object_is_completed_under_the_name_it_holds() {
    let (store, archive, claim) = kept_once().await;
    store.delete(&NAME.into()).await.unwrap();
    put(&store, &claim, EARLIER.as_bytes()).await;
    let location = archive.keep(&event(BODY)).await.unwrap();
    assert_eq!(location.as_ref(), EARLIER);
    assert_eq!(get(&store, &location).await, BODY);
}

#[tokio::test]
async fn a_claim_that_names_no_file_of_the_event_is_not_followed_but_written_again() {
    let foreign = [
        "../../etc/passwd",
        "x/20261124T034000.000000000Z_none_j_failed.json",
        "20261124T034000.000000000Z_none_k_failed.json",
        "20261124T034000.000000000Z_none_j_succeeded.json",
        "20261124T034000.000000000Z_none_j_failed.jso",
        "20261124T034000.000000000Z_../.._j_failed.json",
        "20261124T034000.000000000Z__j_failed.json",
        "20261124T034000.00000000Z_none_j_failed.json",
        "2026112xT034000.000000000Z_none_j_failed.json",
        "_",
        "\u{fffd}",
    ];
    let (store, archive, claim) = kept_once().await;
    for name in foreign {
        put(&store, &claim, name.as_bytes()).await;
        let location = archive.keep(&event(BODY)).await.unwrap();
        assert_eq!(location.as_ref(), NAME, "{name}");
        assert_eq!(get(&store, &claim).await, NAME, "{name}");
    }
    let all: Vec<_> = store.list_with_delimiter(None).await.unwrap().objects;
    assert_eq!(all.len(), 1, "nothing is kept where a claim pointed");
}

#[tokio::test]
async fn a_claim_that_lost_its_content_is_written_again() {
    let cut = [1, 10, NAME.len() - 1].map(|length| &NAME.as_bytes()[..length]);
    for lost in [&b""[..], &[0; 45], b"\xff\xfe"].into_iter().chain(cut) {
        let (store, archive, claim) = kept_once().await;
        put(&store, &claim, lost).await;
        let location = archive.keep(&event(BODY)).await.unwrap();
        assert_eq!(location.as_ref(), NAME);
        assert_eq!(get(&store, &claim).await, NAME);
    }
}

#[tokio::test]
async fn an_object_that_was_cut_off_is_written_again() {
    for cut in [&b""[..], &[0; 31], br#"{"jobId":"j","status":"fai"#] {
        let (store, archive, _) = kept_once().await;
        put(&store, &NAME.into(), cut).await;
        let location = archive.keep(&event_at(at(60), BODY)).await.unwrap();
        assert_eq!(location.as_ref(), NAME);
        assert_eq!(get(&store, &location).await, BODY);
    }
}

#[tokio::test]
async fn a_store_that_fails_is_a_retryable_error_with_its_cause() {
    let (dir, store) = local();
    fs::write(
        dir.path().join("events"),
        "a file where a directory belongs",
    )
    .unwrap();
    let archive = Archive::new(store, "events").unwrap();
    let error: HandlerError = archive.any(&event(BODY)).await.unwrap_err();
    assert!(!error.is_permanent());
    let text = error.to_string();
    assert!(text.starts_with("cannot archive events/.claims/"), "{text}");
    let source = error.as_error().source().unwrap();
    assert!(source.is::<object_store::Error>());
}
