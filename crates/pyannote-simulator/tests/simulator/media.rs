use std::fs;

use reqwest::{Client, StatusCode};
use serde_json::json;

use crate::simulated::{Simulated, poll};

fn client() -> Client {
    Client::builder().no_proxy().build().unwrap()
}

async fn presigned(simulated: &Simulated, call: &str, url: &str) -> String {
    let (status, answer) = simulated
        .post(&format!("/v1/media/{call}"), json!({ "url": url }))
        .await;
    assert_eq!(status, 201, "{answer}");
    answer["url"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn presigned_url_allows_one_method_for_one_key() {
    let simulated = Simulated::start(|config| config).await;
    let audio: Vec<u8> = (0..3_000_000_u32).map(|n| n.to_le_bytes()[0]).collect();
    let key = "media://team-1/../a_b.wav";
    let input = presigned(&simulated, "input", key).await;
    let output = presigned(&simulated, "output", key).await;
    assert_eq!(client().get(&output).send().await.unwrap().status(), 404);
    // The request has no API key.
    let put = client()
        .put(&input)
        .body(audio.clone())
        .send()
        .await
        .unwrap();
    assert_eq!(put.status(), 200);
    let got = client().get(&output).send().await.unwrap();
    assert_eq!(
        (got.status(), got.bytes().await.unwrap().to_vec()),
        (StatusCode::OK, audio.clone())
    );
    for (range, expected) in [
        ("bytes=0-0", Some(&audio[..1])),
        ("bytes=255-300", Some(&audio[255..301])),
        ("bytes=2999998-", Some(&audio[2_999_998..])),
        ("bytes=2999998-9999999", Some(&audio[2_999_998..])),
        ("bytes=3000000-", None),
    ] {
        let part = client()
            .get(&output)
            .header("range", range)
            .send()
            .await
            .unwrap();
        let status = expected.map_or(416, |_| 206);
        assert_eq!(part.status(), status, "{range}");
        let named = part.headers()["content-range"].to_str().unwrap().to_owned();
        assert!(named.ends_with("/3000000"), "{named}");
        assert_eq!(
            part.bytes().await.unwrap(),
            expected.unwrap_or_default(),
            "{range}"
        );
    }

    let other = output.replace("a_b.wav", "b_a.wav");
    let unsigned = output.split("&signature").next().unwrap();
    let later = output.replace("expires=1", "expires=2");
    assert_ne!(later, output);
    for address in [&input, &other, unsigned, &later] {
        assert_eq!(
            client().get(address).send().await.unwrap().status(),
            403,
            "{address}"
        );
    }
    assert_eq!(
        client()
            .put(&output)
            .body("x")
            .send()
            .await
            .unwrap()
            .status(),
        403
    );
}

#[tokio::test]
async fn invalid_media_keys_are_400() {
    let simulated = Simulated::start(|config| config).await;
    for url in [
        json!("media://"),
        json!("media://a b"),
        json!("https://a"),
        json!(null),
        json!(1),
    ] {
        for call in ["input", "output"] {
            let (status, answer) = simulated
                .post(&format!("/v1/media/{call}"), json!({ "url": url }))
                .await;
            assert_eq!(
                (status, &answer["errors"][0]["field"]),
                (StatusCode::BAD_REQUEST, &json!("url")),
                "{url}"
            );
        }
    }
}

#[tokio::test]
async fn job_fails_if_its_audio_was_not_uploaded() {
    let simulated = Simulated::start(|config| config).await;
    let body = json!({ "url": "media://a" });
    let id = simulated.submit("/v1/diarize", body.clone()).await;
    let done = simulated.done(&id).await;
    assert_eq!(done["status"], "failed");
    assert!(
        done["output"]["error"]
            .as_str()
            .unwrap()
            .contains("nothing was uploaded")
    );

    let input = presigned(&simulated, "input", "media://a").await;
    client().put(&input).body("audio").send().await.unwrap();
    let id = simulated.submit("/v1/diarize", body).await;
    assert_eq!(simulated.done(&id).await["status"], "succeeded");
}

#[tokio::test]
async fn uploads_outlive_the_simulator_only_in_a_data_directory() {
    let dir = tempfile::tempdir().unwrap();
    for (number, data_dir) in [Some(dir.path().to_owned()), None].into_iter().enumerate() {
        let start = async || {
            Simulated::start(|config| match &data_dir {
                Some(dir) => config.with_data_dir(dir),
                None => config,
            })
            .await
        };
        let first = start().await;
        let input = presigned(&first, "input", "media://a").await;
        client().put(&input).body("audio").send().await.unwrap();
        first.simulator.stop().await;
        let second = start().await;
        let output = presigned(&second, "output", "media://a").await;
        let expected = [200, 404][number];
        assert_eq!(
            client().get(&output).send().await.unwrap().status(),
            expected
        );
    }
    assert_eq!(fs::read_dir(dir.path().join("media")).unwrap().count(), 1);
}

#[tokio::test]
async fn upload_is_deleted_after_a_day() {
    let simulated = Simulated::start(|config| {
        // A day takes 0.43 s.
        config.with_time_scale(200_000.0)
    })
    .await;
    let input = presigned(&simulated, "input", "media://a").await;
    let output = presigned(&simulated, "output", "media://a").await;
    client().put(&input).body("audio").send().await.unwrap();
    poll("the deletion", async || {
        client().get(&output).send().await.unwrap().status() == 404
    })
    .await;
}
