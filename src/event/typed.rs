use std::{error::Error, fmt, marker::PhantomData, ops::Deref};

use super::{Diarization, Identification, Kind, Output, Status, Voiceprint, WebhookEvent};

/// A succeeded [`WebhookEvent`] that is known to carry an output of type `T`.
///
/// It derefs to the output and is as cheap to clone as the event.
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
/// let typed = TypedEvent::<Voiceprint>::try_from(event)?;
/// assert_eq!(typed.voiceprint, "AAAA");
/// assert_eq!(typed.event().job_id(), "a");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct TypedEvent<T> {
    event: WebhookEvent,
    output: PhantomData<fn() -> T>,
}

impl<T> TypedEvent<T> {
    /// Borrows the event.
    #[must_use]
    pub const fn event(&self) -> &WebhookEvent {
        &self.event
    }

    /// Returns the event.
    #[must_use]
    pub fn into_event(self) -> WebhookEvent {
        self.event
    }
}

impl<T: EventOutput> TryFrom<WebhookEvent> for TypedEvent<T> {
    type Error = WrongKind;

    fn try_from(event: WebhookEvent) -> Result<Self, WrongKind> {
        let succeeded = *event.status() == Status::Succeeded;
        let kind = event.kind().filter(|_| succeeded);
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

impl<T: EventOutput> Deref for TypedEvent<T> {
    type Target = T;

    fn deref(&self) -> &T {
        let output = self.event.output().and_then(T::from_output);
        output.expect("a typed event is only made of an event with such an output")
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
/// It is sealed: no other type can implement it.
pub trait EventOutput: sealed::Sealed + Sized + Send + Sync + 'static {
    /// The kind of such outputs.
    const KIND: Kind;

    /// Returns the output if it is of this type.
    fn from_output(output: &Output) -> Option<&Self>;
}

impl EventOutput for Diarization {
    const KIND: Kind = Kind::Diarization;

    fn from_output(output: &Output) -> Option<&Self> {
        output.as_diarization()
    }
}

impl EventOutput for Identification {
    const KIND: Kind = Kind::Identification;

    fn from_output(output: &Output) -> Option<&Self> {
        output.as_identification()
    }
}

impl EventOutput for Voiceprint {
    const KIND: Kind = Kind::Voiceprint;

    fn from_output(output: &Output) -> Option<&Self> {
        output.as_voiceprint()
    }
}

mod sealed {
    #[expect(unnameable_types, reason = "that nobody can name it is the seal")]
    pub trait Sealed {}

    impl Sealed for super::Diarization {}
    impl Sealed for super::Identification {}
    impl Sealed for super::Voiceprint {}
}

/// An event carries another kind of output than was wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WrongKind {
    wanted: Kind,
    kind: Option<Kind>,
}

impl WrongKind {
    /// Returns the kind that the event carries; `None` if it has no output or did not succeed.
    #[must_use]
    pub const fn kind(&self) -> Option<Kind> {
        self.kind
    }

    /// Returns the kind that was wanted.
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
