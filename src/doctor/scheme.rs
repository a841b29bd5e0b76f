use std::fmt;

/// What else than `v0:`, the timestamp, `:` and the body was signed; other vendors do so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SchemeFault {
    /// The timestamp, `:` and the body.
    NoVersion,
    /// `v0:` and the body.
    NoTimestamp,
    /// The body alone.
    BodyAlone,
    /// The timestamp, `.` and the body.
    Dots,
    /// `v0.`, the timestamp, `.` and the body.
    VersionAndDots,
    /// The timestamp and the body, with nothing between them.
    NoSeparator,
    /// `v1:`, the timestamp, `:` and the body.
    OtherVersion,
}

impl SchemeFault {
    /// A word for it in snake case, which does not change.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NoVersion => "signed_without_version",
            Self::NoTimestamp => "signed_without_timestamp",
            Self::BodyAlone => "signed_body_alone",
            Self::Dots => "signed_with_dots",
            Self::VersionAndDots => "signed_with_version_and_dots",
            Self::NoSeparator => "signed_without_separator",
            Self::OtherVersion => "signed_with_other_version",
        }
    }

    const fn message(self) -> &'static str {
        match self {
            Self::NoVersion => "`timestamp:body`",
            Self::NoTimestamp => "`v0:body`",
            Self::BodyAlone => "the body alone",
            Self::Dots => "`timestamp.body`",
            Self::VersionAndDots => "`v0.timestamp.body`",
            Self::NoSeparator => "the timestamp and the body with nothing between",
            Self::OtherVersion => "`v1:timestamp:body`",
        }
    }
}

impl fmt::Display for SchemeFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let message = self.message();
        write!(
            f,
            "the sender signed {message}: let it sign `v0:timestamp:body`, as pyannoteAI does"
        )
    }
}

/// What is signed before the body.
pub(super) struct Head {
    pub(super) fault: Option<SchemeFault>,
    pub(super) bytes: Vec<u8>,
}

impl Head {
    pub(super) fn of(timestamp: &[u8]) -> Self {
        Self {
            fault: None,
            bytes: [b"v0:", timestamp, b":"].concat(),
        }
    }
}

pub(super) fn heads(timestamps: &[Vec<u8>]) -> Vec<Head> {
    let with = |fault, bytes| Head {
        fault: Some(fault),
        bytes,
    };
    let mut heads: Vec<Head> = timestamps.iter().map(|text| Head::of(text)).collect();
    heads.push(with(SchemeFault::BodyAlone, Vec::new()));
    heads.push(with(SchemeFault::NoTimestamp, b"v0:".to_vec()));
    for text in timestamps {
        heads.extend([
            with(SchemeFault::NoVersion, [text, &b":"[..]].concat()),
            with(SchemeFault::Dots, [text, &b"."[..]].concat()),
            with(
                SchemeFault::VersionAndDots,
                [b"v0.", &text[..], b"."].concat(),
            ),
            with(SchemeFault::NoSeparator, text.clone()),
            with(
                SchemeFault::OtherVersion,
                [b"v1:", &text[..], b":"].concat(),
            ),
        ]);
    }
    heads
}
