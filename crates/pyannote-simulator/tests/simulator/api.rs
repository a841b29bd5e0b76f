use std::time::Duration;

use pyannote_simulator::{Config, RateLimitStyle};
use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};

use crate::simulated::{Simulated, open, poll, secret};

const AUDIO: &str = "https://example.com/a.wav";

#[tokio::test]
async fn any_api_key_is_accepted_and_a_missing_key_is_401() {
    let simulated = Simulated::start(|config| config).await;
    let (status, answer) = simulated.get("/v1/test").await;
    assert_eq!(status, 200);
    assert!(answer["status"].is_string() && answer["message"].is_string());

    let url = format!("{}/v1/test", simulated.simulator.url());
    let client = Client::builder().no_proxy().build().unwrap();
    for header in [None, Some("Bearer "), Some("Basic abc"), Some("abc")] {
        let request = client.get(&url);
        let request = match header {
            Some(header) => request.header("authorization", header),
            None => request,
        };
        let (status, answer) = open(request.send().await.unwrap()).await;
        assert_eq!(status, 401, "{header:?}");
        assert!(answer["message"].is_string());
    }
}

#[tokio::test]
async fn only_the_configured_api_key_is_accepted() {
    let simulated = Simulated::start(|config| config.with_api_key("the key")).await;
    assert_eq!(simulated.get("/v1/test").await.0, 401);
    let url = format!("{}/v1/test", simulated.simulator.url());
    let request = Client::builder().no_proxy().build().unwrap().get(url);
    assert_eq!(
        request
            .bearer_auth("the key")
            .send()
            .await
            .unwrap()
            .status(),
        200
    );
}

#[tokio::test]
async fn requests_over_the_rate_limit_are_429_until_the_window_moves_on() {
    let simulated = Simulated::start(|config| {
        // A minute takes 2 s.
        config
            .with_rate_limit(3)
            .with_rate_limit_style(RateLimitStyle::Shared)
            .with_time_scale(30.0)
    })
    .await;
    for remaining in ["2", "1", "0"] {
        let response = simulated.send(Method::GET, "/v1/test", None).await;
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["x-ratelimit-limit"], "3");
        assert_eq!(response.headers()["x-ratelimit-remaining"], remaining);
        assert!(!response.headers().contains_key("x-ratelimit-reset"));
        assert!(!response.headers().contains_key("retry-after"));
    }
    // The limit is for all endpoints.
    let response = simulated.send(Method::GET, "/v2/jobs", None).await;
    assert_eq!(response.status(), 429);
    let headers = response.headers().clone();
    assert_eq!(headers["x-ratelimit-limit"], "3");
    assert_eq!(headers["x-ratelimit-remaining"], "0");
    let number = |name: &str| headers[name].to_str().unwrap().parse::<u64>().unwrap();
    let wait = number("retry-after");
    assert!((1..=2).contains(&wait), "{wait}");
    let now = std::time::SystemTime::now();
    let now = now.duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    assert!((now..=now + 3).contains(&number("x-ratelimit-reset")));
    let answer: Value = response.json().await.unwrap();
    assert!(answer["requestId"].is_string() && answer["message"].is_string());

    tokio::time::sleep(Duration::from_secs(wait)).await;
    assert_eq!(simulated.get("/v1/test").await.0, 200);
}

#[tokio::test]
async fn each_endpoint_has_its_own_window_with_headers_on_every_answer() {
    let simulated = Simulated::start(|config| {
        // A minute takes 2 s.
        config.with_rate_limit(2).with_time_scale(30.0)
    })
    .await;
    let audio = json!({ "url": AUDIO });
    let media = json!({ "url": "media://a" });
    let invalid = json!({ "url": "" });
    let endpoints = [
        ("/v1/diarize", "/v1/diarize", Some(&audio), 200),
        ("/v1/identify", "/v1/identify", Some(&invalid), 400),
        ("/v1/voiceprint", "/v1/voiceprint", Some(&audio), 200),
        ("/v1/media/input", "/v1/media/output", Some(&media), 201),
        ("/v1/jobs/none", "/v1/jobs/none", None, 404),
        ("/v1/test", "/v1/test", None, 200),
    ];
    let number = |response: &reqwest::Response, name: &str| {
        let value = response.headers().get(name)?;
        value.to_str().unwrap().parse::<u64>().ok()
    };
    for (first, second, body, expected) in endpoints {
        let method = match body {
            Some(_) => Method::POST,
            None => Method::GET,
        };
        let mut wait = 0;
        for (path, remaining, status) in
            [(first, 1, expected), (second, 0, expected), (first, 0, 429)]
        {
            let response = simulated.send(method.clone(), path, body.cloned()).await;
            assert_eq!(response.status(), status, "{path}");
            assert_eq!(number(&response, "x-ratelimit-limit"), Some(2), "{path}");
            let left = number(&response, "x-ratelimit-remaining");
            assert_eq!(left, Some(remaining), "{path}");
            let reset = number(&response, "x-ratelimit-reset").unwrap();
            assert!((1..=2).contains(&reset), "{path}: {reset}");
            let retry_after = number(&response, "retry-after");
            assert_eq!(retry_after, (status == 429).then_some(reset), "{path}");
            wait = reset;
        }
        if first == "/v1/test" {
            tokio::time::sleep(Duration::from_secs(wait)).await;
            assert_eq!(simulated.get(first).await.0, 200);
        }
    }
}

#[tokio::test]
async fn default_rate_limit_of_job_reads_is_300_a_minute() {
    let simulated = Simulated::start(|_| Config::new(secret())).await;
    let mut statuses = Vec::new();
    for path in ["/v1/jobs/none", "/v2/jobs"].into_iter().cycle().take(301) {
        statuses.push(simulated.get(path).await.0.as_u16());
    }
    assert_eq!(statuses[..4], [404, 200, 404, 200]);
    assert!(!statuses[..300].contains(&429));
    assert_eq!(statuses[300], 429);
    // No other endpoint is affected.
    assert_eq!(simulated.get("/v1/test").await.0, 200);
}

#[tokio::test]
async fn default_rate_limit_is_100_a_minute() {
    let simulated = Simulated::start(|_| Config::new(secret())).await;
    let mut statuses = Vec::new();
    for _ in 0..101 {
        statuses.push(simulated.get("/v1/test").await.0);
    }
    assert_eq!(statuses[..100], [StatusCode::OK; 100]);
    assert_eq!(statuses[100], 429);
}

#[tokio::test]
async fn job_is_created_then_running_then_succeeded() {
    let simulated = Simulated::start(|config| {
        config
            .with_time_scale(200.0)
            .with_job_time(Duration::from_secs(400))
    })
    .await;
    let (status, answer) = simulated.post("/v1/diarize", json!({ "url": AUDIO })).await;
    assert_eq!(status, 200);
    let id = answer["jobId"].as_str().unwrap().to_owned();
    assert_eq!(answer, json!({ "jobId": id, "status": "created" }));

    let path = format!("/v1/jobs/{id}");
    let mut seen = Vec::new();
    poll("the end of the job", async || {
        let (status, job) = simulated.get(&path).await;
        assert_eq!((status, &job["jobId"]), (StatusCode::OK, &json!(id)));
        assert!(job["createdAt"].is_string() && job["updatedAt"].is_string());
        let status = job["status"].as_str().unwrap().to_owned();
        assert_eq!(job.get("output").is_some(), status == "succeeded");
        if seen.last() != Some(&status) {
            seen.push(status.clone());
        }
        status == "succeeded"
    })
    .await;
    assert_eq!(seen, ["created", "running", "succeeded"]);
}

#[tokio::test]
async fn unknown_job_is_404() {
    let simulated = Simulated::start(|config| config).await;
    let (status, answer) = simulated.get("/v1/jobs/none").await;
    assert_eq!(status, 404);
    assert!(answer["message"].is_string());
    assert_eq!(simulated.get("/v3/jobs").await.0, 404);
    assert_eq!(simulated.get("/v1/diarize").await.0, 405);
}

#[tokio::test]
async fn jobs_are_listed_in_pages_newest_first() {
    let simulated = Simulated::start(|config| config).await;
    let mut ids = Vec::new();
    for _ in 0..12 {
        ids.push(
            simulated
                .submit("/v1/voiceprint", json!({ "url": AUDIO }))
                .await,
        );
    }
    for id in &ids {
        simulated.done(id).await;
    }
    ids.reverse();
    let listed = |page: &Value| -> Vec<String> {
        let items = page["items"].as_array().unwrap().iter();
        items
            .map(|item| item["id"].as_str().unwrap().to_owned())
            .collect()
    };

    let (status, page) = simulated.get("/v2/jobs").await;
    assert_eq!(status, 200);
    assert_eq!(listed(&page), ids[..10]);
    let keys: Vec<_> = page["items"][0].as_object().unwrap().keys().collect();
    assert_eq!(keys, ["createdAt", "id", "status"]);
    let cursor = page["nextCursor"].as_str().unwrap();
    let (_, page) = simulated.get(&format!("/v2/jobs?cursor={cursor}")).await;
    assert_eq!(listed(&page), ids[10..]);
    assert_eq!(page["nextCursor"], Value::Null);

    let (_, page) = simulated.get("/v2/jobs?limit=12&status=succeeded").await;
    assert_eq!((listed(&page), &page["nextCursor"]), (ids, &Value::Null));
    let (_, page) = simulated.get("/v2/jobs?status=failed").await;
    assert_eq!(page, json!({ "items": [], "nextCursor": null }));

    for (query, field) in [
        ("limit=0", "limit"),
        ("limit=101", "limit"),
        ("limit=x", "limit"),
        ("cursor=!", "cursor"),
        ("status=done", "status"),
    ] {
        let (status, answer) = simulated.get(&format!("/v2/jobs?{query}")).await;
        assert_eq!(
            (status, &answer["errors"][0]["field"]),
            (StatusCode::BAD_REQUEST, &json!(field))
        );
    }
}

#[tokio::test]
async fn invalid_submission_is_400_with_an_error_for_each_field() {
    let simulated = Simulated::start(|config| config).await;
    let print = json!([{ "label": "Ada", "voiceprint": "AAEC" }]);
    let with_label = |label: &str| json!([{ "label": label, "voiceprint": "AAEC" }]);
    let many: Vec<Value> = (0..51)
        .map(|n| json!({ "label": format!("L{n}"), "voiceprint": "A" }))
        .collect();
    for (call, change, fields) in [
        ("diarize", json!({ "url": null }), &["url"][..]),
        ("diarize", json!({ "url": 1 }), &["url", "url"]),
        ("diarize", json!({ "url": "ftp://example.com/a" }), &["url"]),
        ("diarize", json!({ "url": "media://" }), &["url"]),
        ("diarize", json!({ "url": "media://a b" }), &["url"]),
        (
            "diarize",
            json!({ "url": format!("media://{}", "a".repeat(248)) }),
            &["url"],
        ),
        ("diarize", json!({ "webhook": "example.com" }), &["webhook"]),
        (
            "diarize",
            json!({ "webhookStatusOnly": "yes" }),
            &["webhookStatusOnly"],
        ),
        ("diarize", json!({ "model": "precision-1" }), &["model"]),
        ("diarize", json!({ "numSpeakers": 0 }), &["numSpeakers"]),
        (
            "diarize",
            json!({ "numSpeakers": 2, "minSpeakers": 2 }),
            &["numSpeakers"],
        ),
        (
            "identify",
            json!({ "numSpeakers": 2, "maxSpeakers": 2 }),
            &["numSpeakers"],
        ),
        ("identify", json!({ "model": "community-1" }), &["model"]),
        ("voiceprint", json!({ "model": "community-1" }), &["model"]),
        (
            "identify",
            json!({ "voiceprints": [{ "label": "Ada", "voiceprint": "A".repeat(20_001) }] }),
            &["voiceprints[0].voiceprint"],
        ),
        (
            "diarize",
            json!({ "minSpeakers": 1.5, "maxSpeakers": "2" }),
            &["minSpeakers", "maxSpeakers"],
        ),
        (
            "diarize",
            json!({ "minSpeakers": 3, "maxSpeakers": 2 }),
            &["minSpeakers"],
        ),
        (
            "diarize",
            json!({ "confidence": 1, "exclusive": "x" }),
            &["exclusive", "confidence"],
        ),
        (
            "diarize",
            json!({ "transcription": true, "model": "community-1" }),
            &["transcription"],
        ),
        (
            "diarize",
            json!({ "transcriptionConfig": { "model": "whisper" } }),
            &["transcriptionConfig.model"],
        ),
        (
            "diarize",
            json!({ "transcriptionConfig": [] }),
            &["transcriptionConfig"],
        ),
        ("identify", json!({ "voiceprints": null }), &["voiceprints"]),
        ("identify", json!({ "voiceprints": [] }), &["voiceprints"]),
        ("identify", json!({ "voiceprints": many }), &["voiceprints"]),
        (
            "identify",
            json!({ "voiceprints": with_label("Speaker_1") }),
            &["voiceprints[0].label"],
        ),
        (
            "identify",
            json!({ "voiceprints": with_label(&"ä".repeat(101)) }),
            &["voiceprints[0].label"],
        ),
        (
            "identify",
            json!({ "voiceprints": [{}] }),
            &["voiceprints[0].label", "voiceprints[0].voiceprint"],
        ),
        (
            "identify",
            json!({ "matching": { "threshold": 100.5, "exclusive": 1 } }),
            &["matching.exclusive", "matching.threshold"],
        ),
        ("voiceprint", json!({ "url": "" }), &["url"]),
    ] {
        let mut body = json!({ "url": AUDIO, "voiceprints": print });
        let changes = change.as_object().unwrap().clone();
        body.as_object_mut().unwrap().extend(changes);
        let (status, answer) = simulated.post(&format!("/v1/{call}"), body).await;
        assert_eq!(status, 400, "{change}");
        assert!(answer["message"].is_string());
        let errors = answer["errors"].as_array().unwrap();
        let named: Vec<_> = errors
            .iter()
            .map(|error| error["field"].as_str().unwrap())
            .collect();
        assert_eq!(named, fields, "{change}");
        assert!(errors.iter().all(|error| error["message"].is_string()));
    }
    assert_eq!(simulated.simulator.jobs(), json!([]));
}

#[tokio::test]
async fn submissions_at_the_limits_are_accepted() {
    let simulated = Simulated::start(|config| config).await;
    let longest = json!([{ "label": "ä".repeat(100), "voiceprint": "A".repeat(20_000) }]);
    for (call, body) in [
        // The SDK sends null for what is not set.
        (
            "diarize",
            json!({ "url": AUDIO, "numSpeakers": null, "transcriptionConfig": null, "webhook": null }),
        ),
        (
            "diarize",
            json!({ "url": AUDIO, "minSpeakers": 2, "maxSpeakers": 2 }),
        ),
        (
            "diarize",
            json!({ "url": AUDIO, "model": "community-1", "anything": { "else": 1 } }),
        ),
        (
            "diarize",
            json!({ "url": AUDIO, "transcription": true, "transcriptionConfig": { "model": "faster-whisper-large-v3-turbo" } }),
        ),
        (
            "identify",
            json!({ "url": AUDIO, "voiceprints": longest, "matching": { "threshold": 0, "exclusive": false } }),
        ),
        (
            "voiceprint",
            json!({ "url": AUDIO, "numSpeakers": "ignored" }),
        ),
    ] {
        let (status, answer) = simulated.post(&format!("/v1/{call}"), body.clone()).await;
        assert_eq!(
            (status, &answer["status"]),
            (StatusCode::OK, &json!("created")),
            "{body}"
        );
    }
}

#[tokio::test]
async fn body_that_is_not_an_object_is_400() {
    let simulated = Simulated::start(|config| config).await;
    for body in [json!([]), json!("x"), Value::Null] {
        let (status, answer) = simulated.post("/v1/diarize", body).await;
        assert_eq!(
            (status, answer["errors"].as_array().unwrap().len()),
            (StatusCode::BAD_REQUEST, 1)
        );
    }
}
