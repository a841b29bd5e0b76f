use std::fmt;

use super::text::Text;

/// The status of a job.
///
/// Webhooks are only sent for the last three. [`Pending`](Self::Pending), [`Created`](Self::Created) and
/// [`Running`](Self::Running) come from the API.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Status {
    /// The job waits for its turn.
    Pending,
    /// pyannoteAI accepted the job.
    Created,
    /// The job is being processed.
    Running,
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
            Self::Pending => "pending",
            Self::Created => "created",
            Self::Running => "running",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Canceled => "canceled",
            Self::Other(status) => status,
        }
    }

    /// Returns whether the job has ended: succeeded, failed or canceled.
    ///
    /// A status that this version does not know counts as not ended.
    #[must_use]
    pub const fn is_terminal(&self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Canceled)
    }
}

impl From<&str> for Status {
    fn from(status: &str) -> Self {
        match status {
            "pending" => Self::Pending,
            "created" => Self::Created,
            "running" => Self::Running,
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
        let ended = ["succeeded", "failed", "canceled"].map(Status::from);
        assert!(ended.iter().all(Status::is_terminal));
        let not_ended = ["", "created", "pending", "running", "Succeeded"].map(Status::from);
        assert!(!not_ended.iter().any(Status::is_terminal));
    }

    #[test]
    fn every_documented_status_has_a_variant_of_its_name() {
        let documented = [
            (Status::Pending, "pending"),
            (Status::Created, "created"),
            (Status::Running, "running"),
            (Status::Succeeded, "succeeded"),
            (Status::Failed, "failed"),
            (Status::Canceled, "canceled"),
        ];
        for (status, name) in documented {
            assert_eq!(status.as_str(), name);
            assert_eq!(Status::from(name), status);
        }
        assert_eq!(Status::from("Running"), Status::Other("Running".into()));
    }
}
