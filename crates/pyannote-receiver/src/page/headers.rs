use std::io::Write;

use axum::{
    body::{Body, HttpBody, to_bytes},
    extract::Request,
    middleware::Next,
    response::{IntoResponse, Response},
};
use flate2::{Compression, write::GzEncoder};
use http::{
    HeaderMap, HeaderName, HeaderValue, StatusCode,
    header::{
        ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_ENCODING, CONTENT_LENGTH,
        CONTENT_SECURITY_POLICY, REFERRER_POLICY, VARY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
    },
};

/// Adds the headers that keep a browser from running, framing or storing what it gets.
pub(super) async fn add(request: Request, next: Next) -> Response {
    let may_compress = accepts_gzip(request.headers());
    let mut response = next.run(request).await;
    if may_compress {
        response = compress(response).await;
    }
    let headers = response.headers_mut();
    headers
        .entry(CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
    headers.append(VARY, HeaderValue::from_static("accept-encoding, cookie"));
    for (name, value) in HEADERS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

fn accepts_gzip(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(ACCEPT_ENCODING).iter();
    let mut accepted = accepted.filter_map(|value| value.to_str().ok());
    accepted.any(|value| value.split(',').any(|name| name.trim() == "gzip"))
}

/// Compresses a page, a picture or a file of the page. Downloads are sent as they are, because they may be large.
///
/// The length of a compressed page does not reveal its token, because no other site can request a page of this session.
async fn compress(response: Response) -> Response {
    let exact = response.body().size_hint().exact();
    let is_small = exact.is_some_and(|bytes| (MIN_COMPRESSED..MAX_COMPRESSED).contains(&bytes));
    if !is_small || response.headers().contains_key(CONTENT_DISPOSITION) {
        return response;
    }
    let (mut head, body) = response.into_parts();
    let limit = usize::try_from(MAX_COMPRESSED).unwrap_or(usize::MAX);
    let Ok(body) = to_bytes(body, limit).await else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    let compressed = gzip.write_all(&body).and_then(|()| gzip.finish());
    let body = match compressed {
        Ok(compressed) => {
            let headers = &mut head.headers;
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
            headers.remove(CONTENT_LENGTH);
            Body::from(compressed)
        }
        Err(_) => Body::from(body),
    };
    Response::from_parts(head, body)
}

const MIN_COMPRESSED: u64 = 1 << 10;
const MAX_COMPRESSED: u64 = 4 << 20;

const HEADERS: [(HeaderName, &str); 6] = [
    (
        CONTENT_SECURITY_POLICY,
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; media-src 'self' blob:; \
         form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    ),
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (X_FRAME_OPTIONS, "DENY"),
    (REFERRER_POLICY, "same-origin"),
    (
        HeaderName::from_static("cross-origin-opener-policy"),
        "same-origin",
    ),
    (
        HeaderName::from_static("cross-origin-resource-policy"),
        "same-origin",
    ),
];
