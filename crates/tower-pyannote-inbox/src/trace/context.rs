use std::{fmt, str::FromStr};

/// The identity of a span: the id of its trace, its own id, and whether it is sampled.
///
/// `Display` writes a `traceparent` of [W3C Trace Context], version 00, and [`str::parse`] reads it. An inbox stores this text
/// with submissions and events, without a `tracestate`.
///
/// [W3C Trace Context]: https://www.w3.org/TR/trace-context/
///
/// # Example: a `traceparent`
///
/// ```
/// use tower_pyannote_inbox::TraceContext;
///
/// let text = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
/// let context: TraceContext = text.parse()?;
/// assert!(context.is_sampled());
/// assert_eq!(context.to_string(), text);
/// # Ok::<(), tower_pyannote_inbox::InvalidTraceContext>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TraceContext {
    trace_id: u128,
    span_id: u64,
    is_sampled: bool,
}

impl TraceContext {
    /// Creates a context. Returns `None` if an id is 0, because 0 is not a valid id.
    #[must_use]
    pub const fn new(trace_id: u128, span_id: u64, is_sampled: bool) -> Option<Self> {
        if trace_id == 0 || span_id == 0 {
            return None;
        }
        Some(Self {
            trace_id,
            span_id,
            is_sampled,
        })
    }

    /// Returns the id of the trace.
    #[must_use]
    pub const fn trace_id(&self) -> u128 {
        self.trace_id
    }

    /// Returns the id of the span.
    #[must_use]
    pub const fn span_id(&self) -> u64 {
        self.span_id
    }

    /// Returns whether the span is sampled.
    #[must_use]
    pub const fn is_sampled(&self) -> bool {
        self.is_sampled
    }
}

impl fmt::Display for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            trace_id,
            span_id,
            is_sampled,
        } = self;
        let flags = u8::from(*is_sampled);
        write!(f, "00-{trace_id:032x}-{span_id:016x}-{flags:02x}")
    }
}

impl FromStr for TraceContext {
    type Err = InvalidTraceContext;

    fn from_str(text: &str) -> Result<Self, InvalidTraceContext> {
        let is_digit = |byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f' | b'-');
        if text.len() != LENGTH || !text.bytes().all(is_digit) {
            return Err(InvalidTraceContext);
        }
        let mut parts = text.split('-');
        let mut part = |length| {
            let part = parts.next().filter(|part| part.len() == length);
            part.ok_or(InvalidTraceContext)
        };
        let (version, trace_id, span_id, flags) = (part(2)?, part(32)?, part(16)?, part(2)?);
        if version != "00" {
            return Err(InvalidTraceContext);
        }
        let invalid = |_| InvalidTraceContext;
        let trace_id = u128::from_str_radix(trace_id, 16).map_err(invalid)?;
        let span_id = u64::from_str_radix(span_id, 16).map_err(invalid)?;
        let flags = u8::from_str_radix(flags, 16).map_err(invalid)?;
        Self::new(trace_id, span_id, flags & 1 == 1).ok_or(InvalidTraceContext)
    }
}

/// The error of a text that is not a [`TraceContext`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidTraceContext;

impl fmt::Display for InvalidTraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the text is not a traceparent of version 00")
    }
}

impl std::error::Error for InvalidTraceContext {}

const LENGTH: usize = 55;

#[cfg(test)]
mod tests {
    use super::*;

    const VALID: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn a_context_is_read_as_it_was_written() {
        for (trace_id, span_id, is_sampled) in [
            (1, 1, false),
            (u128::MAX, u64::MAX, true),
            (7 << 64, 9, true),
        ] {
            let context = TraceContext::new(trace_id, span_id, is_sampled).unwrap();
            assert_eq!(context.to_string().parse(), Ok(context));
        }
        let context: TraceContext = VALID.parse().unwrap();
        assert_eq!(context.trace_id(), 0x0af7651916cd43dd8448eb211c80319c);
        assert_eq!(context.span_id(), 0xb7ad6b7169203331);
    }

    #[test]
    fn unknown_flags_are_dropped() {
        let context: TraceContext = VALID.replace("-01", "-ff").parse().unwrap();
        assert_eq!(context.to_string(), VALID);
    }

    #[test]
    fn ids_of_zero_are_no_context() {
        assert_eq!(TraceContext::new(0, 1, true), None);
        assert_eq!(TraceContext::new(1, 0, true), None);
    }

    #[test]
    fn other_texts_are_invalid() {
        for (name, text) in [
            ("empty", String::new()),
            ("a later version", VALID.replacen("00-", "01-", 1)),
            ("a longer text", format!("{VALID}-00")),
            ("upper case", VALID.to_uppercase()),
            (
                "no trace id",
                VALID.replace("0af7651916cd43dd8448eb211c80319c", &"0".repeat(32)),
            ),
            (
                "no span id",
                VALID.replace("b7ad6b7169203331", &"0".repeat(16)),
            ),
            ("a sign", VALID.replace("-0af", "-+af")),
            ("a dash in an id", VALID.replace("0af7", "0-f7")),
            ("other bytes of that length", "é".repeat(27) + "0"),
        ] {
            assert_eq!(
                text.parse::<TraceContext>(),
                Err(InvalidTraceContext),
                "{name}"
            );
        }
    }
}
