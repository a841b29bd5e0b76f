//! The paths that the receiver serves.

pub(crate) const WEBHOOK: &str = "/webhook";
pub(crate) const INDEX: &str = "/";
pub(crate) const LIVE: &str = "/livez";
pub(crate) const READY: &str = "/readyz";
pub(crate) const HEALTH: &str = "/health";
pub(crate) const METRICS: &str = "/metrics";

/// The method, the path and the purpose of an endpoint.
pub(crate) type Endpoint = (&'static str, &'static str, &'static str);

/// The endpoints of a receiver with one listener. It also serves the probes.
pub(crate) const SHARED: &[Endpoint] = &[PUBLIC, STATUS_PAGE, HEALTH_CHECK, METRICS_PAGE];

/// The endpoints of the private listener.
pub(crate) const PRIVATE: &[Endpoint] = &[
    STATUS_PAGE,
    ("GET", LIVE, "200 while the process answers"),
    (
        "GET",
        READY,
        "200 if deliveries can be accepted, else 503, also while the receiver stops",
    ),
    HEALTH_CHECK,
    METRICS_PAGE,
];

/// The endpoint of the public listener.
pub(crate) const PUBLIC: Endpoint = ("POST", WEBHOOK, "receives pyannoteAI's webhooks");

const STATUS_PAGE: Endpoint = ("GET", INDEX, "status page, as HTML or JSON");
const HEALTH_CHECK: Endpoint = (
    "GET",
    HEALTH,
    "200 if the inbox and the storage accept writes, else 503",
);
const METRICS_PAGE: Endpoint = ("GET", METRICS, "metrics, as Prometheus text or JSON");
