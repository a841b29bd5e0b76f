//! The reconciler against the simulator over real sockets, with real databases under the inbox.

mod events;
mod failures;
mod fetch_output;
mod jobs;
mod own_data;
mod properties;
mod speakers;
mod store;
mod telemetry;
mod traces;
mod turns;
pub(crate) mod world;
