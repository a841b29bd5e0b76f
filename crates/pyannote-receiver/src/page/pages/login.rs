//! The pages to log in and out.

use std::sync::Arc;

use axum::{
    Extension, Form,
    extract::State,
    response::{IntoResponse, Redirect, Response},
};
use http::{HeaderMap, HeaderValue, StatusCode, header::SET_COOKIE};
use serde::Deserialize;
use zeroize::Zeroizing;

use crate::page::{PageState, access::Visitor, confirmed::ConfirmedForm, html};

pub(in crate::page) async fn login(visitor: Option<Extension<Visitor>>) -> Response {
    match visitor {
        Some(_) => Redirect::to("/page").into_response(),
        None => html::login(false).into_response(),
    }
}

#[derive(Deserialize)]
pub(in crate::page) struct LoginForm {
    token: String,
}

pub(in crate::page) async fn log_in(
    State(state): State<Arc<PageState>>,
    headers: HeaderMap,
    Form(form): Form<LoginForm>,
) -> Response {
    let token = Zeroizing::new(form.token);
    match state.access.log_in(token.trim(), &headers).await {
        Some(cookie) => ([(SET_COOKIE, cookie)], Redirect::to("/page")).into_response(),
        None => (StatusCode::UNAUTHORIZED, html::login(true)).into_response(),
    }
}

#[derive(Debug, Deserialize)]
pub(in crate::page) struct Empty {}

pub(in crate::page) async fn log_out(
    State(state): State<Arc<PageState>>,
    headers: HeaderMap,
    sent: ConfirmedForm<Empty>,
) -> ([(http::HeaderName, HeaderValue); 1], Redirect) {
    let _ = sent;
    let cookie = state.access.log_out(&headers);
    ([(SET_COOKIE, cookie)], Redirect::to("/page/login"))
}
