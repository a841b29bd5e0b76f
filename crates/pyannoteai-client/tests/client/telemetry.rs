use std::collections::BTreeMap;

use metrics_util::debugging::DebugValue;
use pyannoteai_client::Client;
use tower_pyannote_test_support::observe;
use tracing::Level;

use crate::server::{Reply, Server};
use crate::{KEY, builder, builder_at, diarize};

/// Runs calls against a server with these replies. Returns the counters and the log.
fn observe(
    replies: Vec<Reply>,
    calls: impl AsyncFnOnce(Client),
) -> (BTreeMap<String, u64>, String) {
    let (metrics, log) = observe::observe(Level::TRACE, async || {
        let server = Server::start(replies).await;
        calls(builder(&server).1.build().unwrap()).await;
    });
    let counters = metrics.into_iter().filter_map(|(name, value)| match value {
        DebugValue::Counter(count) => Some((name, count)),
        _ => None,
    });
    (counters.collect(), log)
}

#[test]
fn requests_retries_and_waits_are_counted() {
    let replies = vec![
        Reply::submitted(),
        Reply::new(500, ""),
        Reply::new(429, "").with_header("retry-after", 5),
        Reply::job("running"),
        Reply::new(402, ""),
    ];
    let (counters, _) = observe(replies, async |client| {
        client.diarize(diarize()).await.unwrap();
        client.job("job-1").await.unwrap();
        client.diarize(diarize()).await.unwrap_err();
    });
    let counters: Vec<_> = counters
        .iter()
        .map(|(name, count)| (&**name, *count))
        .collect();
    assert_eq!(
        counters,
        [
            ("pyannote_client_rate_limit_waits_total{}", 1),
            ("pyannote_client_requests_total{call=diarize,outcome=ok}", 1),
            (
                "pyannote_client_requests_total{call=diarize,outcome=payment_required}",
                1
            ),
            ("pyannote_client_requests_total{call=job,outcome=ok}", 1),
            (
                "pyannote_client_requests_total{call=job,outcome=rate_limited}",
                1
            ),
            ("pyannote_client_requests_total{call=job,outcome=server}", 1),
            ("pyannote_client_retries_total{call=job}", 2),
        ]
    );
}

#[test]
fn the_docs_of_the_metrics_list_every_metric() {
    let docs = include_str!("../../src/metrics.rs");
    for metric in pyannoteai_client::metrics::METRICS {
        let kind = format!("{:?}", metric.kind).to_lowercase();
        let row = format!("//! | `{}` | {kind} | {} | ", metric.name, metric.unit);
        let row = docs.lines().find(|line| line.starts_with(&row)).unwrap();
        let labels = metric.labels.iter().map(|label| format!("`{label}`"));
        let labels = labels.collect::<Vec<_>>().join(", ");
        assert!(row.contains(&labels), "{row}");
        assert!(row.ends_with(&format!("| {} |", metric.help)), "{row}");
    }
}

#[test]
fn a_request_that_is_sent_at_once_is_not_counted_as_a_wait() {
    let (metrics, _) = observe::observe(Level::TRACE, async || {
        let server = Server::start([Reply::job("running")]).await;
        let client = builder_at(server.url()).build().unwrap();
        client.job("job-1").await.unwrap();
    });
    let names: Vec<_> = metrics.keys().map(String::as_str).collect();
    assert_eq!(
        names,
        ["pyannote_client_requests_total{call=job,outcome=ok}"]
    );
}

#[test]
fn an_unconfirmed_submission_is_logged_as_a_warning() {
    let (_, log) = observe(vec![Reply::new(500, "")], async |client| {
        client.diarize(diarize()).await.unwrap_err();
    });
    let warning = log
        .lines()
        .find(|line| line.contains("was not confirmed"))
        .unwrap();
    assert!(
        warning.contains("WARN") && warning.contains("call=\"diarize\""),
        "{warning}"
    );
}

#[test]
fn logs_leave_out_the_api_key() {
    let replies = vec![
        Reply::submitted(),
        Reply::new(401, format!(r#"{{"message":"bad {KEY}"}}"#)),
        Reply::new(500, KEY),
        Reply::job("running"),
    ];
    let (_, log) = observe(replies, async |client| {
        client.diarize(diarize()).await.unwrap();
        client.diarize(diarize()).await.unwrap_err();
        client.job("job-1").await.unwrap();
    });
    assert!(log.contains("job submitted") && log.contains("retrying"));
    assert!(!log.contains(&KEY[3..]), "{log}");
}
