use std::{fmt, sync::Arc};

use tower_pyannote::{Kind, Status, WebhookEvent};

/// Selects the events that a [`Forward`](crate::Forward) or a [`Relay`](crate::Relay) passes on. Default: all.
///
/// An event passes if every condition accepts it. An event that does not pass counts as handled.
///
/// # Example: diarizations that succeeded, of one tenant
///
/// ```
/// use tower_pyannote::{Kind, Status, WebhookEvent};
/// use tower_pyannote_forward::EventFilter;
///
/// let filter = EventFilter::new()
///     .with_kinds([Some(Kind::Diarization)])
///     .with_statuses([Status::Succeeded])
///     .add_condition(|event: &WebhookEvent| event.job_id().starts_with("tenant-7-"));
/// # let _ = filter;
/// ```
#[derive(Clone, Default)]
#[must_use]
pub struct EventFilter {
    kinds: Option<Vec<Option<Kind>>>,
    statuses: Option<Vec<Status>>,
    references: Option<Vec<String>>,
    conditions: Vec<Arc<Condition>>,
}

type Condition = dyn Fn(&WebhookEvent) -> bool + Send + Sync;

impl EventFilter {
    /// Creates a filter that accepts every event.
    pub fn new() -> Self {
        Self::default()
    }

    /// Accepts only events of jobs of these kinds; `None` stands for a job whose kind is not known. Default: all kinds.
    ///
    /// The kind is [`WebhookEvent::job_kind`]. An event of a failed or canceled job, and one without output, has a kind
    /// only behind an inbox that recorded the submission. Add `None` to get these events in any case.
    pub fn with_kinds(mut self, kinds: impl IntoIterator<Item = Option<Kind>>) -> Self {
        self.kinds = Some(kinds.into_iter().collect());
        self
    }

    /// Accepts only events with these statuses. Default: all statuses.
    pub fn with_statuses(mut self, statuses: impl IntoIterator<Item = Status>) -> Self {
        self.statuses = Some(statuses.into_iter().collect());
        self
    }

    /// Accepts only events of jobs with these references. Default: all references, and none.
    ///
    /// The reference is [`WebhookEvent::reference`]. It is known only behind an inbox that recorded the submission.
    pub fn with_references<R: Into<String>>(
        mut self,
        references: impl IntoIterator<Item = R>,
    ) -> Self {
        self.references = Some(references.into_iter().map(Into::into).collect());
        self
    }

    /// Accepts only events for which `condition` returns true, beside the other conditions.
    pub fn add_condition(
        mut self,
        condition: impl Fn(&WebhookEvent) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.conditions.push(Arc::new(condition));
        self
    }

    /// Returns whether the filter accepts `event`.
    #[must_use]
    pub fn accepts(&self, event: &WebhookEvent) -> bool {
        let kind = event.job_kind();
        self.kinds
            .as_ref()
            .is_none_or(|kinds| kinds.contains(&kind))
            && self
                .statuses
                .as_ref()
                .is_none_or(|statuses| statuses.contains(event.status()))
            && self.references.as_ref().is_none_or(|references| {
                let reference = event.reference();
                reference.is_some_and(|reference| references.iter().any(|one| one == reference))
            })
            && self.conditions.iter().all(|accepts| accepts(event))
    }
}

impl fmt::Debug for EventFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventFilter")
            .field("kinds", &self.kinds)
            .field("statuses", &self.statuses)
            .field("references", &self.references)
            .field("conditions", &self.conditions.len())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use tower_pyannote::event::Delivery;

    use super::*;

    fn event(kind: Option<Kind>, status: &str) -> WebhookEvent {
        let body = format!(r#"{{"jobId":"job-1","status":"{status}"}}"#);
        let delivery = Delivery::at(SystemTime::now()).with_job_kind(kind);
        WebhookEvent::new(body.into(), delivery).unwrap()
    }

    #[test]
    fn event_passes_if_all_conditions_accept_it() {
        let all = EventFilter::new();
        let diarization = || EventFilter::new().with_kinds([Some(Kind::Diarization)]);
        let failed = |filter: EventFilter| filter.with_statuses([Status::Failed]);
        let job = |name: &'static str| move |event: &WebhookEvent| event.job_id() == name;
        let cases = [
            ("no condition", all.clone(), None, "succeeded", true),
            (
                "no condition, unknown status",
                all.clone(),
                None,
                "odd",
                true,
            ),
            (
                "kind",
                diarization(),
                Some(Kind::Diarization),
                "failed",
                true,
            ),
            (
                "other kind",
                diarization(),
                Some(Kind::Voiceprint),
                "failed",
                false,
            ),
            ("no kind", diarization(), None, "failed", false),
            (
                "no kind, wanted",
                all.clone().with_kinds([None]),
                None,
                "failed",
                true,
            ),
            (
                "no kinds wanted",
                all.clone().with_kinds([]),
                None,
                "failed",
                false,
            ),
            ("status", failed(all.clone()), None, "failed", true),
            ("other status", failed(all.clone()), None, "canceled", false),
            (
                "kind, other status",
                failed(diarization()),
                Some(Kind::Diarization),
                "canceled",
                false,
            ),
            (
                "condition",
                all.clone().add_condition(job("job-1")),
                None,
                "failed",
                true,
            ),
            (
                "second condition refuses",
                all.clone()
                    .add_condition(job("job-1"))
                    .add_condition(job("job-2")),
                None,
                "failed",
                false,
            ),
        ];
        for (name, filter, kind, status, expected) in cases {
            assert_eq!(filter.accepts(&event(kind, status)), expected, "{name}");
        }
    }

    #[test]
    fn event_passes_if_its_reference_is_listed() {
        let event = |reference: Option<&str>| {
            let delivery = Delivery::at(SystemTime::now())
                .with_reference(reference.map(tower_pyannote::event::Text::from));
            let body = r#"{"jobId":"job-1","status":"failed"}"#;
            WebhookEvent::new(body.into(), delivery).unwrap()
        };
        let filter = EventFilter::new().with_references(["a", "b"]);
        assert!(filter.accepts(&event(Some("b"))));
        assert!(!filter.accepts(&event(Some("ab"))));
        assert!(!filter.accepts(&event(None)));
        assert!(EventFilter::new().accepts(&event(None)));
    }
}
