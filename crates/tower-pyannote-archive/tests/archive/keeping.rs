use super::*;

#[tokio::test]
async fn bytes_are_kept_as_received_under_a_name_that_says_what_they_are() {
    let (dir, store) = local();
    let archive = Archive::new(store, "a/b").unwrap();
    let body = "{ \"jobId\" :\"0f\\u0061\", \r\n\"status\":\"succeeded\",\"output\":{\"voiceprint\":\"AA\u{e9}==\"},\t\"new\":[1.50,1E2] }  \n";
    let received = at(0) + Duration::from_nanos(123_456_789);
    let location = archive.keep(&event_at(received, body)).await.unwrap();
    let name = "20261124T034000.123456789Z_voiceprint_0fa_succeeded.json";
    assert_eq!(location.as_ref(), format!("a/b/{name}"));
    assert_eq!(kept(&dir.path().join("a/b")), [name]);
    let bytes = fs::read(dir.path().join("a/b").join(name)).unwrap();
    assert_eq!(bytes, body.as_bytes());
}

#[test]
fn the_name_has_time_kind_job_and_status() {
    let rows = [
        (
            r#"{"jobId":"j","status":"succeeded","output":{"diarization":[]}}"#,
            "diarization_j_succeeded",
        ),
        (
            r#"{"jobId":"j","status":"succeeded","output":{"identification":[]}}"#,
            "identification_j_succeeded",
        ),
        (
            r#"{"jobId":"j","status":"succeeded","output":{"new":1}}"#,
            "unknown_j_succeeded",
        ),
        (r#"{"jobId":"j","status":"succeeded"}"#, "none_j_succeeded"),
        (
            r#"{"jobId":"j","status":"failed","output":{"error":"e"}}"#,
            "none_j_failed",
        ),
        (
            r#"{"jobId":"j"}"#,
            "none_j_.e3b0c44298fc1c149afbf4c8996fb924",
        ),
    ];
    for (body, rest) in rows {
        assert_eq!(
            Archive::name_of(&event(body)),
            format!("20261124T034000.000000000Z_{rest}.json")
        );
    }
}

#[test]
fn names_sort_by_time_and_times_out_of_reach_are_clamped() {
    let body = r#"{"jobId":"j","status":"failed"}"#;
    let far = Duration::from_secs(u64::MAX >> 1);
    let rows = [
        (
            UNIX_EPOCH - Duration::from_secs(1),
            "19700101T000000.000000000Z",
        ),
        (UNIX_EPOCH, "19700101T000000.000000000Z"),
        (
            UNIX_EPOCH + Duration::from_nanos(1),
            "19700101T000000.000000001Z",
        ),
        (
            at(0) - Duration::from_nanos(1),
            "20261124T033959.999999999Z",
        ),
        (at(0), "20261124T034000.000000000Z"),
        (
            UNIX_EPOCH.checked_add(far).unwrap_or(at(0)),
            "99991230T220000.999999999Z",
        ),
    ];
    let names = rows.map(|(time, expected)| {
        let name = Archive::name_of(&event_at(time, body));
        assert_eq!(name, format!("{expected}_none_j_failed.json"));
        name
    });
    assert!(names.is_sorted());
}

#[tokio::test]
async fn it_works_as_a_handler_and_as_a_closure() {
    let (dir, store) = local();
    let archive = Archive::new(store, "").unwrap();
    let closure = archive.clone();
    let registry = HandlerRegistry::new()
        .register("archive", archive)
        .unwrap()
        .on_any("again", move |event: WebhookEvent| {
            let archive = closure.clone();
            async move { archive.keep(&event).await.map(drop) }
        })
        .unwrap();
    assert!(registry.handle(event_of("j", "failed")).await.is_success());
    assert_eq!(
        kept(dir.path()),
        ["20261124T034000.000000000Z_none_j_failed.json"]
    );
}

#[test]
fn debug_shows_the_store_by_name_and_the_prefix() {
    let archive = Archive::new(Arc::new(InMemory::new()), "a/b").unwrap();
    assert_eq!(
        format!("{archive:?}"),
        r#"Archive { store: InMemory, prefix: "a/b" }"#
    );
}

#[test]
fn types_are_send_and_sync() {
    fn sync<T: Send + Sync + Clone + 'static>() {}
    sync::<Archive>();
}

#[test]
fn a_prefix_that_is_no_path_is_refused() {
    for prefix in ["..", "a/../b", ".", "a//b", "a/\n", "a\0"] {
        let error = Archive::new(Arc::new(InMemory::new()), prefix).unwrap_err();
        let ConfigError::InvalidPrefix { prefix: told, .. } = &error else {
            panic!("{error:?}");
        };
        assert_eq!(told, prefix);
    }
}

#[tokio::test]
async fn slashes_at_the_ends_of_a_prefix_do_not_count() {
    for prefix in ["", "/", "a", "/a", "a/", "/a/", "a/b c"] {
        let store = Arc::new(InMemory::new());
        let archive = Archive::new(store, prefix).unwrap();
        let location = archive.keep(&event_of("j", "failed")).await.unwrap();
        let prefix = prefix.trim_matches('/');
        let expected = format!("{prefix}/{}", Archive::name_of(&event_of("j", "failed")));
        assert_eq!(location.as_ref(), expected.trim_start_matches('/'));
    }
}
