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
