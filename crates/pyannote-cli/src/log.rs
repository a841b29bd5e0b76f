use std::{
    env, fmt, fs,
    io::{self, IsTerminal},
    path::{Path, PathBuf},
};

use tracing_appender::{
    non_blocking::{NonBlocking, WorkerGuard},
    rolling::{RollingFileAppender, Rotation},
};
use tracing_subscriber::{
    EnvFilter, Layer, Registry,
    fmt::{MakeWriter, layer},
    layer::SubscriberExt,
    registry::LookupSpan,
    util::SubscriberInitExt,
};

use crate::failure::Failure;

/// Logs to stderr: as text if stderr is a terminal, else as JSON.
///
/// `RUST_LOG` chooses what is logged. If it is not set, the level is `debug` if `debug` is true, else `info`.
///
/// # Errors
///
/// Returns a usage failure if `RUST_LOG` is not a filter.
///
/// # Panics
///
/// Panics if the process already has a logger.
pub fn log_to_stderr(debug: bool) -> Result<(), Failure> {
    let log = Log {
        debug,
        ..Log::default()
    };
    log.install().map(drop)
}

/// How a program logs. The default logs at level `info` to stderr.
#[derive(Clone, Debug, Default)]
pub struct Log {
    /// Logs at level `debug` instead of `info`, if `RUST_LOG` is not set.
    pub debug: bool,
    /// The format of the lines.
    pub format: LogFormat,
    /// A file to log to as well.
    pub file: Option<LogFile>,
}

/// A layer of the subscriber that [`Log`] installs.
pub type BoxedLayer = Box<dyn Layer<Registry> + Send + Sync>;

/// The format of log lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// Text if stderr is a terminal, else JSON. A file gets JSON.
    #[default]
    Auto,
    /// Text.
    Text,
    /// A JSON object a line.
    Json,
}

/// A log file that is replaced every day at midnight UTC.
#[derive(Clone, Debug)]
pub struct LogFile {
    /// The path. The date is added: `receiver.log` becomes `receiver.log.2026-01-31`.
    pub path: PathBuf,
    /// The number of files to keep. Older ones are deleted.
    pub keep: usize,
}

/// Writes what is left to the log file when it is dropped.
#[derive(Debug)]
#[must_use = "the last lines of the log file are lost if this is dropped early"]
pub struct LogGuard {
    _file: Option<WorkerGuard>,
}

impl Log {
    /// Installs the logger of the process.
    ///
    /// # Errors
    ///
    /// Returns a usage failure if `RUST_LOG` is not a filter, and a run failure if the log file cannot be created.
    ///
    /// # Panics
    ///
    /// Panics if the process already has a logger.
    pub fn install(self) -> Result<LogGuard, Failure> {
        self.install_with(None)
    }

    /// Installs the logger of the process, and another layer. The filter of the log does not apply to this layer.
    ///
    /// # Errors
    ///
    /// Returns the errors of [`install`](Self::install).
    ///
    /// # Panics
    ///
    /// Panics if the process already has a logger.
    pub fn install_with(self, layer: Option<BoxedLayer>) -> Result<LogGuard, Failure> {
        let filter = match env::var(RUST_LOG) {
            Ok(filter) if !filter.trim().is_empty() => EnvFilter::try_new(filter)
                .map_err(|error| Failure::usage(format!("{RUST_LOG}: {error}")))?,
            _ if self.debug => EnvFilter::new("debug"),
            _ => EnvFilter::new("info"),
        };
        let terminal = io::stderr().is_terminal();
        let stderr = lines(self.format.is_json(!terminal), terminal, io::stderr);
        let (file, guard) = match &self.file {
            Some(file) => {
                let (writer, guard) = file.open()?;
                let lines = lines(self.format.is_json(true), false, writer);
                (Some(lines), Some(guard))
            }
            None => (None, None),
        };
        let mut layers = vec![stderr.and_then(file).with_filter(filter).boxed()];
        layers.extend(layer);
        tracing_subscriber::registry().with(layers).init();
        Ok(LogGuard { _file: guard })
    }
}

impl LogFormat {
    fn is_json(self, auto: bool) -> bool {
        match self {
            Self::Auto => auto,
            Self::Text => false,
            Self::Json => true,
        }
    }
}

impl LogFile {
    /// Opens today's file. Lines are written by a thread, so that a slow disk delays no delivery.
    fn open(&self) -> Result<(NonBlocking, WorkerGuard), Failure> {
        let path = self.path.display();
        let name = self.path.file_name().and_then(|name| name.to_str());
        let name = name.ok_or_else(|| {
            Failure::usage(format!("--log-file {path}: the path has no file name"))
        })?;
        let directory = match self.path.parent() {
            Some(parent) if parent != Path::new("") => parent,
            _ => Path::new("."),
        };
        let failed = |error: &dyn fmt::Display| {
            Failure::run(format!("--log-file {path}: cannot be written: {error}"))
        };
        fs::create_dir_all(directory).map_err(|error| failed(&error))?;
        let file = RollingFileAppender::builder()
            .rotation(Rotation::DAILY)
            .filename_prefix(name)
            .max_log_files(self.keep)
            .build(directory)
            .map_err(|error| match std::error::Error::source(&error) {
                Some(cause) => failed(&cause),
                None => failed(&error),
            })?;
        Ok(tracing_appender::non_blocking(file))
    }
}

/// Returns the layer that writes lines in one format.
fn lines<W>(json: bool, ansi: bool, writer: W) -> BoxedLayer
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
    Registry: for<'a> LookupSpan<'a>,
{
    let lines = layer().with_ansi(ansi).with_writer(writer);
    if json {
        let json = lines.json().flatten_event(true).with_span_list(false);
        Box::new(json)
    } else {
        Box::new(lines)
    }
}

const RUST_LOG: &str = "RUST_LOG";
