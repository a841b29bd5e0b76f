use axum::{
    Form, Json,
    extract::{FromRequest, Request},
    response::{IntoResponse, Response},
};
use serde::{Deserialize, de::DeserializeOwned};

use super::{
    access::{Access, Visitor},
    error::Refused,
};

/// A form of the page with its token, so that no other site sent it.
#[derive(Debug)]
pub(super) struct ConfirmedForm<T> {
    pub(super) visitor: Visitor,
    pub(super) form: T,
}

#[derive(Deserialize)]
struct WithToken<T> {
    #[serde(default)]
    csrf: String,
    #[serde(flatten)]
    form: T,
}

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for ConfirmedForm<T> {
    type Rejection = Response;

    async fn from_request(request: Request, state: &S) -> Result<Self, Response> {
        let visitor = visitor(&request).map_err(|refused| refused.into_response_for(false))?;
        let form = Form::<WithToken<T>>::from_request(request, state).await;
        let Form(sent) = form.map_err(IntoResponse::into_response)?;
        match Access::is_csrf_token(&visitor, &sent.csrf) {
            true => Ok(Self {
                visitor,
                form: sent.form,
            }),
            false => Err(Refused::NoCsrfToken.into_response_for(false)),
        }
    }
}

/// A JSON body of a request with the header `x-csrf-token`, or of a program that sends the page's token.
#[derive(Debug)]
pub(super) struct ConfirmedJson<T> {
    pub(super) visitor: Visitor,
    pub(super) body: T,
}

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for ConfirmedJson<T> {
    type Rejection = Response;

    async fn from_request(request: Request, state: &S) -> Result<Self, Response> {
        let visitor = visitor(&request).map_err(|refused| refused.into_response_for(true))?;
        let token = request.headers().get("x-csrf-token");
        let token = token
            .and_then(|token| token.to_str().ok())
            .unwrap_or_default();
        if !visitor.is_program && !Access::is_csrf_token(&visitor, token) {
            return Err(Refused::NoCsrfToken.into_response_for(true));
        }
        let body = Json::<T>::from_request(request, state).await;
        let Json(body) = body.map_err(IntoResponse::into_response)?;
        Ok(Self { visitor, body })
    }
}

fn visitor(request: &Request) -> Result<Visitor, Refused> {
    let visitor = request.extensions().get::<Visitor>().cloned();
    visitor.ok_or(Refused::Unauthorized)
}
