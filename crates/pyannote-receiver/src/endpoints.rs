//! The paths that the receiver serves.

pub(crate) const WEBHOOK: &str = "/webhook";
pub(crate) const INDEX: &str = "/";
pub(crate) const HEALTH: &str = "/health";
pub(crate) const METRICS: &str = "/metrics";

/// The method, the path and the purpose of each endpoint.
pub(crate) const ENDPOINTS: [(&str, &str, &str); 4] = [
    ("POST", WEBHOOK, "receives pyannoteAI's webhooks"),
    ("GET", INDEX, "status page, as HTML or JSON"),
    (
        "GET",
        HEALTH,
        "200 if the inbox and the storage accept writes, else 503",
    ),
    ("GET", METRICS, "metrics, as Prometheus text or JSON"),
];
