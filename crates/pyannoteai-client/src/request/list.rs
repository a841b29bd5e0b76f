use reqwest::Url;

use super::InvalidRequest;
use tower_pyannote::{Status, event::Text};

/// Which jobs to list, newest first.
///
/// # Example: the hundred newest failures
///
/// ```
/// use tower_pyannote::Status;
/// use pyannoteai_client::ListJobs;
///
/// let failures = ListJobs::new().with_limit(100)?.with_status(Status::Failed);
///
/// assert_eq!(ListJobs::new().with_limit(0).unwrap_err().field(), "limit");
/// # Ok::<(), pyannoteai_client::InvalidRequest>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use]
pub struct ListJobs {
    limit: Option<u8>,
    cursor: Option<Text>,
    status: Option<Status>,
}

impl ListJobs {
    /// Asks for the newest jobs of whatever status.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets how many jobs a page has, from 1 to 100. Default: 10.
    ///
    /// # Errors
    ///
    /// The limit is not from 1 to 100.
    pub fn with_limit(mut self, limit: u8) -> Result<Self, InvalidRequest> {
        if !(1..=100).contains(&limit) {
            return Err(InvalidRequest::new("limit", "is not from 1 to 100"));
        }
        self.limit = Some(limit);
        Ok(self)
    }

    /// Sets where to go on: [`JobPage::next_cursor`](crate::JobPage::next_cursor). Default: at the newest.
    pub fn with_cursor(mut self, cursor: impl Into<Text>) -> Self {
        self.cursor = Some(cursor.into());
        self
    }

    /// Sets the status that the jobs have. Default: any.
    pub fn with_status(mut self, status: Status) -> Self {
        self.status = Some(status);
        self
    }

    pub(crate) fn cursor(&self) -> Option<&Text> {
        self.cursor.as_ref()
    }

    pub(crate) fn write_to(&self, url: &mut Url) {
        let mut query = url.query_pairs_mut();
        if let Some(limit) = self.limit {
            query.append_pair("limit", &limit.to_string());
        }
        if let Some(cursor) = &self.cursor {
            query.append_pair("cursor", cursor);
        }
        if let Some(status) = &self.status {
            query.append_pair("status", status.as_str());
        }
        drop(query);
        if url.query() == Some("") {
            url.set_query(None);
        }
    }
}
