use std::sync::Arc;

use axum::{
    Json, Router,
    extract::{Path, RawQuery, State},
    http::{
        HeaderMap, Method, StatusCode, Uri,
        header::{CONTENT_TYPE, HOST},
    },
    middleware,
    response::{IntoResponse, Response},
    routing::{get, post, put},
};
use bytes::Bytes;
use serde_json::{Map, Value, json};

use crate::{
    answer::{self, FieldError},
    fields::{Fields, key_of_media},
    guard, media, output, pages, run,
    state::Simulated,
    submission::{Submission, Task},
};

/// Returns the service of the API and of the simulator's own pages.
pub(crate) fn router(simulated: Arc<Simulated>) -> Router {
    let api = Router::new()
        .route("/v1/test", get(test))
        .route("/v1/diarize", post(submit))
        .route("/v1/identify", post(submit))
        .route("/v1/voiceprint", post(submit))
        .route("/v1/jobs/{id}", get(job))
        .route("/v2/jobs", get(jobs))
        .route("/v1/media/input", post(presign))
        .route("/v1/media/output", post(presign))
        .route_layer(middleware::from_fn_with_state(
            Arc::clone(&simulated),
            guard::guard,
        ));
    let media = put(media::exchange)
        .get(media::exchange)
        .with_state(Arc::clone(&simulated.media));
    Router::new()
        .route("/simulator/media", media)
        .route("/simulator/jobs", get(all_jobs))
        .merge(api)
        .fallback(async || answer::message(StatusCode::NOT_FOUND, "no such endpoint"))
        .method_not_allowed_fallback(async || {
            answer::message(
                StatusCode::METHOD_NOT_ALLOWED,
                "the endpoint does not support this method",
            )
        })
        .with_state(simulated)
}

async fn test() -> Json<Value> {
    Json(json!({ "status": "OK", "message": "The API key is valid" }))
}

async fn submit(State(simulated): State<Arc<Simulated>>, uri: Uri, body: Bytes) -> Response {
    let task = match uri.path() {
        "/v1/diarize" => Task::Diarize,
        "/v1/identify" => Task::Identify,
        _ => Task::Voiceprint,
    };
    let submission = match object(&body).and_then(|object| Submission::read(task, &object)) {
        Ok(submission) => submission,
        Err(errors) => return answer::invalid(&errors),
    };
    let missing = match key_of_media(&submission.url) {
        Some(key) => !simulated.media.holds(key).await,
        None => false,
    };
    let id = run::start(&simulated, submission, missing);
    run::delivered_first(&simulated, &id).await;
    Json(json!({ "jobId": id, "status": "created" })).into_response()
}

async fn job(State(simulated): State<Arc<Simulated>>, Path(id): Path<String>) -> Response {
    let job = simulated.jobs().by_id(&id).cloned();
    let Some(job) = job else {
        return answer::message(StatusCode::NOT_FOUND, "no such job");
    };
    match output::of_api(&simulated, &job).await {
        Ok(body) => ([(CONTENT_TYPE, "application/json")], body).into_response(),
        Err(error) => answer::message(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
    }
}

async fn jobs(State(simulated): State<Arc<Simulated>>, RawQuery(query): RawQuery) -> Response {
    match pages::Page::read(&query.unwrap_or_default()) {
        Ok(page) => Json(page.of(&simulated.jobs())).into_response(),
        Err(errors) => answer::invalid(&errors),
    }
}

async fn presign(
    State(simulated): State<Arc<Simulated>>,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let key = match object(&body).and_then(|object| media_key(&object)) {
        Ok(key) => key,
        Err(errors) => return answer::invalid(&errors),
    };
    let method = match uri.path() {
        "/v1/media/input" => Method::PUT,
        _ => Method::GET,
    };
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    let host = host.unwrap_or("127.0.0.1");
    let url = format!("http://{host}{}", simulated.media.presign(&method, &key));
    (StatusCode::CREATED, Json(json!({ "url": url }))).into_response()
}

async fn all_jobs(State(simulated): State<Arc<Simulated>>) -> Json<Value> {
    Json(simulated.all_jobs())
}

fn object(body: &[u8]) -> Result<Map<String, Value>, Vec<FieldError>> {
    serde_json::from_slice(body).map_err(|_| {
        let (field, message) = (String::new(), "the body must be a JSON object".to_owned());
        vec![FieldError { field, message }]
    })
}

fn media_key(object: &Map<String, Value>) -> Result<String, Vec<FieldError>> {
    let mut fields = Fields::new(object);
    let key = fields.media_key("url");
    fields.finish()?;
    Ok(key.unwrap_or_default().to_owned())
}
