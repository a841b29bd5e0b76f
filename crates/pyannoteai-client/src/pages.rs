use crate::client::Client;
use crate::error::ClientError;
use crate::job::JobPage;
use crate::request::ListJobs;

/// The pages of a list of jobs, from [`Client::job_pages`].
///
/// # Example: all jobs, newest first
///
/// ```no_run
/// use pyannoteai_client::{Client, ClientError, ListJobs};
///
/// # async fn list(client: Client) -> Result<(), ClientError> {
/// let mut pages = client.job_pages(ListJobs::new().with_limit(100)?);
/// while let Some(page) = pages.next().await? {
///     for job in page.items {
///         println!("{} {}", job.job_id, job.status);
///     }
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[must_use]
pub struct JobPages {
    client: Client,
    next_list: Option<ListJobs>,
}

impl Client {
    /// Reads the list of jobs page by page, beginning with the page that `list` asks for.
    pub fn job_pages(&self, list: ListJobs) -> JobPages {
        JobPages::new(self.clone(), list)
    }
}

impl JobPages {
    pub(crate) fn new(client: Client, list: ListJobs) -> Self {
        let next_list = Some(list);
        Self { client, next_list }
    }

    /// Reads the next page. Returns `None` after the last.
    ///
    /// # Errors
    ///
    /// As [`Client::jobs`]. The next call then reads the same page again.
    pub async fn next(&mut self) -> Result<Option<JobPage>, ClientError> {
        let Some(list) = &self.next_list else {
            return Ok(None);
        };
        let page = self.client.jobs(list).await?;
        if page.next_cursor.is_some() && page.next_cursor.as_ref() == list.cursor() {
            return Err(ClientError::decode("the list of jobs repeats a cursor"));
        }
        let next_list = |cursor| list.clone().with_cursor(cursor);
        self.next_list = page.next_cursor.clone().map(next_list);
        Ok(Some(page))
    }
}
