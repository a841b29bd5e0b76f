//! The receiver with `--reconcile`, as a process, against the simulator.

use std::time::Duration;

use pyannote_simulator::{Config, Fault, Faults, Odds, Simulator};
use pyannoteai_client::{Client, DiarizeRequest};
use tower_pyannote::WebhookSecret;
use tower_pyannote_test_support::{
    http::SECRET,
    process::{SECRET_NAME, Server, dir, wait_until},
    program,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reconciler_fetches_events_whose_webhook_was_lost() {
    // The build may take longer than the simulator keeps the output.
    program::binary("pyannote-receiver");
    let config = Config::new(WebhookSecret::new(SECRET).unwrap())
        .with_time_scale(1_000.0)
        .with_answer_timeout(Duration::from_secs(20))
        .with_faults(Faults::default().with(Fault::Lost, Odds::Percent(100.0)));
    let simulator = Simulator::start(config).await.unwrap();
    let url = simulator.url();
    let client = Client::builder("sk_example").with_base_url(&url).unwrap();
    let client = client.with_webhook("http://127.0.0.1:1/webhook").unwrap();
    let request = DiarizeRequest::new("https://example.com/a.wav").unwrap();
    let job = client.build().unwrap().diarize(request).await.unwrap();
    tokio::task::block_in_place(|| {
        wait_until("the end of all deliveries", || {
            simulator.jobs()[0]["delivery"] == "lost"
        });
    });
    let log = tokio::task::spawn_blocking(move || {
        let flags = ["--reconcile-grace", "0"];
        let env = [
            (SECRET_NAME, SECRET),
            ("WEBHOOK_SERVER_RECONCILE", "yes"),
            ("PYANNOTEAI_API_KEY", "sk_example"),
            ("PYANNOTEAI_API_URL", &url),
        ];
        let mut server = Server::start_in(dir(), &flags, &env);
        wait_until("the event", || server.kept().len() == 1);
        let body = server.kept().into_values().next().unwrap();
        let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(body["jobId"], *job.job_id);
        assert!(body["output"]["diarization"].is_array());
        wait_until("the count", || {
            server.metric(r#"pyannote_reconciler_passes_total{outcome="complete"}"#) == 1.0
        });
        let new = server.metric(r#"pyannote_reconciler_jobs_total{outcome="new"}"#);
        assert_eq!(new, 1.0);
        server.signal("TERM");
        assert!(server.wait().success());
        server.log()
    });
    let log = log.await.unwrap();
    assert!(log.contains("an event whose webhook did not come was fetched"));
    assert!(!log.contains("sk_example"), "{log}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn output_of_a_status_only_webhook_is_fetched_before_the_handlers_run() {
    program::binary("pyannote-receiver");
    let config = Config::new(WebhookSecret::new(SECRET).unwrap()).with_time_scale(1_000.0);
    let simulator = Simulator::start(config).await.unwrap();
    let url = simulator.url();
    let server = tokio::task::spawn_blocking({
        let url = url.clone();
        move || {
            let env = [
                (SECRET_NAME, SECRET),
                ("PYANNOTEAI_API_KEY", "sk_example"),
                ("PYANNOTEAI_API_URL", &url),
            ];
            Server::start_in(dir(), &["--fetch-output"], &env)
        }
    });
    let server = server.await.unwrap();
    let client = Client::builder("sk_example").with_base_url(&url).unwrap();
    let webhook = format!("http://{}/webhook", server.address);
    let client = client.with_webhook(webhook).unwrap().build().unwrap();
    let request = DiarizeRequest::new("https://example.com/a.wav").unwrap();
    let request = request.with_webhook_status_only(true);
    let job = client.diarize(request).await.unwrap();
    let body = tokio::task::spawn_blocking(move || {
        wait_until("the event", || server.kept().len() == 1);
        server.kept().into_values().next().unwrap()
    });
    let body: serde_json::Value = serde_json::from_slice(&body.await.unwrap()).unwrap();
    assert_eq!(body["jobId"], *job.job_id);
    assert_eq!(body["fetched"], true);
    assert!(body["output"]["diarization"].is_array());
}
