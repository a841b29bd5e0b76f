//! What the archive promises: bytes as received, one object an event, nothing outside, nothing
//! half-written.

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
    HandlerError, HandlerRegistry, WebhookEvent, WebhookHandler, event::Delivery,
};
use tower_pyannote_archive::{Archive, ConfigError};

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

fn local() -> (TempDir, Arc<LocalFileSystem>) {
    let dir = tempfile::tempdir().unwrap();
    let store = LocalFileSystem::new_with_prefix(dir.path()).unwrap();
    (dir, Arc::new(store))
}

/// The files of a directory that an archive keeps its events in.
fn kept(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap());
    let files = entries.filter(|entry| entry.file_type().unwrap().is_file());
    let mut names: Vec<_> = files
        .map(|entry| entry.file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

mod keeping {
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
}

mod repeats {
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
        let store = LocalFileSystem::new_with_prefix(dir.path()).unwrap();
        let second = Archive::new(Arc::new(store), "").unwrap();
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
        let other = LocalFileSystem::new_with_prefix(dir.path()).unwrap();
        at_once(store, Arc::new(other)).await;
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
}

mod names {
    use super::*;

    fn hostile() -> Vec<String> {
        let mut ids: Vec<String> = [
            "../../etc/passwd",
            "..",
            ".",
            "/",
            "a/b",
            "a\\b",
            "a_b",
            "a-b",
            "a.b",
            "a b",
            "a%2fb",
            "A",
            "a",
            "nul\0",
            "\n",
            " ",
            "CON",
            "con",
            "x#1",
            "C:\\x",
            "\u{1f600}",
            "\u{1f601}",
            "\u{130}",
            "i\u{307}",
            "\u{fe}\u{202e}",
            ".e3b0c44298fc1c149afbf4c8996fb924",
            "-",
        ]
        .map(str::to_owned)
        .into();
        for letter in ["x", "X", "\u{1f600}", "/"] {
            ids.extend([40, 41, 64, 65, 255, 10_000].map(|length| letter.repeat(length)));
        }
        ids
    }

    /// One plain file name that any file system can hold.
    fn assert_is_a_plain_file_name(name: &str) {
        // `LocalFileSystem` puts `#` and a number behind it while it writes.
        assert!(name.len() <= 240, "{} bytes: {name}", name.len());
        let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
        assert!(name.bytes().all(plain), "{name}");
        assert!(
            name.as_bytes()[0].is_ascii_digit() && name.ends_with(".json"),
            "{name}"
        );
        assert_eq!(name.matches('_').count(), 3, "{name}");
    }

    #[tokio::test]
    async fn hostile_ids_stay_inside_the_prefix_and_apart() {
        let (dir, store) = local();
        let archive = Archive::new(store, "in/side").unwrap();
        let ids = hostile();
        for id in &ids {
            let event = event_of(id, id);
            let location = archive.keep(&event).await.unwrap();
            assert_is_a_plain_file_name(location.filename().unwrap());
            let file = dir.path().join(location.as_ref());
            assert_eq!(fs::read(file).unwrap(), event.raw()[..]);
            assert_eq!(archive.keep(&event).await.unwrap(), location);
        }
        assert_eq!(kept(&dir.path().join("in/side")).len(), ids.len());
        let outside = |path: &str| fs::read_dir(dir.path().join(path)).unwrap().count();
        assert_eq!(outside(""), 1);
        assert_eq!(outside("in"), 1);
        assert_eq!(outside("in/side"), ids.len() + 1);
    }

    #[test]
    fn hostile_ids_make_names_that_differ_even_where_case_does_not_count() {
        let names = hostile().into_iter().map(|id| {
            let name = Archive::name_of(&event_of(&id, "failed"));
            assert_is_a_plain_file_name(&name);
            name.to_lowercase()
        });
        assert_eq!(names.collect::<HashSet<_>>().len(), hostile().len());
    }

    #[test]
    fn ids_that_are_safe_stand_as_they_are() {
        let longest = "0".repeat(64);
        for id in ["a", "-", "3c8a89a5-dcc6-4edb-a75d-ffd64739674d", &longest] {
            assert_eq!(
                Archive::name_of(&event_of(id, "failed")),
                format!("20261124T034000.000000000Z_none_{id}_failed.json")
            );
        }
        assert_eq!(
            Archive::name_of(&event_of("Job 7", "failed")),
            "20261124T034000.000000000Z_none_job-7.c6eb19cd9879d4147d145839efe4ac4d_failed.json"
        );
    }

    fn any_id() -> impl Strategy<Value = String> {
        prop_oneof![
            "[a-cA-C./_%-]{1,4}",
            "[a-z0-9-]{1,66}",
            "\\PC{1,80}",
            any::<String>().prop_filter("an id is not empty", |id| !id.is_empty()),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig {
            failure_persistence: None,
            ..ProptestConfig::default()
        })]

        #[test]
        fn names_are_plain_and_as_distinct_as_the_events(
            job in any_id(),
            status in any_id(),
            other_job in any_id(),
            other_status in any_id(),
        ) {
            let name = Archive::name_of(&event_of(&job, &status));
            let other = Archive::name_of(&event_of(&other_job, &other_status));
            assert_is_a_plain_file_name(&name);
            assert_is_a_plain_file_name(&other);
            prop_assert_eq!(
                (&job, &status) == (&other_job, &other_status),
                name.to_lowercase() == other.to_lowercase()
            );
        }

        #[test]
        fn events_are_kept_once_each(
            events in proptest::collection::vec((any_id(), any_id()), 1..8),
        ) {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            runtime.block_on(async {
                let store = Arc::new(InMemory::new());
                let archive = Archive::new(store.clone(), "p").unwrap();
                for _ in 0..2 {
                    for (job, status) in &events {
                        archive.keep(&event_of(job, status)).await.unwrap();
                    }
                }
                let distinct: HashSet<_> = events.iter().collect();
                let listed = store.list_with_delimiter(Some(&Location::from("p"))).await;
                assert_eq!(listed.unwrap().objects.len(), distinct.len());
            });
        }
    }
}

mod trouble {
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
}

#[cfg(unix)]
mod kill {
    use std::{
        io::{BufRead, BufReader},
        process::{Command, Stdio},
    };

    use super::*;

    const ROUNDS: usize = 20;
    const CHILD: &str = "kill::archives_until_it_is_killed";

    /// The body of an event by number, of up to 1 MiB.
    fn body(number: usize) -> String {
        let voiceprint = "AbCd".repeat(number * 7919 % (1 << 18));
        format!(
            r#"{{"jobId":"job-{number}","status":"succeeded","output":{{"voiceprint":"{voiceprint}"}}}}"#
        )
    }

    fn number_of(name: &str) -> usize {
        let job = name.split('_').nth(2).unwrap();
        job.strip_prefix("job-").unwrap().parse().unwrap()
    }

    #[test]
    #[ignore = "run by the test below as a process of its own"]
    fn archives_until_it_is_killed() {
        let Ok(dir) = std::env::var("ARCHIVE_DIR") else {
            return;
        };
        let first: usize = std::env::var("ARCHIVE_FIRST").unwrap().parse().unwrap();
        let store = LocalFileSystem::new_with_prefix(dir).unwrap();
        let archive = Archive::new(Arc::new(store.with_fsync(first % 2 == 0)), "").unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        for number in first.. {
            let body = body(number);
            for _ in 0..2 {
                let event = event_at(SystemTime::now(), body.clone());
                runtime.block_on(archive.keep(&event)).unwrap();
                println!("\nkept {number}");
            }
        }
    }

    /// Starts the child, kills it after some events, and tells the last that it said it had kept.
    fn run_and_kill(dir: &Path, round: usize, first: usize) -> usize {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                CHILD,
                "--ignored",
                "--nocapture",
                "--test-threads=1",
            ])
            .env("ARCHIVE_DIR", dir)
            .env("ARCHIVE_FIRST", first.to_string())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut said = lines.filter_map(|line| {
            let line = line.unwrap();
            line.strip_prefix("kept ")
                .map(|number| number.parse::<usize>().unwrap())
        });
        let mut last = said.nth(round % 7).unwrap();
        for _ in 0..(round * 7919 % 13) * 100_000 {
            std::hint::spin_loop();
        }
        child.kill().unwrap();
        child.wait().unwrap();
        last = said.last().unwrap_or(last);
        last
    }

    fn assert_nothing_is_half_written(dir: &Path) -> (HashSet<usize>, usize) {
        let mut numbers = HashSet::new();
        let mut leftovers = 0;
        for name in kept(dir) {
            if name.ends_with(".json") {
                let number = number_of(&name);
                assert!(numbers.insert(number), "{number} is kept twice");
                let bytes = fs::read(dir.join(&name)).unwrap();
                assert!(
                    bytes == body(number).as_bytes(),
                    "{name} is not as received"
                );
            } else {
                assert!(name.contains(".json#"), "{name}");
                leftovers += 1;
            }
        }
        (numbers, leftovers)
    }

    #[tokio::test]
    async fn a_process_killed_at_any_moment_leaves_nothing_half_written() {
        let (dir, store) = local();
        let mut next = 0;
        let mut acknowledged = Vec::new();
        for round in 0..ROUNDS {
            let last = run_and_kill(dir.path(), round, next);
            acknowledged.extend(next..=last);
            // The one in progress is delivered again by the next process in every other round.
            next = last + 1 + round % 2;
            let (numbers, _) = assert_nothing_is_half_written(dir.path());
            for number in &acknowledged {
                assert!(numbers.contains(number), "{number} was lost");
            }
        }

        let archive = Archive::new(store, "").unwrap();
        for number in 0..next {
            archive.keep(&event(body(number))).await.unwrap();
        }
        let (numbers, leftovers) = assert_nothing_is_half_written(dir.path());
        assert_eq!(numbers, (0..next).collect());
        println!("{ROUNDS} kills, {next} events, {leftovers} writes cut off");
    }
}
