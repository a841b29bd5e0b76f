use std::time::Duration;

use pyannote_simulator::{Fault, Faults, Odds};
use serde_json::{Value, json};
use tower_pyannote::verify::VerifyError;

use crate::{
    receiver::{Answer, Receiver, Seen},
    simulated::{Simulated, poll},
};

/// Runs one job with a fault, and returns the requests that the receiver saw, and the job.
async fn with(fault: Fault) -> (Vec<Seen>, Value) {
    let receiver = Receiver::start([Answer::Verify]).await;
    let simulated = Simulated::start(|config| {
        let config = config
            .with_faults(Faults::default().with(fault, Odds::First(1)))
            .with_answer_timeout(Duration::from_secs(2));
        match fault {
            // The body arrives at 50 bytes a second.
            Fault::SlowLoris => config.with_time_scale(50.0).with_job_time(Duration::ZERO),
            _ => config,
        }
    })
    .await;
    let id = simulated.diarize(&receiver.url()).await;
    let job = simulated.delivered(&id).await;
    assert_eq!(job["faults"], json!([fault.name()]));

    let next = simulated.diarize(&receiver.url()).await;
    let next = simulated.delivered(&next).await;
    assert_eq!(
        (&next["faults"], &next["delivery"]),
        (&json!([]), &json!("delivered"))
    );
    let mut seen = receiver.seen();
    let last = seen.pop().unwrap();
    assert_eq!((last.verify(), last.retry()), (Ok(()), (None, None)));
    (seen, job)
}

fn failures(job: &Value) -> Vec<&Value> {
    let attempts = job["attempts"].as_array().unwrap();
    attempts.iter().map(|attempt| &attempt["failure"]).collect()
}

#[tokio::test]
async fn lost_delivery_is_never_sent() {
    let (seen, job) = with(Fault::Lost).await;
    assert!(seen.is_empty());
    assert_eq!(job["delivery"], "lost");
    assert_eq!(failures(&job), ["connection_failed"; 4]);
    assert_eq!(job["attempts"][3]["sent"], false);
}

#[tokio::test]
async fn lost_first_delivery_arrives_as_a_retry() {
    let (seen, job) = with(Fault::LostFirst).await;
    assert_eq!(seen.len(), 1);
    assert_eq!(seen[0].retry(), (Some("1"), Some("connection_failed")));
    assert_eq!(
        (seen[0].verify(), &job["delivery"]),
        (Ok(()), &json!("delivered"))
    );
}

#[tokio::test]
async fn doubled_delivery_is_sent_twice() {
    let (seen, job) = with(Fault::Doubled).await;
    assert_eq!(seen.len(), 2);
    assert_eq!(seen[0].headers, seen[1].headers);
    assert_eq!(seen[0].body, seen[1].body);
    assert_eq!(seen[0].verify(), Ok(()));
    assert_eq!(job["attempts"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn late_delivery_waits_for_the_delay() {
    let receiver = Receiver::start([Answer::Verify]).await;
    let simulated = Simulated::start(|config| {
        config
            .with_faults(Faults::default().with(Fault::Late, Odds::First(1)))
            // 0.5 s.
            .with_late_by(Duration::from_secs(5_000))
    })
    .await;
    let begun = std::time::Instant::now();
    let id = simulated.diarize(&receiver.url()).await;
    simulated.delivered(&id).await;
    let seen = receiver.seen();
    assert_eq!(seen.len(), 1);
    assert!(seen[0].at - begun >= Duration::from_millis(500));
    assert_eq!((seen[0].verify(), seen[0].retry()), (Ok(()), (None, None)));
}

#[tokio::test]
async fn reordered_delivery_follows_that_of_the_next_job() {
    let receiver = Receiver::start([Answer::Verify]).await;
    let simulated = Simulated::start(|config| {
        config
            .with_faults(Faults::default().with(Fault::Reordered, Odds::First(1)))
            .with_time_scale(4.0)
            .with_job_time(Duration::ZERO)
    })
    .await;
    let first = simulated.diarize(&receiver.url()).await;
    poll("the end of the job", async || {
        simulated.job(&first)["status"] == "succeeded"
    })
    .await;
    let second = simulated.diarize(&receiver.url()).await;
    simulated.delivered(&first).await;
    let order: Vec<_> = receiver.seen().iter().map(Seen::job).collect();
    assert_eq!(order, [second, first]);
}

#[tokio::test]
async fn tampered_delivery_is_refused_and_retried_intact() {
    let (seen, job) = with(Fault::Tampered).await;
    assert_eq!(seen.len(), 2);
    assert_eq!(seen[0].verify(), Err(VerifyError::SignatureMismatch));
    assert_ne!(seen[0].job(), job["jobId"]);
    assert_eq!(seen[1].verify(), Ok(()));
    assert_eq!(seen[1].retry(), (Some("1"), Some("http_error")));
    assert_eq!(seen[0].body.len(), seen[1].body.len());
}

#[tokio::test]
async fn wrongly_signed_delivery_is_refused_and_retried_correctly() {
    let (seen, _) = with(Fault::WronglySigned).await;
    assert_eq!(seen.len(), 2);
    assert_eq!(seen[0].verify(), Err(VerifyError::SignatureMismatch));
    assert_eq!(seen[0].body, seen[1].body);
    assert_eq!(seen[1].verify(), Ok(()));
}

#[tokio::test]
async fn slow_loris_sends_a_little_until_the_timeout() {
    let (seen, job) = with(Fault::SlowLoris).await;
    assert_eq!(seen.len(), 2);
    assert!(!seen[0].whole && seen[1].whole);
    assert!(
        (1..=110).contains(&seen[0].body.len()),
        "{}",
        seen[0].body.len()
    );
    assert_eq!(seen[1].retry(), (Some("1"), Some("http_timeout")));
    assert_eq!(failures(&job), [&json!("http_timeout"), &Value::Null]);
}

#[tokio::test]
async fn cut_delivery_breaks_in_the_middle() {
    let (seen, job) = with(Fault::Cut).await;
    assert_eq!(seen.len(), 2);
    assert!(!seen[0].whole);
    assert_eq!(seen[0].body, seen[1].body[..seen[1].body.len() / 2]);
    assert_eq!(seen[1].retry(), (Some("1"), Some("connection_failed")));
    assert_eq!(failures(&job), [&json!("connection_failed"), &Value::Null]);
}

#[tokio::test]
async fn failed_and_canceled_jobs_are_delivered() {
    let receiver = Receiver::start([Answer::Verify]).await;
    let simulated = Simulated::start(|config| {
        let faults = Faults::default()
            .with(Fault::JobFails, Odds::First(8))
            .with(Fault::JobCanceled, Odds::First(1));
        config.with_faults(faults)
    })
    .await;
    let mut errors = Vec::new();
    for number in 0..9 {
        let id = simulated.diarize(&receiver.url()).await;
        simulated.delivered(&id).await;
        let status = if number < 8 { "failed" } else { "canceled" };
        let body: Value = serde_json::from_slice(&receiver.seen()[number].body).unwrap();
        assert_eq!(
            (&body["jobId"], &body["status"]),
            (&json!(id), &json!(status))
        );
        errors.push(body["output"]["error"].clone());
        let told = simulated.done(&id).await;
        assert_eq!(
            (&told["status"], &told["output"]),
            (&json!(status), &body["output"])
        );
    }
    // Some failures have an error, and some do not.
    assert!(errors[..8].iter().any(Value::is_string) && errors[..8].iter().any(Value::is_null));
}

#[tokio::test]
async fn counted_faults_occur_for_different_jobs_in_order() {
    let simulated = Simulated::start(|config| {
        let faults = Faults::default()
            .with(Fault::LostFirst, Odds::First(2))
            .with(Fault::Lost, Odds::First(1));
        config.with_faults(faults)
    })
    .await;
    for _ in 0..4 {
        simulated.diarize("http://127.0.0.1:9/").await;
    }
    let jobs = simulated.simulator.jobs();
    let faults: Vec<_> = jobs
        .as_array()
        .unwrap()
        .iter()
        .map(|job| &job["faults"])
        .collect();
    let (lost, first) = (json!(["lost"]), json!(["lost-first"]));
    assert_eq!(faults, [&lost, &first, &first, &json!([])]);
}

#[tokio::test]
async fn jobs_and_faults_depend_on_the_seed() {
    async fn jobs(seed: u64, doubled: Odds) -> Vec<(String, Vec<Value>)> {
        let simulated = Simulated::start(|config| {
            let faults = Faults::default()
                .with(Fault::Doubled, doubled)
                .with(Fault::Cut, Odds::Percent(30.0));
            config.with_seed(seed).with_faults(faults)
        })
        .await;
        for _ in 0..40 {
            simulated.diarize("http://127.0.0.1:9/").await;
        }
        let jobs = simulated.simulator.jobs();
        let jobs = jobs.as_array().unwrap().iter();
        jobs.map(|job| {
            let faults = job["faults"].as_array().unwrap().clone();
            (job["jobId"].as_str().unwrap().to_owned(), faults)
        })
        .collect()
    }

    let seven = jobs(7, Odds::Percent(50.0)).await;
    assert_eq!(seven, jobs(7, Odds::Percent(50.0)).await);
    assert_ne!(seven, jobs(8, Odds::Percent(50.0)).await);
    let count = |fault: &str| {
        seven
            .iter()
            .filter(|job| job.1.contains(&json!(fault)))
            .count()
    };
    assert!((10..=30).contains(&count("doubled")) && (4..=20).contains(&count("cut")));

    // The odds of one fault do not change the others.
    let cut = |jobs: &[(String, Vec<Value>)]| -> Vec<bool> {
        jobs.iter()
            .map(|job| job.1.contains(&json!("cut")))
            .collect()
    };
    assert_eq!(cut(&seven), cut(&jobs(7, Odds::Never).await));
}

#[tokio::test]
async fn api_errors_add_no_job() {
    let simulated = Simulated::start(|config| {
        let faults = Faults::default()
            .with(Fault::Api429, Odds::First(1))
            .with(Fault::Api5xx, Odds::First(2));
        config.with_faults(faults)
    })
    .await;
    let body = json!({ "url": "https://example.com/a.wav" });
    let mut statuses = Vec::new();
    for _ in 0..4 {
        let (status, answer) = simulated.post("/v1/diarize", body.clone()).await;
        if !status.is_success() {
            assert!(answer["requestId"].is_string() && answer["message"].is_string());
        }
        statuses.push(status.as_u16());
    }
    assert_eq!((statuses[0], statuses[3]), (429, 200));
    assert!(
        statuses[1..3]
            .iter()
            .all(|status| [500, 502, 503].contains(status)),
        "{statuses:?}"
    );
    assert_eq!(simulated.simulator.jobs().as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn stalled_api_still_adds_the_job() {
    let simulated = Simulated::start(|config| {
        config.with_faults(Faults::default().with(Fault::ApiStalls, Odds::First(1)))
    })
    .await;
    let body = json!({ "url": "https://example.com/a.wav" });
    tokio::select! {
        answer = simulated.post("/v1/diarize", body) => panic!("{answer:?}"),
        () = poll("the job", async || simulated.simulator.jobs()[0]["task"] == "diarize") => {}
    }
    assert_eq!(simulated.get("/v1/test").await.0, 200);
}

#[test]
fn odds_parse_from_counts_and_percentages() {
    for (odds, expected) in [
        ("0", Ok(Odds::First(0))),
        ("3", Ok(Odds::First(3))),
        ("0%", Ok(Odds::Percent(0.0))),
        ("12.5%", Ok(Odds::Percent(12.5))),
        ("100%", Ok(Odds::Percent(100.0))),
        ("101%", Err(())),
        ("-1", Err(())),
        ("0.5", Err(())),
        ("NaN%", Err(())),
        ("", Err(())),
        ("%", Err(())),
    ] {
        assert_eq!(odds.parse::<Odds>().map_err(|_| ()), expected, "{odds}");
    }
}
