//! The extractors in an axum router, under the layer.

#![cfg(feature = "axum")]

use axum::body::Body;
use axum::extract::FromRequestParts;
use axum::response::IntoResponse;
use axum::{Router, routing::post};
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::BodyExt;
use tower::ServiceExt;
use tower_pyannote::{
    Diarization, Identification, PyannoteSignatureLayer, TypedEvent, Voiceprint, WebhookEvent,
    axum::{AckOthers, AckOthersRejection, MissingEvent, TypedEventRejection},
    event::Delivery,
    layer::Rejection,
};

use tower_pyannote_test_support::delivery::{clock, now, request, secret};
use tower_pyannote_test_support::observe::observe;
use tracing::Level;

const DIARIZATION: &str = r#"{"jobId":"d","status":"succeeded","output":{"diarization":[{"speaker":"SPEAKER_00","start":0,"end":1}]}}"#;
const IDENTIFICATION: &str = r#"{"jobId":"i","status":"succeeded","output":{"identification":[]}}"#;
const VOICEPRINT: &str = r#"{"jobId":"v","status":"succeeded","output":{"voiceprint":"AAAA"}}"#;
const FAILED: &str = r#"{"jobId":"f","status":"failed"}"#;

fn app() -> Router {
    Router::new()
        .route(
            "/event",
            post(async |event: WebhookEvent| event.job_id().to_owned()),
        )
        .route(
            "/diarization",
            post(async |event: TypedEvent<Diarization>| {
                format!("{} turns", event.output().diarization.len())
            }),
        )
        .route(
            "/identification",
            post(async |_: TypedEvent<Identification>| "identification"),
        )
        .route(
            "/voiceprint",
            post(async |_: TypedEvent<Voiceprint>| "voiceprint"),
        )
        .route(
            "/perhaps",
            post(async |event: Option<TypedEvent<Diarization>>| match event {
                Some(_) => StatusCode::OK,
                None => StatusCode::ACCEPTED,
            }),
        )
        .route(
            "/ack-others",
            post(async |_: AckOthers<Diarization>| StatusCode::CREATED),
        )
        .layer(PyannoteSignatureLayer::new(secret()).with_clock(clock()))
}

async fn deliver(app: Router, path: &str, body: &'static str) -> (StatusCode, String) {
    let mut request: Request<Body> = request(body.as_bytes(), Body::from(body));
    *request.uri_mut() = path.parse().unwrap();
    answer(app.oneshot(request).await.unwrap()).await
}

async fn answer(response: Response<Body>) -> (StatusCode, String) {
    let status = response.status();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

#[tokio::test]
async fn extractors_accept_their_kind_and_answer_others_as_documented() {
    let table = [
        ("/event", DIARIZATION, 200, "d"),
        ("/event", FAILED, 200, "f"),
        ("/diarization", DIARIZATION, 200, "1 turns"),
        ("/diarization", VOICEPRINT, 422, ""),
        ("/diarization", FAILED, 422, ""),
        ("/identification", IDENTIFICATION, 200, "identification"),
        ("/identification", DIARIZATION, 422, ""),
        ("/voiceprint", VOICEPRINT, 200, "voiceprint"),
        ("/voiceprint", IDENTIFICATION, 422, ""),
        ("/perhaps", DIARIZATION, 200, ""),
        ("/perhaps", FAILED, 202, ""),
        ("/ack-others", DIARIZATION, 201, ""),
        ("/ack-others", VOICEPRINT, 200, ""),
        ("/ack-others", FAILED, 200, ""),
    ];
    for (path, body, status, text) in table {
        let (got, said) = deliver(app(), path, body).await;
        assert_eq!((got.as_u16(), &*said), (status, text), "{path} {body}");
    }
}

#[tokio::test]
async fn large_output_is_typed_by_the_extractor() {
    let turns = r#"{"speaker":"SPEAKER_01","start":1.5,"end":2.5},"#.repeat(40_000);
    let body = format!(
        r#"{{"jobId":"d","status":"succeeded","output":{{"diarization":[{}]}}}}"#,
        turns.trim_end_matches(',')
    );
    let (status, text) = deliver(app(), "/diarization", body.leak()).await;
    assert_eq!((status, &*text), (StatusCode::OK, "40000 turns"));
}

#[tokio::test]
async fn every_extractor_answers_500_without_the_layer() {
    let bare = Router::new()
        .route("/event", post(async |_: WebhookEvent| "called"))
        .route("/typed", post(async |_: TypedEvent<Diarization>| "called"))
        .route(
            "/perhaps",
            post(async |_: Option<TypedEvent<Diarization>>| "called"),
        )
        .route(
            "/ack-others",
            post(async |_: AckOthers<Diarization>| "called"),
        );
    for path in ["/event", "/typed", "/perhaps", "/ack-others"] {
        let request = Request::post(path).body(Body::empty()).unwrap();
        let (status, text) = answer(bare.clone().oneshot(request).await.unwrap()).await;
        assert_eq!((status.as_u16(), &*text), (500, ""), "{path}");
    }
}

#[tokio::test]
async fn rejections_have_the_status_of_their_response_and_a_text() {
    fn of(request: Request<()>) -> http::request::Parts {
        request.into_parts().0
    }
    let body = Bytes::from_static(VOICEPRINT.as_bytes());
    let event = WebhookEvent::new(body, Delivery::at(now())).unwrap();
    let mut voiceprint = of(Request::new(()));
    voiceprint.extensions.insert(event);
    let mut bare = of(Request::new(()));

    let missing = WebhookEvent::from_request_parts(&mut bare, &()).await;
    let missing: MissingEvent = missing.unwrap_err();
    let typed = TypedEvent::<Diarization>::from_request_parts(&mut voiceprint, &()).await;
    let typed: TypedEventRejection = typed.unwrap_err();
    let others = AckOthers::<Diarization>::from_request_parts(&mut voiceprint, &()).await;
    let others: AckOthersRejection = others.unwrap_err();
    let table = [
        (
            missing.status(),
            missing.body_text(),
            missing.into_response(),
        ),
        (typed.status(), typed.body_text(), typed.into_response()),
        (others.status(), others.body_text(), others.into_response()),
    ];
    let statuses = table.each_ref().map(|(status, ..)| status.as_u16());
    assert_eq!(statuses, [500, 422, 200]);
    for (status, text, response) in table {
        assert_eq!(answer(response).await, (status, String::new()), "{text}");
    }
    assert_eq!(
        missing.body_text(),
        "there is no webhook event: put PyannoteSignatureLayer around this route"
    );
    assert_eq!(typed.body_text(), others.body_text());
}

#[test]
fn missing_layer_is_logged_at_error_by_every_extractor() {
    let bare = Router::new()
        .route("/event", post(async |_: WebhookEvent| "called"))
        .route(
            "/perhaps",
            post(async |_: Option<TypedEvent<Diarization>>| "called"),
        )
        .route(
            "/ack-others",
            post(async |_: AckOthers<Diarization>| "called"),
        );
    for path in ["/event", "/perhaps", "/ack-others"] {
        let request = Request::post(path).body(Body::empty()).unwrap();
        let answered = bare.clone().oneshot(request);
        let (_, log) = observe(Level::ERROR, async move || {
            assert_eq!(answered.await.unwrap().status(), 500);
        });
        assert!(
            log.contains("put PyannoteSignatureLayer around this route"),
            "{path}: {log}"
        );
        assert!(log.contains(path), "{path}: {log}");
        assert_eq!(log.lines().count(), 1, "{log}");
    }
}

#[tokio::test]
async fn refusal_keeps_its_reason_in_the_extensions_through_the_router() {
    let request = Request::post("/event").body(Body::empty()).unwrap();
    let response = app().oneshot(request).await.unwrap();
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
    assert!(response.extensions().get::<Rejection>().is_some());
}
