use axum::{
    Json,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde::Serialize;
use serde_json::json;

/// An error in a field of a request.
#[derive(Debug, Serialize)]
pub(crate) struct FieldError {
    pub(crate) field: String,
    pub(crate) message: String,
}

/// Answers 400 with the errors.
pub(crate) fn invalid(errors: &[FieldError]) -> Response {
    let body = json!({ "message": "Invalid request", "errors": errors });
    (StatusCode::BAD_REQUEST, Json(body)).into_response()
}

/// Answers with a status and a message.
pub(crate) fn message(status: StatusCode, message: &str) -> Response {
    (status, Json(json!({ "message": message }))).into_response()
}

/// Answers with a status, a message and the id of the request.
pub(crate) fn refused(status: StatusCode, request_id: &str, message: &str) -> Response {
    let body = json!({ "requestId": request_id, "message": message });
    (status, Json(body)).into_response()
}
