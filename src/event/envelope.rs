use std::{borrow::Cow, fmt, ops::Range};

use jiff::Timestamp;
use serde::{
    Deserializer,
    de::{DeserializeSeed, IgnoredAny, MapAccess, Visitor},
};
use serde_json::value::RawValue;

use super::{EventError, Kind, Status, Text, lossy};

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
    /// Checks the syntax of a body and reads its envelope, in one pass.
    pub(super) fn scan(body: &[u8]) -> Result<Self, EventError> {
        let body = std::str::from_utf8(body).map_err(|_| EventError::NotUtf8)?;
        if !trim_start(body).starts_with('{') {
            let syntax = serde_json::from_str::<IgnoredAny>(body);
            return Err(syntax.map_or(EventError::Syntax, |_| EventError::NotAnObject));
        }
        let mut json = serde_json::Deserializer::from_str(body);
        let fields = (&mut json).deserialize_map(BodyVisitor { body });
        let fields = fields.and_then(|fields| json.end().map(|()| fields));
        fields.map_err(|_| EventError::Syntax)?.into_envelope(body)
    }

    pub(super) fn output_kind(&self) -> Option<Kind> {
        self.output.as_ref().map(|(kind, _)| *kind)
    }
}

/// The raw values of the known fields of a body.
#[derive(Default)]
struct BodyFields<'de> {
    job_id: Option<&'de RawValue>,
    status: Option<&'de RawValue>,
    output: OutputField<'de>,
    error: Option<&'de RawValue>,
    warning: Option<&'de RawValue>,
    created_at: Option<&'de RawValue>,
    updated_at: Option<&'de RawValue>,
}

impl BodyFields<'_> {
    fn into_envelope(self, body: &str) -> Result<Envelope, EventError> {
        let job_id = self.job_id.and_then(string).filter(|id| !id.is_empty());
        let (output, inner) = match self.output {
            OutputField::Absent => (None, OutputFields::default()),
            OutputField::Other(raw) => (
                Some((Kind::Unknown, range_in(body, raw.get()))),
                OutputFields::default(),
            ),
            OutputField::Object(range, fields) => (Some((fields.kind(), range)), fields),
        };
        let text = |raw| string_lossy(raw).map(|text| Text::from(&*text));
        let date = |raw: &RawValue| string(raw)?.parse().ok();
        Ok(Envelope {
            job_id: Text::from(&*job_id.ok_or(EventError::MissingJobId)?),
            status: self.status.map_or_else(|| Status::from(""), status),
            output,
            error: inner
                .error
                .and_then(text)
                .or_else(|| self.error.and_then(text)),
            warning: inner
                .warning
                .and_then(text)
                .or_else(|| self.warning.and_then(text)),
            created_at: self.created_at.and_then(date),
            updated_at: self.updated_at.and_then(date),
        })
    }
}

#[derive(Default)]
enum OutputField<'de> {
    #[default]
    Absent,
    Object(Range<usize>, OutputFields<'de>),
    Other(&'de RawValue),
}

/// The raw values of the fields of an output that decide its kind or concern every event.
#[derive(Default)]
struct OutputFields<'de> {
    voiceprint: Option<&'de RawValue>,
    identification: Option<&'de RawValue>,
    voiceprints: Option<&'de RawValue>,
    diarization: Option<&'de RawValue>,
    error: Option<&'de RawValue>,
    warning: Option<&'de RawValue>,
}

impl OutputFields<'_> {
    fn kind(&self) -> Kind {
        let voiceprint = Shape::of(self.voiceprint, '"');
        let identification = Shape::of(self.identification, '[');
        let voiceprints = Shape::of(self.voiceprints, '[');
        let diarization = Shape::of(self.diarization, '[');
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
    fn of(value: Option<&RawValue>, foreseen: char) -> Self {
        match value.map(RawValue::get) {
            None => Self::Absent,
            Some("null") => Self::Null,
            Some(value) if value.starts_with(foreseen) => Self::Foreseen,
            Some(_) => Self::Odd,
        }
    }
}

struct BodyVisitor<'de> {
    body: &'de str,
}

impl<'de> Visitor<'de> for BodyVisitor<'de> {
    type Value = BodyFields<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<BodyFields<'de>, A::Error> {
        let mut fields = BodyFields::default();
        while let Some(key) = map.next_key::<&RawValue>()? {
            let slot = match &*string(key).unwrap_or_default() {
                "jobId" => &mut fields.job_id,
                "status" => &mut fields.status,
                "error" => &mut fields.error,
                "warning" => &mut fields.warning,
                "createdAt" => &mut fields.created_at,
                "updatedAt" => &mut fields.updated_at,
                "output" => {
                    let start = value_start(self.body, key);
                    fields.output = output(self.body, start, &mut map)?;
                    continue;
                }
                _ => {
                    map.next_value::<IgnoredAny>()?;
                    continue;
                }
            };
            *slot = Some(map.next_value()?);
        }
        Ok(fields)
    }
}

/// Reads the value of `output`, which begins at `start`.
fn output<'de, A: MapAccess<'de>>(
    body: &'de str,
    start: usize,
    map: &mut A,
) -> Result<OutputField<'de>, A::Error> {
    if body[start..].starts_with('{') {
        return map.next_value_seed(OutputSeed { body, start });
    }
    let raw: &RawValue = map.next_value()?;
    Ok(if raw.get() == "null" {
        OutputField::Absent
    } else {
        OutputField::Other(raw)
    })
}

struct OutputSeed<'de> {
    body: &'de str,
    start: usize,
}

impl<'de> DeserializeSeed<'de> for OutputSeed<'de> {
    type Value = OutputField<'de>;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<OutputField<'de>, D::Error> {
        json.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for OutputSeed<'de> {
    type Value = OutputField<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<OutputField<'de>, A::Error> {
        let mut fields = OutputFields::default();
        // Serde tells no positions, but the last value does; only white space parts it from `}`.
        let mut end = self.start + 1;
        while let Some(key) = map.next_key::<&RawValue>()? {
            let value: &RawValue = map.next_value()?;
            end = range_in(self.body, value.get()).end;
            let slot = match &*string(key).unwrap_or_default() {
                "voiceprint" => &mut fields.voiceprint,
                "identification" => &mut fields.identification,
                "voiceprints" => &mut fields.voiceprints,
                "diarization" => &mut fields.diarization,
                "error" => &mut fields.error,
                "warning" => &mut fields.warning,
                _ => continue,
            };
            *slot = Some(value);
        }
        let blank = self.body[end..].len() - trim_start(&self.body[end..]).len();
        Ok(OutputField::Object(self.start..end + blank + 1, fields))
    }
}

/// Returns where the value of a key begins: after white space, a colon, and white space.
fn value_start(body: &str, key: &RawValue) -> usize {
    let rest = trim_start(&body[range_in(body, key.get()).end..]);
    let value = trim_start(rest.strip_prefix(':').unwrap_or(rest));
    body.len() - value.len()
}

/// Returns where a part that was borrowed from the body stands in it.
fn range_in(body: &str, part: &str) -> Range<usize> {
    let start = part.as_ptr().addr() - body.as_ptr().addr();
    start..start + part.len()
}

fn trim_start(json: &str) -> &str {
    json.trim_start_matches([' ', '\n', '\r', '\t'])
}

/// Returns a status of any shape by name.
fn status(raw: &RawValue) -> Status {
    match string_lossy(raw) {
        Some(status) => Status::from(&*status),
        None if raw.get() == "null" => Status::from(""),
        None => Status::Other(
            raw.get()
                .chars()
                .take(LONGEST_STATUS)
                .collect::<String>()
                .into(),
        ),
    }
}

const LONGEST_STATUS: usize = 64;

/// Returns the string that a value is, if it is one and valid Unicode.
fn string(raw: &RawValue) -> Option<Cow<'_, str>> {
    let inner = raw.get().strip_prefix('"')?.strip_suffix('"')?;
    if inner.contains('\\') {
        return serde_json::from_str(raw.get()).ok().map(Cow::Owned);
    }
    Some(Cow::Borrowed(inner))
}

/// Returns the string that a value is, with replacement characters for what is not valid Unicode.
fn string_lossy(raw: &RawValue) -> Option<Cow<'_, str>> {
    if !raw.get().starts_with('"') {
        return None;
    }
    string(raw).or_else(|| lossy::string(raw.get()).map(Cow::Owned))
}
