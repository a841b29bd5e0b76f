use reqwest::Url;

use tower_pyannote::Status;
use tower_pyannote::event::Text;

use crate::invalid_request::InvalidRequest;

/// A request for a list of jobs, newest first.
///
/// # Example: the 100 newest failed jobs
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
    /// Requests the newest jobs of any status.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the number of jobs on a page, from 1 to 100. Default: 10.
    ///
    /// # Errors
    ///
    /// Returns [`InvalidRequest`] if the limit is not from 1 to 100.
    pub fn with_limit(mut self, limit: u8) -> Result<Self, InvalidRequest> {
        if !(1..=100).contains(&limit) {
            return Err(InvalidRequest::new("limit", "is not from 1 to 100"));
        }
        self.limit = Some(limit);
        Ok(self)
    }

    /// Sets where the page begins, with a [`JobPage::next_cursor`](crate::JobPage::next_cursor). Default: at the newest
    /// job.
    pub fn with_cursor(mut self, cursor: impl Into<Text>) -> Self {
        self.cursor = Some(cursor.into());
        self
    }

    /// Sets the status of the listed jobs. Default: any.
    ///
    /// The API refuses a status that it does not know, [`Status::Other`].
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
