use std::time::Duration;

/// The limits of one body.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) body: usize,
    pub(super) budget_wait: Duration,
    pub(super) read_timeout: Duration,
    pub(super) least_rate: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body: 128 << 20,
            budget_wait: Duration::from_secs(5),
            read_timeout: Duration::from_secs(30),
            least_rate: 16 << 10,
        }
    }
}
