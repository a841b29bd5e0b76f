//! An inbox hands an event out with one time of receipt, however often it was delivered.

use super::{recorded::Recorded, *};

const BODY: &str = r#"{"jobId":"j","status":"failed"}"#;
const NAME: &str = "20261124T034000.000000000Z_none_j_failed.json";

fn behind_inbox(store: Arc<dyn ObjectStore>) -> Archive {
    Archive::new(store, "e").unwrap().behind_inbox()
}

#[tokio::test]
async fn an_event_is_one_write_and_each_attempt_finds_it() {
    let store = Arc::new(Recorded::default());
    let archive = behind_inbox(store.clone());
    let kept = format!("e/{NAME}");
    archive.keep(&event(BODY)).await.unwrap();
    let created = format!("create {kept}");
    assert_eq!(store.requests(), ["list e/.claims", &created]);

    for _ in 0..2 {
        let location = archive.clone().keep(&event(BODY)).await.unwrap();
        assert_eq!(location.as_ref(), kept);
        // The attempt before may have been killed before the name was flushed.
        let again = [format!("get {kept}"), format!("put {kept}")];
        assert_eq!(store.requests(), [&*created, &again[0], &again[1]]);
    }
    archive.keep(&event_of("k", "failed")).await.unwrap();
    let other = NAME.replace("_j_", "_k_");
    assert_eq!(store.requests(), [format!("create e/{other}")]);
}

#[tokio::test]
async fn a_local_file_system_holds_the_file_and_nothing_else() {
    let (dir, store) = local();
    let archive = behind_inbox(store);
    for _ in 0..2 {
        archive.keep(&event(BODY)).await.unwrap();
    }
    let entries = fs::read_dir(dir.path().join("e")).unwrap();
    let names: Vec<_> = entries.map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, [NAME]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn eight_attempts_at_once_keep_one_file() {
    let (dir, store) = local();
    let other = open(dir.path(), false);
    let archives = [behind_inbox(store), behind_inbox(other)];
    for round in 0..25 {
        let body = format!(r#"{{"jobId":"job-{round}","status":"failed"}}"#);
        let start = Arc::new(tokio::sync::Barrier::new(8));
        let tasks = (0..8).map(|i| {
            let (archive, start) = (archives[i % 2].clone(), start.clone());
            let event = event(body.clone());
            tokio::spawn(async move {
                start.wait().await;
                archive.keep(&event).await.unwrap()
            })
        });
        for task in tasks.collect::<Vec<_>>() {
            let location = task.await.unwrap();
            let bytes = fs::read_to_string(dir.path().join(location.as_ref())).unwrap();
            assert_eq!(bytes, body);
        }
    }
    assert_eq!(kept(&dir.path().join("e")).len(), 25);
}

#[tokio::test]
async fn an_event_that_an_archive_with_claims_kept_is_not_stored_again() {
    let (dir, store) = local();
    let earlier = Archive::new(store.clone(), "e").unwrap();
    let first = earlier.keep(&event_at(at(0), BODY)).await.unwrap();
    let archive = behind_inbox(store);
    assert_eq!(
        archive.keep(&event_at(at(60), BODY)).await.unwrap(),
        first,
        "the name is the claimed one"
    );
    let new = archive.keep(&event_of("k", "failed")).await.unwrap();
    assert_eq!(
        kept(&dir.path().join("e")),
        [first.filename().unwrap(), new.filename().unwrap()]
    );
    assert_eq!(kept(&dir.path().join("e/.claims")).len(), 1);
}

#[tokio::test]
async fn a_claim_that_names_no_file_of_the_event_is_not_followed() {
    for name in ["", "../../etc/passwd", &NAME.replace("_j_", "_k_")] {
        let (dir, store) = local();
        let earlier = Archive::new(store.clone(), "e").unwrap();
        let first = earlier.keep(&event(BODY)).await.unwrap();
        fs::remove_file(dir.path().join(first.as_ref())).unwrap();
        let claims = dir.path().join("e/.claims");
        fs::write(claims.join(&kept(&claims)[0]), name).unwrap();
        let location = behind_inbox(store)
            .keep(&event_at(at(60), BODY))
            .await
            .unwrap();
        assert_eq!(
            location.filename(),
            Some("20261124T034100.000000000Z_none_j_failed.json")
        );
        assert_eq!(
            kept(&dir.path().join("e")),
            [location.filename().unwrap()],
            "{name}"
        );
    }
}

#[tokio::test]
async fn a_file_that_was_cut_off_is_written_again() {
    for cut in ["", r#"{"jobId":"j","status":"fai"#] {
        let (dir, store) = local();
        let archive = behind_inbox(store);
        let location = archive.keep(&event(BODY)).await.unwrap();
        let file = dir.path().join(location.as_ref());
        fs::write(&file, cut).unwrap();
        archive.keep(&event(BODY)).await.unwrap();
        assert_eq!(fs::read_to_string(file).unwrap(), BODY);
    }
}

#[tokio::test]
async fn two_inboxes_that_receive_an_event_store_it_under_two_names() {
    let (dir, store) = local();
    for received in [at(0), at(1)] {
        let archive = behind_inbox(store.clone());
        archive.keep(&event_at(received, BODY)).await.unwrap();
    }
    assert_eq!(kept(&dir.path().join("e")).len(), 2);
}
