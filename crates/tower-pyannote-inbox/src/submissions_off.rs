/// What a store can do for a client; without one, nothing.
pub(crate) trait SubmissionStore {}

impl<T> SubmissionStore for T {}

/// Implements [`SubmissionStore`] for a database of sqlx.
macro_rules! submission_store {
    ($store:ty) => {};
}

pub(crate) use submission_store;
