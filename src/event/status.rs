use std::fmt;

use super::text::Text;

/// The status of a job.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Status {
    /// The job succeeded. The event has an output, unless the job was submitted with `webhookStatusOnly`.
    Succeeded,
    /// The job failed; [`WebhookEvent::error`](crate::WebhookEvent::error) may have the reason.
    Failed,
    /// The job was canceled.
    Canceled,
    /// Any other status, by name.
    ///
    /// The name is empty if the status is absent or null. If the status is not a string, the name is its JSON, cut after 64
    /// characters.
    Other(Text),
}

impl Status {
    /// Returns the name of the status, as pyannoteAI writes it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Canceled => "canceled",
            Self::Other(status) => status,
        }
    }

    /// Returns whether the job has ended: succeeded, failed or canceled.
    ///
    /// Any other status counts as not ended: `created`, `pending`, `running`, and all that this version does not know.
    #[must_use]
    pub const fn is_terminal(&self) -> bool {
        match self {
            Self::Succeeded | Self::Failed | Self::Canceled => true,
            Self::Other(_) => false,
        }
    }
}

impl From<&str> for Status {
    fn from(status: &str) -> Self {
        match status {
            "succeeded" => Self::Succeeded,
            "failed" => Self::Failed,
            "canceled" => Self::Canceled,
            other => Self::Other(other.into()),
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_statuses_end_a_job() {
        let over = ["succeeded", "failed", "canceled"].map(Status::from);
        assert!(over.iter().all(Status::is_terminal));
        let under_way = ["", "created", "pending", "running", "Succeeded"].map(Status::from);
        assert!(!under_way.iter().any(Status::is_terminal));
    }
}
