//! The reconciler against the simulator over real sockets, with real databases under the inbox.
#![cfg(all(
    unix,
    feature = "client",
    feature = "inbox-sqlite",
    feature = "inbox-postgres",
    feature = "testing"
))]

#[path = "../../examples/simulator/app/mod.rs"]
#[allow(dead_code, reason = "the example uses it all")]
mod app;
mod events;
#[path = "../support/example.rs"]
mod example;
mod failures;
#[path = "../support/http.rs"]
mod http;
mod jobs;
#[path = "../support/observe.rs"]
mod observe;
#[path = "../inbox/place.rs"]
#[allow(dead_code, reason = "each test uses its part")]
mod place;
#[path = "../support/postgres.rs"]
mod postgres;
#[path = "../support/process.rs"]
mod process;
mod properties;
mod server;
mod store;
mod telemetry;
mod turns;
mod world;
