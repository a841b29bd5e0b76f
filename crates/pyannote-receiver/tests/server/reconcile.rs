//! The reference server with `--reconcile`, as a process.

use crate::{
    app::Odds,
    example,
    place::Place,
    process::{SECRET_NAME, Server, dir, wait_until},
    world::{SECRET, World, diarize},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_server_fetches_what_no_webhook_brought() {
    // To build it may take longer than the simulator keeps the output.
    example::binary("server");
    let place = Place::sqlite().unwrap();
    let world = World::losing(&place, Odds::Percent(100.0)).await;
    let job = world.client.diarize(diarize()).await.unwrap();
    world.rest().await;
    let url = world.simulator.url();
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
