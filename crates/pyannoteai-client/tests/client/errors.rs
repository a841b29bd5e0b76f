use std::error::Error;
use std::time::Duration;

use pyannoteai_client::{ClientError, ClientErrorKind, DiarizeRequest, ListJobs};

use crate::server::{Reply, Server};
use crate::{KEY, builder, builder_at, client, diarize};

/// Returns the error of a submission that gets this reply.
async fn submit(reply: Reply) -> ClientError {
    let server = Server::start([reply]).await;
    let (_, builder) = builder(&server);
    let client = builder.with_max_retries(0).build().unwrap();
    client.diarize(diarize()).await.unwrap_err()
}

#[tokio::test]
async fn every_status_has_a_kind() {
    use ClientErrorKind::*;
    let cases = [
        (301, UnexpectedStatus, true),
        (400, Rejected, false),
        (401, Unauthorized, false),
        (402, PaymentRequired, false),
        (403, Forbidden, false),
        (404, NotFound, false),
        (408, UnexpectedStatus, true),
        (410, NotFound, false),
        (413, UnexpectedStatus, false),
        (422, UnexpectedStatus, false),
        (429, RateLimited, false),
        (500, Server, true),
        (502, Server, true),
        (503, Server, true),
        (504, Server, true),
    ];
    for (status, kind, may_have_been_submitted) in cases {
        let error = submit(Reply::new(status, "")).await;
        assert_eq!(error.kind(), kind, "{status}");
        assert_eq!(error.status().unwrap().as_u16(), status);
        assert_eq!(
            error.may_have_been_submitted(),
            may_have_been_submitted,
            "{status}"
        );
        assert_eq!((error.message(), error.request_id()), (None, None));
    }
}

#[tokio::test]
async fn a_rejection_has_the_invalid_fields() {
    let body = r#"{"message":"Validation failed","errors":[
        {"field":"url","message":"must be a URL"},{"field":"numSpeakers","message":"must be a number"}]}"#;
    let error = submit(Reply::new(400, body)).await;
    assert_eq!(error.message(), Some("Validation failed"));
    let fields: Vec<_> = error
        .field_errors()
        .iter()
        .map(|error| (&*error.field, &*error.message))
        .collect();
    assert_eq!(
        fields,
        [
            ("url", "must be a URL"),
            ("numSpeakers", "must be a number")
        ]
    );
    assert_eq!(
        error.to_string(),
        "the api rejected the request (status 400): Validation failed"
    );
}

#[tokio::test]
async fn an_error_has_the_request_id() {
    let body = r#"{"requestId":"r-1","message":"Subscription expired"}"#;
    let error = submit(Reply::new(402, body)).await;
    assert_eq!(error.kind(), ClientErrorKind::PaymentRequired);
    assert_eq!(error.request_id(), Some("r-1"));
    assert_eq!(
        error.to_string(),
        "the api asks for a payment: see the team's billing (status 402): Subscription expired (request r-1)"
    );
    let body = r#"{"requestId":"r-2","message":"slow down"}"#;
    let error = submit(Reply::new(429, body).with_header("retry-after", 7)).await;
    assert_eq!(error.request_id(), Some("r-2"));
    assert_eq!(error.retry_after(), Some(Duration::from_secs(7)));
}

#[tokio::test]
async fn errors_of_scopes_and_missing_jobs_say_what_to_do() {
    let error = submit(Reply::new(403, "")).await;
    assert_eq!(
        error.to_string(),
        "the api key lacks a scope: make one with jobs:read, jobs:write, media:read and media:write in the dashboard \
         (status 403)"
    );
    let server = Server::start([Reply::new(404, "")]).await;
    let error = client(&server).job("job-1").await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "not found: check the id and the api key's team; outputs are deleted 24 h after the end of a job (status 404)"
    );
}

#[tokio::test]
async fn an_error_redacts_the_api_key() {
    let body = format!(
        r#"{{"message":"bad key {KEY}","requestId":"{KEY}","errors":[{{"field":"{KEY}","message":"{KEY}"}}]}}"#
    );
    let error = submit(Reply::new(401, body)).await;
    assert_eq!(error.message(), Some("bad key [redacted]"));
    let shown = format!("{error} {error:?} {:?}", error.field_errors());
    assert!(!shown.contains(&KEY[3..]), "{shown}");
}

#[tokio::test]
async fn an_error_body_over_64_kib_is_ignored() {
    let body = format!(r#"{{"message":"{}"}}"#, "a".repeat(64 * 1024));
    let error = submit(Reply::new(400, body)).await;
    assert_eq!(
        (error.kind(), error.message()),
        (ClientErrorKind::Rejected, None)
    );
}

#[tokio::test]
async fn a_job_over_the_size_limit_is_too_large() {
    let body = format!(
        r#"{{"jobId":"job-1","status":"succeeded"}}{}"#,
        " ".repeat(1000)
    );
    let exact = Reply::new(200, &*body);
    let server = Server::start([exact, Reply::new(200, format!("{body} "))]).await;
    let client = builder(&server)
        .1
        .with_job_limit(body.len())
        .unwrap()
        .build()
        .unwrap();
    client.job("job-1").await.unwrap();
    let error = client.job("job-1").await.unwrap_err();
    assert_eq!(error.kind(), ClientErrorKind::TooLarge);
    assert_eq!(server.count(), 2, "a retry would be as large");
}

#[tokio::test]
async fn an_undocumented_response_is_a_decode_error() {
    for body in [
        "",
        "{}",
        "[]",
        r#"{"jobId":""}"#,
        r#"{"jobId":7}"#,
        "<html>",
    ] {
        let error = submit(Reply::new(200, body)).await;
        assert_eq!(error.kind(), ClientErrorKind::Decode, "{body}");
        assert!(error.may_have_been_submitted(), "{body}");
    }
    for body in [
        "",
        "{}",
        r#"{"jobId":"job-2","status":"succeeded"}"#,
        r#"{"jobId":"job-1""#,
    ] {
        let server = Server::start([Reply::new(200, body)]).await;
        let error = client(&server).job("job-1").await.unwrap_err();
        assert_eq!(error.kind(), ClientErrorKind::Decode, "{body}");
        assert!(!error.may_have_been_submitted());
    }
    let circle = r#"{"items":[],"nextCursor":"c"}"#;
    let server = Server::start([Reply::new(200, circle), Reply::new(200, circle)]).await;
    let mut pages = client(&server).job_pages(ListJobs::new());
    pages.next().await.unwrap();
    assert_eq!(
        pages.next().await.unwrap_err().kind(),
        ClientErrorKind::Decode
    );
}

#[tokio::test]
async fn an_invalid_request_is_not_sent_and_names_the_field() {
    let error = ClientError::from(DiarizeRequest::new("a.wav").unwrap_err());
    assert_eq!(error.kind(), ClientErrorKind::InvalidRequest);
    assert_eq!(error.field_errors()[0].field, "url");
    assert!(error.source().unwrap().to_string().starts_with("`url` "));
    let server = Server::start([]).await;
    let client = client(&server);
    for id in ["", ".", ".."] {
        let error = client.job(id).await.unwrap_err();
        assert_eq!(error.kind(), ClientErrorKind::InvalidRequest);
        assert_eq!(error.field_errors()[0].field, "jobId");
    }
    assert_eq!(server.count(), 0);
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let elsewhere = Server::start([Reply::submitted()]).await;
    for status in [301, 302, 303, 307, 308] {
        let to = Reply::new(status, "").with_header("location", elsewhere.url());
        let server = Server::start([to.clone(), to]).await;
        let client = builder_at(server.url()).build().unwrap();
        let error = client.job("job-1").await.unwrap_err();
        assert_eq!(error.kind(), ClientErrorKind::UnexpectedStatus, "{status}");
        client.diarize(diarize()).await.unwrap_err();
        assert_eq!(server.count(), 2);
    }
    assert_eq!(elsewhere.count(), 0);
}

#[tokio::test]
async fn sources_do_not_repeat_the_message_of_the_error() {
    let client = builder_at("http://127.0.0.1:1")
        .with_max_retries(0)
        .build()
        .unwrap();
    let error = client.test_key().await.unwrap_err();
    assert_eq!(error.kind(), ClientErrorKind::Connect);
    assert_eq!(error.to_string(), "could not connect");
    let source = error.source().unwrap().to_string();
    assert!(!source.contains("could not connect"), "{source}");
}
