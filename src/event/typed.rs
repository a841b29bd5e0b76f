use std::{error::Error, fmt, marker::PhantomData};

use super::{
    diarization::Diarization,
    identification::Identification,
    output::{Kind, Output},
    status::Status,
    voiceprint::Voiceprint,
    webhook_event::WebhookEvent,
};

/// A succeeded [`WebhookEvent`] whose output is a `T`.
///
/// Cloning is as cheap as cloning the event.
///
/// ```
/// # use std::time::SystemTime;
/// use tower_pyannote::{Diarization, Kind, TypedEvent, Voiceprint, WebhookEvent, event::Delivery};
///
/// let body = r#"{"jobId": "a", "status": "succeeded", "output": {"voiceprint": "AAAA"}}"#;
/// let event = WebhookEvent::new(body.into(), Delivery::at(SystemTime::now()))?;
///
/// let wrong = TypedEvent::<Diarization>::try_from(event.clone()).unwrap_err();
/// assert_eq!(wrong.kind(), Some(Kind::Voiceprint));
///
/// let event = TypedEvent::<Voiceprint>::try_from(event)?;
/// assert_eq!(event.job_id(), "a");
/// assert_eq!(event.output().voiceprint, "AAAA");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct TypedEvent<T> {
    event: WebhookEvent,
    output: PhantomData<fn() -> T>,
}

impl<T> TypedEvent<T> {
    /// Returns the id of the job, which is never empty.
    #[must_use]
    pub fn job_id(&self) -> &str {
        self.event.job_id()
    }

    /// Returns the status of the job, which is always [`Status::Succeeded`].
    #[must_use]
    pub fn status(&self) -> &Status {
        self.event.status()
    }

    /// Returns the reference that was submitted with the job, as [`WebhookEvent::reference`] does.
    #[must_use]
    pub fn reference(&self) -> Option<&str> {
        self.event.reference()
    }

    /// Borrows the event, with all that is not part of the output.
    #[must_use]
    pub const fn webhook_event(&self) -> &WebhookEvent {
        &self.event
    }

    /// Returns the event.
    #[must_use]
    pub fn into_event(self) -> WebhookEvent {
        self.event
    }
}

impl<T: EventOutput> TypedEvent<T> {
    /// Borrows the output.
    #[must_use]
    pub fn output(&self) -> &T {
        self.event
            .output()
            .and_then(T::from_output)
            .expect("try_from checked the type of the output")
    }

    /// Returns the output.
    ///
    /// Moves the output out of the last clone of an event, and copies it while other clones exist. A
    /// [`HandlerRegistry`](crate::HandlerRegistry) keeps a clone while its handlers run.
    #[must_use]
    pub fn into_output(self) -> T {
        self.event
            .into_output()
            .and_then(T::from_owned)
            .expect("try_from checked the type of the output")
    }
}

impl<T: EventOutput> TryFrom<WebhookEvent> for TypedEvent<T> {
    type Error = WrongKind;

    fn try_from(event: WebhookEvent) -> Result<Self, WrongKind> {
        let kind = event.kind().filter(|_| event.is_succeeded());
        let output = event.output().filter(|_| kind == Some(T::KIND));
        if output.and_then(T::from_output).is_some() {
            return Ok(Self {
                event,
                output: PhantomData,
            });
        }
        let kind = kind.and(event.output()).map(Output::kind);
        Err(WrongKind {
            wanted: T::KIND,
            kind,
        })
    }
}

impl<T> Clone for TypedEvent<T> {
    fn clone(&self) -> Self {
        Self {
            event: self.event.clone(),
            output: PhantomData,
        }
    }
}

impl<T> fmt::Debug for TypedEvent<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TypedEvent").field(&self.event).finish()
    }
}

/// A type of output that a [`TypedEvent`] can carry: [`Diarization`], [`Identification`] or
/// [`Voiceprint`].
///
/// This trait is sealed: no other type can implement it.
pub trait EventOutput: sealed::Sealed + Clone + Send + Sync + 'static {
    /// The kind of such outputs.
    const KIND: Kind;

    /// Borrows the output if it is of this type.
    fn from_output(output: &Output) -> Option<&Self>;

    /// Returns the output if it is of this type.
    fn from_owned(output: Output) -> Option<Self>;
}

impl EventOutput for Diarization {
    const KIND: Kind = Kind::Diarization;

    fn from_output(output: &Output) -> Option<&Self> {
        output.as_diarization()
    }

    fn from_owned(output: Output) -> Option<Self> {
        match output {
            Output::Diarization(output) => Some(output),
            _ => None,
        }
    }
}

impl EventOutput for Identification {
    const KIND: Kind = Kind::Identification;

    fn from_output(output: &Output) -> Option<&Self> {
        output.as_identification()
    }

    fn from_owned(output: Output) -> Option<Self> {
        match output {
            Output::Identification(output) => Some(output),
            _ => None,
        }
    }
}

impl EventOutput for Voiceprint {
    const KIND: Kind = Kind::Voiceprint;

    fn from_output(output: &Output) -> Option<&Self> {
        output.as_voiceprint()
    }

    fn from_owned(output: Output) -> Option<Self> {
        match output {
            Output::Voiceprint(output) => Some(output),
            _ => None,
        }
    }
}

mod sealed {
    #[expect(
        unnameable_types,
        reason = "the trait is sealed because nobody can name this one"
    )]
    pub trait Sealed {}

    impl Sealed for super::Diarization {}
    impl Sealed for super::Identification {}
    impl Sealed for super::Voiceprint {}
}

/// The event has another kind of output than the wanted one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WrongKind {
    wanted: Kind,
    kind: Option<Kind>,
}

impl WrongKind {
    /// Returns the kind of the event's output; `None` if the event has no output or its job did not succeed.
    #[must_use]
    pub const fn kind(&self) -> Option<Kind> {
        self.kind
    }

    /// Returns the wanted kind.
    #[must_use]
    pub const fn wanted(&self) -> Kind {
        self.wanted
    }
}

impl fmt::Display for WrongKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let found = self.kind.map_or("none", Kind::as_str);
        write!(
            f,
            "wanted an event with output {}, got {found}",
            self.wanted
        )
    }
}

impl Error for WrongKind {}
