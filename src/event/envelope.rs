use std::ops::Range;

use jiff::Timestamp;

use super::{
    EventError, Kind, Status, Text,
    json::{Checker, NotJson, Observer, string, string_lossy},
};

/// What an event reads of its body before the output is typed.
pub(super) struct Envelope {
    pub(super) job_id: Text,
    pub(super) status: Status,
    /// The kind of the output by its keys, and its place in the body.
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

/// Checks the syntax of a body and finds the fields of its envelope, in one pass that can be done in slices.
#[derive(Debug, Default)]
pub(crate) struct EnvelopeScan {
    checker: Checker,
    fields: Fields,
    /// How many bytes of the body were checked.
    scanned: usize,
    /// How many of these are known to be UTF-8; the rest is the start of a character.
    utf8: usize,
    fault: Option<EventError>,
}

impl EnvelopeScan {
    /// Returns how many bytes of the body were checked.
    #[cfg(feature = "layer")]
    pub(crate) fn scanned(&self) -> usize {
        self.scanned
    }

    /// Checks on to the end of `body`, which begins with the bytes of earlier calls.
    pub(crate) fn advance(&mut self, body: &[u8]) {
        while self.scanned < body.len() {
            // A stretch is still in the cache when its syntax is checked after its encoding.
            let end = body.len().min(self.scanned + STRETCH);
            self.check(body.get(..end).unwrap_or_default());
            self.scanned = end;
        }
    }

    /// Checks the rest of `body`, which is now whole, and reads the envelope.
    ///
    /// # Errors
    ///
    /// Returns why the body is no event. An error of the encoding comes before one of the syntax.
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

    fn check(&mut self, body: &[u8]) {
        if self.fault == Some(EventError::NotUtf8) {
            return;
        }
        let new = body.get(self.utf8..).unwrap_or_default();
        match std::str::from_utf8(new) {
            Ok(text) => self.utf8 += text.len(),
            // The next stretch may have the rest of the character.
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

/// The places of the known fields of a body.
#[derive(Debug, Default)]
struct Fields {
    /// The fields of the last key at the root and of the last key in the output.
    last: [Option<Field>; 2],
    /// Whether the last key at the root is `output`.
    at_output: bool,
    job_id: Place,
    status: Place,
    error: Place,
    warning: Place,
    created_at: Place,
    updated_at: Place,
    output: Place,
    in_output: OutputFields,
}

/// The place of a value in the body, if its key was there.
type Place = Option<Range<usize>>;

/// Borrows the place of one field.
type Field = fn(&mut Fields) -> &mut Place;

/// The places of the fields of an output that decide its kind or concern every event.
#[derive(Debug, Default)]
struct OutputFields {
    voiceprint: Place,
    identification: Place,
    voiceprints: Place,
    diarization: Place,
    error: Place,
    warning: Place,
}

impl Observer for Fields {
    fn key(&mut self, depth: usize, key: &[u8]) -> bool {
        let key = std::str::from_utf8(key).unwrap_or_default();
        let key = string(key).unwrap_or_default();
        let field = field(depth, &key);
        if depth == 1 {
            self.at_output = key == "output";
        }
        if let Some(last) = self.last.get_mut(depth - 1) {
            *last = field;
        }
        field.is_some()
    }

    fn value_begins(&mut self, depth: usize, first: u8) -> bool {
        let is_output = depth == 1 && self.at_output;
        if is_output {
            // The last of two outputs counts.
            self.in_output = OutputFields::default();
        }
        is_output && first == b'{'
    }

    fn value(&mut self, depth: usize, at: Range<usize>) {
        let last = self.last.get(depth - 1).copied().flatten();
        if let Some(field) = last {
            *field(self) = Some(at);
        }
    }
}

fn field(depth: usize, key: &str) -> Option<Field> {
    let field: Field = match (depth, key) {
        (1, "jobId") => |fields| &mut fields.job_id,
        (1, "status") => |fields| &mut fields.status,
        (1, "output") => |fields| &mut fields.output,
        (1, "error") => |fields| &mut fields.error,
        (1, "warning") => |fields| &mut fields.warning,
        (1, "createdAt") => |fields| &mut fields.created_at,
        (1, "updatedAt") => |fields| &mut fields.updated_at,
        (2, "voiceprint") => |fields| &mut fields.in_output.voiceprint,
        (2, "identification") => |fields| &mut fields.in_output.identification,
        (2, "voiceprints") => |fields| &mut fields.in_output.voiceprints,
        (2, "diarization") => |fields| &mut fields.in_output.diarization,
        (2, "error") => |fields| &mut fields.in_output.error,
        (2, "warning") => |fields| &mut fields.in_output.warning,
        _ => return None,
    };
    Some(field)
}

impl Fields {
    fn into_envelope(self, body: &[u8]) -> Result<Envelope, EventError> {
        let bytes = |place: &Place| body.get(place.clone()?);
        // This never fails, because the whole body was checked.
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
    fn kind<'a>(&self, bytes: impl Fn(&Place) -> Option<&'a [u8]>) -> Kind {
        let voiceprint = Shape::of(bytes(&self.voiceprint), b'"');
        let identification = Shape::of(bytes(&self.identification), b'[');
        let voiceprints = Shape::of(bytes(&self.voiceprints), b'[');
        let diarization = Shape::of(bytes(&self.diarization), b'[');
        match (voiceprint, identification, voiceprints, diarization) {
            (Shape::Unexpected, ..) | (_, Shape::Unexpected, ..) => Kind::Unknown,
            (_, _, Shape::Unexpected, _) | (_, _, _, Shape::Unexpected) => Kind::Unknown,
            (Shape::Expected, ..) => Kind::Voiceprint,
            (_, Shape::Expected, ..) | (_, _, Shape::Expected, _) => Kind::Identification,
            (_, _, _, Shape::Expected | Shape::Null) => Kind::Diarization,
            (_, _, _, Shape::Absent) => Kind::Unknown,
        }
    }
}

/// The value of a key that decides the kind.
enum Shape {
    Absent,
    Null,
    Expected,
    Unexpected,
}

impl Shape {
    fn of(value: Option<&[u8]>, expected: u8) -> Self {
        match value {
            None => Self::Absent,
            Some(b"null") => Self::Null,
            Some(value) if value.first() == Some(&expected) => Self::Expected,
            Some(_) => Self::Unexpected,
        }
    }
}

/// Reads a status; one that is not a string is kept as JSON text.
fn status(json: &str) -> Status {
    match string_lossy(json) {
        Some(status) => Status::from(&*status),
        None if json == "null" => Status::from(""),
        None => Status::Other(json.chars().take(LONGEST_STATUS).collect::<String>().into()),
    }
}

const LONGEST_STATUS: usize = 64;

/// How many bytes are checked at once.
const STRETCH: usize = 32 << 10;
