use std::fmt;

/// Where the body of a [`WebhookEvent`](crate::WebhookEvent) came from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Source {
    /// A signed delivery.
    #[default]
    Webhook,
    /// pyannoteAI's API: the webhook did not arrive, or had only the status.
    Api,
}

impl Source {
    /// Returns the name in logs and metadata: `webhook` or `api`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Webhook => "webhook",
            Self::Api => "api",
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
