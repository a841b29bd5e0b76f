use super::*;

const BODY: &str = r#"{"jobId":"j","status":"succeeded","output":{"diarization":[]}}"#;

#[tokio::test]
async fn a_repeat_keeps_the_one_file_though_it_is_received_later() {
    let (dir, store) = local();
    let archive = Archive::new(store, "events").unwrap();
    let first = archive.keep(&event_at(at(0), BODY)).await.unwrap();
    for delay in [0, 1, 70, 400] {
        let again = archive.keep(&event_at(at(delay), BODY)).await.unwrap();
        assert_eq!(again, first);
    }
    assert_eq!(
        kept(&dir.path().join("events")),
        [first.filename().unwrap()]
    );
}

#[tokio::test]
async fn another_archive_on_the_same_store_keeps_the_one_file() {
    let (dir, store) = local();
    let first = Archive::new(store, "").unwrap();
    let second = Archive::new(open(dir.path(), false), "").unwrap();
    let one = first.keep(&event_at(at(0), BODY)).await.unwrap();
    let two = second.keep(&event_at(at(9), BODY)).await.unwrap();
    assert_eq!(one, two);
    assert_eq!(kept(dir.path()), [one.as_ref()]);
}

#[tokio::test]
async fn another_status_of_the_job_is_another_event() {
    let (dir, store) = local();
    let archive = Archive::new(store, "").unwrap();
    for status in ["succeeded", "failed", "canceled", "Failed"] {
        archive.keep(&event_of("j", status)).await.unwrap();
    }
    assert_eq!(kept(dir.path()).len(), 4);
}

#[tokio::test]
async fn job_and_status_are_told_apart_wherever_one_ends() {
    let (dir, store) = local();
    let archive = Archive::new(store, "").unwrap();
    for (job, status) in [
        ("a", "bfailed"),
        ("ab", "failed"),
        ("abf", "ailed"),
        ("1:a", "b"),
    ] {
        archive.keep(&event_of(job, status)).await.unwrap();
    }
    assert_eq!(kept(dir.path()).len(), 4);
}

/// Eight deliveries at once, by two archives that know nothing of each other.
async fn at_once(one: Arc<dyn ObjectStore>, two: Arc<dyn ObjectStore>) {
    let archives = [
        Archive::new(one.clone(), "e").unwrap(),
        Archive::new(two, "e").unwrap(),
    ];
    for round in 0..25 {
        let job = format!("job-{round}");
        let body = format!(r#"{{"jobId":"{job}","status":"failed"}}"#);
        let start = Arc::new(tokio::sync::Barrier::new(8));
        let tasks = (0..8).map(|i| {
            let archive = archives[i % 2].clone();
            let event = event_at(at(u64::try_from(i).unwrap()), body.clone());
            let start = start.clone();
            tokio::spawn(async move {
                start.wait().await;
                archive.keep(&event).await.unwrap()
            })
        });
        let mut locations = HashSet::new();
        for task in tasks.collect::<Vec<_>>() {
            locations.insert(task.await.unwrap());
        }
        assert_eq!(locations.len(), 1, "{locations:?}");
        let location = locations.into_iter().next().unwrap();
        let bytes = one.get(&location).await.unwrap().bytes().await.unwrap();
        assert_eq!(bytes, body);
    }
    let listed = one.list_with_delimiter(Some(&Location::from("e"))).await;
    assert_eq!(listed.unwrap().objects.len(), 25);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn eight_at_once_keep_one_file() {
    let (dir, store) = local();
    let other = open(dir.path(), false);
    at_once(store, other).await;
    assert_eq!(kept(&dir.path().join("e")).len(), 25);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn eight_at_once_keep_one_object_in_memory() {
    let store = Arc::new(InMemory::new());
    at_once(store.clone(), store).await;
}

#[tokio::test]
async fn a_repeat_that_differs_leaves_the_first() {
    let (dir, store) = local();
    let archive = Archive::new(store, "").unwrap();
    let first = archive.keep(&event(BODY)).await.unwrap();
    let other = r#"{"jobId":"j","status":"succeeded","output":{"voiceprint":"A"}}"#;
    assert_eq!(archive.keep(&event(other)).await.unwrap(), first);
    assert_eq!(kept(dir.path()), [first.as_ref()]);
    let bytes = fs::read_to_string(dir.path().join(first.as_ref())).unwrap();
    assert_eq!(bytes, BODY);
}

#[test]
fn a_repeat_that_differs_is_counted_as_a_conflict() {
    use metrics_util::debugging::DebugValue;

    let metrics = tower_pyannote_test_support::observe::measure(async || {
        let archive = Archive::new(Arc::new(InMemory::new()), "").unwrap();
        for body in [BODY, BODY, r#"{"jobId":"j","status":"succeeded"}"#, BODY] {
            archive.keep(&event(body)).await.unwrap();
        }
    });
    let conflicts = "pyannote_webhook_archive_conflicts_total{}".to_owned();
    assert_eq!(metrics, [(conflicts, DebugValue::Counter(1))].into());
}
