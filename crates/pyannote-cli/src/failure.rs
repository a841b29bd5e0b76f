use std::{
    fmt,
    io::{self, Write},
    process::ExitCode,
};

/// An error that ends a program: one line for stderr, and an exit code.
#[derive(Debug)]
pub struct Failure {
    message: String,
    code: u8,
}

impl Failure {
    /// Returns the failure for a setting that cannot be used. The exit code is 2.
    pub fn usage(message: impl fmt::Display) -> Self {
        Self {
            message: message.to_string(),
            code: 2,
        }
    }

    /// Returns the failure for an operation that did not succeed. The exit code is 1.
    pub fn run(message: impl fmt::Display) -> Self {
        Self {
            message: message.to_string(),
            code: 1,
        }
    }

    /// Writes `error: ` and the message to stderr, and returns the exit code.
    #[must_use]
    pub fn report(&self) -> ExitCode {
        // Stderr may be closed, and there is no other place to report that.
        let _ = writeln!(io::stderr(), "error: {self}");
        ExitCode::from(self.code)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A path or a value in the message may contain a line break.
        f.write_str(&plain(&self.message))
    }
}

/// Escapes the characters that would change how a terminal shows the text around them: control characters, line breaks,
/// and characters that are invisible or change the direction of text.
///
/// Use it for text that another machine has sent.
#[must_use]
pub fn plain(text: &str) -> String {
    let escaped = text.escape_debug().to_string();
    // `escape_debug` also escapes these three, which are harmless here.
    escaped
        .replace(r"\'", "'")
        .replace(r#"\""#, "\"")
        .replace(r"\\", r"\")
}

#[cfg(test)]
mod tests {
    use super::{Failure, plain};

    #[test]
    fn plain_keeps_visible_text() {
        let text = r#"--host 'a' "b" C:\new\data\' naïve 音 e"#.to_owned() + "\u{301}";
        assert_eq!(plain(&text), text);
    }

    #[test]
    fn plain_escapes_what_changes_the_text_around_it() {
        for (text, expected) in [
            ("a\nb\r\tc", r"a\nb\r\tc"),
            ("\u{1b}[31m", r"\u{1b}[31m"),
            ("\u{9b}1A", r"\u{9b}1A"),
            ("\u{202e}x\u{2066}y\u{2028}", r"\u{202e}x\u{2066}y\u{2028}"),
            ("\u{ad}\u{61c}\u{180e}", r"\u{ad}\u{61c}\u{180e}"),
            ("\u{200b}\u{2060}\u{feff}", r"\u{200b}\u{2060}\u{feff}"),
            ("\u{fff9}\u{e0001}\u{e007f}", r"\u{fff9}\u{e0001}\u{e007f}"),
        ] {
            assert_eq!(plain(text), expected);
        }
    }

    #[test]
    fn failure_is_one_line() {
        let failure = Failure::run("cannot open a\nb");
        assert_eq!(failure.to_string(), r"cannot open a\nb");
    }
}
