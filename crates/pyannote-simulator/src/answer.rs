use axum::{
    Json,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde::Serialize;
use serde_json::json;

/// What is wrong with a field of a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct FieldError {
    pub(super) field: String,
    pub(super) message: String,
}

/// 400, with what is wrong field by field.
pub(super) fn invalid(errors: &[FieldError]) -> Response {
    let body = json!({ "message": "Invalid request", "errors": errors });
    (StatusCode::BAD_REQUEST, Json(body)).into_response()
}

/// A status and what to make of it.
pub(super) fn message(status: StatusCode, message: &str) -> Response {
    (status, Json(json!({ "message": message }))).into_response()
}

/// The same, with an id to complain with.
pub(super) fn refused(status: StatusCode, request_id: &str, message: &str) -> Response {
    let body = json!({ "requestId": request_id, "message": message });
    (status, Json(body)).into_response()
}
