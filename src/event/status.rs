use std::fmt;

use super::Text;

/// How a job ended.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Status {
    /// The job has an output, unless it was submitted with `webhookStatusOnly`.
    Succeeded,
    /// The job failed; [`WebhookEvent::error`](crate::WebhookEvent::error) may say why.
    Failed,
    /// The job was canceled.
    Canceled,
    /// Any other status, kept by name.
    ///
    /// The name is empty if the status is absent or null. If the status is not a string, the name is its JSON text, cut after
    /// 64 characters.
    Other(Text),
}

impl Status {
    /// Returns the status as pyannoteAI writes it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Canceled => "canceled",
            Self::Other(status) => status,
        }
    }

    /// Returns whether the job is over: succeeded, failed or canceled.
    ///
    /// It returns false for any other status, such as `created`, `pending` and `running`, and for a status that this version
    /// does not know.
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
