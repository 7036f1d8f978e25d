//! `[log]`: what is logged, and how.

use std::{fmt, str::FromStr};

use super::choice::InvalidChoice;
use super::reader::Section;
use super::writer::text;

/// `[log]`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LogSection {
    /// The format of a line.
    pub format: LogFormat,
    /// The lowest level that is written.
    pub level: LogLevel,
}

/// The format of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// The lowest level that is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LogLevel {
    /// Only what needs attention now.
    Error,
    /// What may need attention soon.
    Warn,
    /// What the node does.
    #[default]
    Info,
    /// How the node does it; may contain personal identifiers.
    Debug,
    /// Everything.
    Trace,
}

macro_rules! choice {
    ($type:ty, $choices:literal, $($name:literal => $variant:ident),+) => {
        impl FromStr for $type {
            type Err = InvalidChoice;
            fn from_str(text: &str) -> Result<Self, InvalidChoice> {
                match text {
                    $($name => Ok(Self::$variant),)+
                    _ => Err(InvalidChoice { choices: $choices }),
                }
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self { $(Self::$variant => $name,)+ })
            }
        }
    };
}

choice!(LogFormat, "`text` and `json`", "text" => Text, "json" => Json);
choice!(
    LogLevel, "`error`, `warn`, `info`, `debug` and `trace`",
    "error" => Error, "warn" => Warn, "info" => Info, "debug" => Debug, "trace" => Trace
);

/// Reads the section.
pub(super) fn log(section: &mut Section<'_>) -> LogSection {
    LogSection {
        format: section.optional("format").unwrap_or_default(),
        level: section.optional("level").unwrap_or_default(),
    }
}

/// The section as `init` writes it.
impl fmt::Display for LogSection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "[log]\n# text or json; error, warn, info, debug or trace")?;
        writeln!(f, "format = {}\nlevel = {}", text(&self.format), text(&self.level))
    }
}
