//! The extractors in a real axum router, under the layer.

#![cfg(feature = "axum")]

use axum::body::Body;
use axum::{Router, routing::post};
use http::{Request, Response, StatusCode};
use http_body_util::BodyExt;
use tower::ServiceExt;
use tower_pyannote::{
    Diarization, Identification, PyannoteSignatureLayer, TypedEvent, Voiceprint, WebhookEvent,
    axum::AckOthers, layer::Rejection,
};

use tower_pyannote_test_support::delivery::{clock, request, secret};

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
async fn each_extractor_takes_its_kind_and_answers_others_as_its_docs_say() {
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
async fn a_large_output_is_typed_through_the_extractor_as_well() {
    let turns = r#"{"speaker":"SPEAKER_01","start":1.5,"end":2.5},"#.repeat(40_000);
    let body = format!(
        r#"{{"jobId":"d","status":"succeeded","output":{{"diarization":[{}]}}}}"#,
        turns.trim_end_matches(',')
    );
    let (status, text) = deliver(app(), "/diarization", body.leak()).await;
    assert_eq!((status, &*text), (StatusCode::OK, "40000 turns"));
}

#[tokio::test]
async fn without_the_layer_every_extractor_answers_500() {
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
async fn a_refusal_carries_its_reason_through_the_router() {
    let request = Request::post("/event").body(Body::empty()).unwrap();
    let response = app().oneshot(request).await.unwrap();
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
    assert!(response.extensions().get::<Rejection>().is_some());
}
