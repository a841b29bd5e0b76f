//! Files that the page loads, embedded in the program.

use std::sync::LazyLock;

use axum::{
    extract::Path,
    response::{IntoResponse, Response},
};
use http::{
    StatusCode,
    header::{CACHE_CONTROL, CONTENT_TYPE},
};
use sha2::{Digest, Sha256};

/// The name, the type and the content of each file.
const FILES: [(&str, &str, &str); 4] = [
    (
        "page.css",
        "text/css; charset=utf-8",
        include_str!("assets/page.css"),
    ),
    (
        "page.js",
        "text/javascript; charset=utf-8",
        include_str!("assets/page.js"),
    ),
    (
        "meeting.js",
        "text/javascript; charset=utf-8",
        include_str!("assets/meeting.js"),
    ),
    ("icon.svg", "image/svg+xml", include_str!("assets/icon.svg")),
];

/// A digest of all files, so that a browser may keep them.
static VERSION: LazyLock<String> = LazyLock::new(|| {
    let mut digest = Sha256::new();
    for (name, _, content) in FILES {
        digest.update(name);
        digest.update(content);
    }
    let digest = base16ct::lower::encode_string(&digest.finalize());
    digest.chars().take(16).collect()
});

/// Returns the address of a file.
pub(super) fn address(name: &str) -> String {
    format!("/page/assets/{}/{name}", *VERSION)
}

pub(super) async fn serve(Path((version, name)): Path<(String, String)>) -> Response {
    let file = FILES.iter().find(|(known, ..)| *known == name);
    match file.filter(|_| version == *VERSION) {
        Some((_, kind, content)) => {
            let keep = "public, max-age=31536000, immutable";
            ([(CONTENT_TYPE, *kind), (CACHE_CONTROL, keep)], *content).into_response()
        }
        None => StatusCode::NOT_FOUND.into_response(),
    }
}
