//! The headers of a delivery.

use http::{HeaderMap, HeaderName, HeaderValue};

pub(crate) static TIMESTAMP: HeaderName = HeaderName::from_static("x-request-timestamp");
pub(crate) static SIGNATURE: HeaderName = HeaderName::from_static("x-signature");
pub(crate) static RETRY_NUMBER: HeaderName = HeaderName::from_static("x-retry-num");
pub(crate) static RETRY_REASON: HeaderName = HeaderName::from_static("x-retry-reason");

/// Returns all values of a header, in order.
pub(crate) fn values<'a>(
    headers: &'a HeaderMap,
    name: &HeaderName,
) -> impl Iterator<Item = &'a [u8]> {
    headers.get_all(name).iter().map(HeaderValue::as_bytes)
}
