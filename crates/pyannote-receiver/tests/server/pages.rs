use std::fs;

use serde_json::{Value, json};

use tower_pyannote_test_support::{
    bodies,
    http::{Post, SECRET, get},
    process::{SECRET_NAME, Server, dir, wait_until},
};

#[test]
fn index_is_html_for_a_browser_else_json() {
    let server = Server::start();
    assert_eq!(
        Post::new(bodies::status_only("a"))
            .send(server.address)
            .status,
        200
    );
    let forged = Post::signed_with("whs_guess", bodies::status_only("b"), 0);
    assert_eq!(forged.send(server.address).status, 401);

    let browser = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";
    for accept in [browser, "text/html", "Text/HTML, application/json"] {
        let page = get(server.address, "/", accept);
        assert_eq!(page.status, 200);
        assert!(
            page.head.contains("content-type: text/html; charset=utf-8"),
            "{accept}"
        );
        assert!(page.body.starts_with("<!doctype html>"), "{accept}");
        assert!(
            page.body.contains("<td>accepted</td><td>1</td>"),
            "{}",
            page.body
        );
        assert!(page.body.contains("POST /webhook"), "{}", page.body);
        assert!(page.body.contains("<p>Counted: 2"), "{}", page.body);
    }
    for accept in ["application/json", "*/*", "application/json, text/html"] {
        let page = get(server.address, "/", accept);
        assert_eq!(page.status, 200);
        assert!(
            page.head.contains("content-type: application/json"),
            "{accept}"
        );
        let page: Value = serde_json::from_str(&page.body).unwrap();
        assert_eq!(page["version"], env!("CARGO_PKG_VERSION"));
        assert_eq!(
            page["counts"],
            json!({ "accepted": 1, "refused": 1, "failed": 0 })
        );
        let paths: Vec<_> = page["endpoints"]
            .as_array()
            .unwrap()
            .iter()
            .map(|e| &e["path"])
            .collect();
        assert_eq!(paths, ["/webhook", "/", "/health", "/metrics"]);
    }
}

#[test]
fn other_paths_and_methods_are_refused() {
    let server = Server::start();
    assert_eq!(get(server.address, "/other", "*/*").status, 404);
    let page = get(server.address, "/webhook", "*/*");
    assert_eq!((page.status, &*page.body), (405, ""));
    assert!(page.head.contains("allow: POST"));
}

#[test]
fn delivery_is_committed_while_the_archive_fails_and_archived_later() {
    let dir = dir();
    let database = ["--database-url", "sqlite://elsewhere/inbox.sqlite"];
    let server = Server::start_in(dir, &database, &[(SECRET_NAME, SECRET)]);
    let post = Post::new(bodies::status_only(&bodies::job(1)));
    let health = get(server.address, "/health", "*/*");
    assert_eq!(health.status, 200);
    assert!(health.head.contains("content-type: application/json"));
    let ok = json!({ "status": "ok", "inbox": "ok", "storage": "ok" });
    assert_eq!(serde_json::from_str::<Value>(&health.body).unwrap(), ok);

    // Permissions do not stop root, but a file in place of the directory does.
    fs::remove_dir_all(server.data()).unwrap();
    fs::write(server.data(), "in the way").unwrap();
    wait_until("503", || {
        get(server.address, "/health", "*/*").status == 503
    });
    let health = get(server.address, "/health", "*/*");
    let health: Value = serde_json::from_str(&health.body).unwrap();
    assert_eq!(
        (&health["status"], &health["inbox"]),
        (&"unavailable".into(), &"ok".into())
    );
    let answer = post.send(server.address);
    assert_eq!((answer.status, &*answer.body), (200, ""));
    let retried = "pyannote_inbox_attempts_total{outcome=\"retried\"}";
    wait_until("a failed attempt", || server.metric(retried) > 0.0);

    fs::remove_file(server.data()).unwrap();
    wait_until("200", || {
        get(server.address, "/health", "*/*").status == 200
    });
    assert_eq!(server.kept().into_values().collect::<Vec<_>>(), [post.body]);
}

#[test]
fn nothing_is_acknowledged_without_the_inbox() {
    let database = ["--database-url", "sqlite://elsewhere/inbox.sqlite"];
    let server = Server::start_in(dir(), &database, &[(SECRET_NAME, SECRET)]);
    let post = Post::new(bodies::status_only(&bodies::job(1)));
    let (place, moved) = (
        server.dir.path().join("elsewhere"),
        server.dir.path().join("moved"),
    );
    fs::rename(&place, &moved).unwrap();
    let answer = post.send(server.address);
    assert_eq!((answer.status, &*answer.body), (503, ""));
    assert!(answer.head.contains("retry-after: 5"));
    wait_until("503", || {
        get(server.address, "/health", "*/*").status == 503
    });
    assert_eq!(
        server.metric("pyannote_inbox_commits_total{outcome=\"failed\"}"),
        1.0
    );

    fs::rename(&moved, &place).unwrap();
    assert_eq!(post.send(server.address).status, 200);
    assert_eq!(server.kept().into_values().collect::<Vec<_>>(), [post.body]);
    let index: Value = serde_json::from_str(&get(server.address, "/", "*/*").body).unwrap();
    assert_eq!(
        index["counts"],
        json!({ "accepted": 1, "refused": 0, "failed": 1 })
    );
    assert_eq!(
        index["inbox"],
        json!({ "waiting": 0, "running": 0, "handled": 1, "dead": 0 })
    );
}

#[test]
fn health_check_leaves_no_file() {
    let server = Server::start();
    assert_eq!(get(server.address, "/health", "*/*").status, 200);
    assert_eq!(
        fs::read_dir(server.data().join(".health")).unwrap().count(),
        0
    );
    assert!(server.kept().is_empty());
}

#[test]
fn metrics_start_from_zero() {
    let server = Server::start();
    let page = get(server.address, "/metrics", "*/*");
    assert_eq!(page.status, 200);
    assert!(
        page.head
            .contains("content-type: text/plain; version=0.0.4; charset=utf-8")
    );
    for series in [
        "pyannote_webhook_processed_webhooks_total{kind=\"diarization\",status=\"succeeded\"}",
        "pyannote_webhook_processed_webhooks_total{kind=\"none\",status=\"failed\"}",
        "pyannote_webhook_failed_verifications_total{reason=\"signature_mismatch\"}",
        "pyannote_webhook_failed_verifications_total{reason=\"body_timeout\"}",
        "pyannote_webhook_successful_events_total{kind=\"identification\"}",
        "pyannote_webhook_retries_total{reason=\"http_timeout\"}",
        "pyannote_webhook_body_bytes_count",
        "pyannote_webhook_verification_seconds_count",
        "pyannote_webhook_in_flight_bytes",
        "pyannote_inbox_commits_total{outcome=\"duplicate\"}",
        "pyannote_inbox_commits_total{outcome=\"conflict\"}",
        "pyannote_inbox_attempts_total{outcome=\"dead\"}",
        "pyannote_inbox_events{state=\"waiting\"}",
        "pyannote_inbox_events{state=\"dead\"}",
        "pyannote_inbox_oldest_waiting_seconds",
        "pyannote_inbox_commit_seconds_count",
    ] {
        assert_eq!(server.metric(series), 0.0, "{series}");
    }

    let json = get(server.address, "/metrics", "application/json, text/plain");
    let summary = json!({
        "processed_webhooks": 0,
        "failed_verifications": 0,
        "successful_events": 0,
        "verification_success_rate": null,
    });
    assert_eq!(serde_json::from_str::<Value>(&json.body).unwrap(), summary);

    let body = bodies::diarization(&bodies::job(1), 70_000);
    let length = u32::try_from(body.len()).unwrap();
    assert_eq!(Post::new(body).send(server.address).status, 200);
    server.settle();
    for (series, value) in [
        ("pyannote_inbox_commits_total{outcome=\"new\"}", 1.0),
        ("pyannote_inbox_attempts_total{outcome=\"handled\"}", 1.0),
        ("pyannote_inbox_commit_seconds_count", 1.0),
        ("pyannote_webhook_body_bytes_bucket{le=\"65536\"}", 0.0),
        ("pyannote_webhook_body_bytes_bucket{le=\"262144\"}", 1.0),
        ("pyannote_webhook_body_bytes_sum", f64::from(length)),
        (
            "pyannote_webhook_verification_seconds_bucket{le=\"0.25\"}",
            1.0,
        ),
        (
            "pyannote_webhook_successful_events_total{kind=\"diarization\"}",
            1.0,
        ),
        ("pyannote_webhook_in_flight_bytes", 0.0),
    ] {
        assert_eq!(server.metric(series), value, "{series}");
    }
}

#[test]
fn metrics_are_summed_up_as_json() {
    let server = Server::start();
    for number in 0..3 {
        let post = Post::new(bodies::status_only(&bodies::job(number)));
        assert_eq!(post.send(server.address).status, 200);
    }
    let forged = Post::signed_with("whs_guess", bodies::status_only("b"), 0);
    assert_eq!(forged.send(server.address).status, 401);
    server.settle();

    let page = get(server.address, "/metrics", "application/json");
    assert_eq!(page.status, 200);
    assert!(page.head.contains("content-type: application/json"));
    assert!(page.head.contains("vary: accept"));
    let summary = json!({
        "processed_webhooks": 3,
        "failed_verifications": 1,
        "successful_events": 3,
        "verification_success_rate": 0.75,
    });
    assert_eq!(serde_json::from_str::<Value>(&page.body).unwrap(), summary);
    for accept in [
        "*/*",
        "text/plain, application/json",
        "application/openmetrics-text",
    ] {
        let page = get(server.address, "/metrics", accept);
        assert!(page.head.contains("content-type: text/plain"), "{accept}");
    }
}
