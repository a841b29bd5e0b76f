use std::ops::Range;

use jiff::Timestamp;

use super::{
    EventError, Kind, Status, Text,
    json::{Checker, NotJson, Observer, string, string_lossy},
};

/// What an event must know of its body before the output is typed.
pub(super) struct Envelope {
    pub(super) job_id: Text,
    pub(super) status: Status,
    /// What the keys of the output tell, and where in the body it stands.
    pub(super) output: Option<(Kind, Range<usize>)>,
    pub(super) error: Option<Text>,
    pub(super) warning: Option<Text>,
    pub(super) created_at: Option<Timestamp>,
    pub(super) updated_at: Option<Timestamp>,
}

impl Envelope {
    pub(super) fn output_kind(&self) -> Option<Kind> {
        self.output.as_ref().map(|(kind, _)| *kind)
    }
}

/// An envelope in the making: checks the syntax of a body and finds its fields in one pass, which may begin while the body
/// is still arriving.
#[derive(Debug, Default)]
pub(crate) struct EnvelopeScan {
    checker: Checker,
    fields: Fields,
    /// How much of the body has been looked at.
    scanned: usize,
    /// How much of it is UTF-8; what is not scanned yet may be half a character.
    utf8: usize,
    fault: Option<EventError>,
}

impl EnvelopeScan {
    /// How much of the body has been scanned.
    #[cfg(feature = "layer")]
    pub(crate) fn scanned(&self) -> usize {
        self.scanned
    }

    /// Scans on to the end of `body`, which is all that has come of it so far.
    pub(crate) fn advance(&mut self, body: &[u8]) {
        while self.scanned < body.len() {
            // Each stretch stays in the cache from one check to the other.
            let end = body.len().min(self.scanned + STRETCH);
            self.stretch(body.get(..end).unwrap_or_default());
            self.scanned = end;
        }
    }

    /// Scans what has not been scanned yet of the whole body, and reads the envelope.
    pub(super) fn finish(mut self, body: &[u8]) -> Result<Envelope, EventError> {
        self.advance(body);
        if self.utf8 < body.len() {
            return Err(EventError::NotUtf8);
        }
        if let Some(fault) = self.fault {
            return Err(fault);
        }
        if !self.checker.is_whole() {
            return Err(EventError::Syntax);
        }
        if self.checker.root() != Some(b'{') {
            return Err(EventError::NotAnObject);
        }
        self.fields.into_envelope(body)
    }

    fn stretch(&mut self, body: &[u8]) {
        if self.fault == Some(EventError::NotUtf8) {
            return;
        }
        let new = body.get(self.utf8..).unwrap_or_default();
        match std::str::from_utf8(new) {
            Ok(text) => self.utf8 += text.len(),
            // The rest of a character may be on its way.
            Err(error) if error.error_len().is_none() => self.utf8 += error.valid_up_to(),
            Err(_) => self.fault = Some(EventError::NotUtf8),
        }
        if self.fault.is_none() {
            let text = body.get(..self.utf8).unwrap_or_default();
            let checked = self.checker.advance(text, &mut self.fields);
            self.fault = checked.err().map(|NotJson| EventError::Syntax);
        }
    }
}

/// Where the values of the known fields of a body stand.
#[derive(Debug, Default)]
struct Fields {
    /// Which field the last key at the root is, and which the last in the output.
    root: Option<Field>,
    inner: Option<Field>,
    job_id: Place,
    status: Place,
    error: Place,
    warning: Place,
    created_at: Place,
    updated_at: Place,
    output: Place,
    in_output: OutputFields,
}

/// Where a value stands in the body.
type Place = Option<Range<usize>>;

/// Where the values stand that decide the kind of an output or concern every event.
#[derive(Debug, Default)]
struct OutputFields {
    voiceprint: Place,
    identification: Place,
    voiceprints: Place,
    diarization: Place,
    error: Place,
    warning: Place,
}

#[derive(Clone, Copy, Debug)]
enum Field {
    JobId,
    Status,
    Error,
    Warning,
    CreatedAt,
    UpdatedAt,
    Output,
    Voiceprint,
    Identification,
    Voiceprints,
    Diarization,
}

impl Observer for Fields {
    fn key(&mut self, depth: usize, key: &[u8]) -> bool {
        let key = std::str::from_utf8(key).unwrap_or_default();
        let key = string(key).unwrap_or_default();
        let (last, field) = match depth {
            1 => (&mut self.root, Field::of_root(&key)),
            _ => (&mut self.inner, Field::of_output(&key)),
        };
        *last = field;
        field.is_some()
    }

    fn value_begins(&mut self, depth: usize, with: u8) -> bool {
        let output = depth == 1 && matches!(self.root, Some(Field::Output));
        if output {
            self.in_output = OutputFields::default();
        }
        output && with == b'{'
    }

    fn value(&mut self, depth: usize, at: Range<usize>) {
        let place = match depth {
            1 => self.root.and_then(|field| self.root_place(field)),
            _ => self.inner.and_then(|field| self.in_output.place(field)),
        };
        if let Some(place) = place {
            *place = Some(at);
        }
    }
}

impl Field {
    fn of_root(key: &str) -> Option<Self> {
        match key {
            "jobId" => Some(Self::JobId),
            "status" => Some(Self::Status),
            "output" => Some(Self::Output),
            "error" => Some(Self::Error),
            "warning" => Some(Self::Warning),
            "createdAt" => Some(Self::CreatedAt),
            "updatedAt" => Some(Self::UpdatedAt),
            _ => None,
        }
    }

    fn of_output(key: &str) -> Option<Self> {
        match key {
            "voiceprint" => Some(Self::Voiceprint),
            "identification" => Some(Self::Identification),
            "voiceprints" => Some(Self::Voiceprints),
            "diarization" => Some(Self::Diarization),
            "error" => Some(Self::Error),
            "warning" => Some(Self::Warning),
            _ => None,
        }
    }
}

impl Fields {
    fn root_place(&mut self, field: Field) -> Option<&mut Place> {
        match field {
            Field::JobId => Some(&mut self.job_id),
            Field::Status => Some(&mut self.status),
            Field::Error => Some(&mut self.error),
            Field::Warning => Some(&mut self.warning),
            Field::CreatedAt => Some(&mut self.created_at),
            Field::UpdatedAt => Some(&mut self.updated_at),
            Field::Output => Some(&mut self.output),
            _ => None,
        }
    }

    fn into_envelope(self, body: &[u8]) -> Result<Envelope, EventError> {
        let bytes = |place: &Place| body.get(place.clone()?);
        // The whole body was checked, so that this fails for none.
        let read = |place| std::str::from_utf8(bytes(place)?).ok();
        let inner = &self.in_output;
        let job_id = read(&self.job_id)
            .and_then(string)
            .filter(|id| !id.is_empty());
        let output = match bytes(&self.output) {
            None | Some(b"null") => None,
            Some([b'{', ..]) => Some(inner.kind(bytes)),
            Some(_) => Some(Kind::Unknown),
        };
        let text = |json| string_lossy(json).map(|text| Text::from(&*text));
        let inner_first = |inner, outer| {
            let inner = read(inner).and_then(text);
            inner.or_else(|| read(outer).and_then(text))
        };
        let date = |json: &str| string(json)?.parse().ok();
        Ok(Envelope {
            job_id: Text::from(&*job_id.ok_or(EventError::MissingJobId)?),
            status: read(&self.status).map_or_else(|| Status::from(""), status),
            error: inner_first(&inner.error, &self.error),
            warning: inner_first(&inner.warning, &self.warning),
            created_at: read(&self.created_at).and_then(date),
            updated_at: read(&self.updated_at).and_then(date),
            output: output.zip(self.output),
        })
    }
}

impl OutputFields {
    fn place(&mut self, field: Field) -> Option<&mut Place> {
        match field {
            Field::Voiceprint => Some(&mut self.voiceprint),
            Field::Identification => Some(&mut self.identification),
            Field::Voiceprints => Some(&mut self.voiceprints),
            Field::Diarization => Some(&mut self.diarization),
            Field::Error => Some(&mut self.error),
            Field::Warning => Some(&mut self.warning),
            _ => None,
        }
    }

    fn kind<'a>(&self, bytes: impl Fn(&Place) -> Option<&'a [u8]>) -> Kind {
        let voiceprint = Shape::of(bytes(&self.voiceprint), b'"');
        let identification = Shape::of(bytes(&self.identification), b'[');
        let voiceprints = Shape::of(bytes(&self.voiceprints), b'[');
        let diarization = Shape::of(bytes(&self.diarization), b'[');
        match (voiceprint, identification, voiceprints, diarization) {
            (Shape::Odd, ..) | (_, Shape::Odd, ..) => Kind::Unknown,
            (_, _, Shape::Odd, _) | (_, _, _, Shape::Odd) => Kind::Unknown,
            (Shape::Foreseen, ..) => Kind::Voiceprint,
            (_, Shape::Foreseen, ..) | (_, _, Shape::Foreseen, _) => Kind::Identification,
            (_, _, _, Shape::Foreseen | Shape::Null) => Kind::Diarization,
            (_, _, _, Shape::Absent) => Kind::Unknown,
        }
    }
}

/// What a deciding key has for a value.
enum Shape {
    Absent,
    Null,
    Foreseen,
    Odd,
}

impl Shape {
    fn of(value: Option<&[u8]>, foreseen: u8) -> Self {
        match value {
            None => Self::Absent,
            Some(b"null") => Self::Null,
            Some(value) if value.first() == Some(&foreseen) => Self::Foreseen,
            Some(_) => Self::Odd,
        }
    }
}

/// Returns a status of any shape by name.
fn status(json: &str) -> Status {
    match string_lossy(json) {
        Some(status) => Status::from(&*status),
        None if json == "null" => Status::from(""),
        None => Status::Other(json.chars().take(LONGEST_STATUS).collect::<String>().into()),
    }
}

const LONGEST_STATUS: usize = 64;

/// How much is scanned at once.
const STRETCH: usize = 32 << 10;
