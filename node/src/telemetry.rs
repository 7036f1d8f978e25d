//! Structured logs on standard error.
//!
//! Levels have meanings: `error` needs attention now, `warn` soon, `info` describes what the node does, `debug` how. People and
//! data are never named above `debug`; decisions go to the ledger. Values are fields, context is in spans.
//!
//! Libraries know nothing of that. At `debug` and `trace` the parser writes the text of a query with its values, the planner the plan with them,
//! the state database and the libraries of the network what they store and carry. So they log warnings only ([`library_limit`]), whatever
//! `log.level` and [`LEVEL_VARIABLE`] are.

use std::io::IsTerminal;

use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::{EnvFilter, fmt, prelude::*};

use crate::config::{LogFormat, LogLevel, LogSection};

/// The environment variable that takes precedence over `log.level`, in the syntax of `tracing` directives. It applies to the crates of this
/// program: libraries log warnings only.
pub(crate) const LEVEL_VARIABLE: &str = "CONCORDAT_LOG";

/// What the targets of this program's own events begin with.
const OWN: &str = "concordat";

/// Starts logging for the daemon; the second call in a process changes nothing.
pub fn start_logging(log: &LogSection, color: bool) {
    let filter = std::env::var(LEVEL_VARIABLE)
        .ok()
        .and_then(|directives| EnvFilter::try_new(directives).ok())
        .unwrap_or_else(|| EnvFilter::new(log.level.to_string()));
    let registry = tracing_subscriber::registry().with(filter).with(library_limit());
    let started = match log.format {
        LogFormat::Json => registry
            .with(fmt::layer().json().with_writer(std::io::stderr))
            .try_init(),
        LogFormat::Text => registry
            .with(
                fmt::layer()
                    .with_writer(std::io::stderr)
                    .with_target(false)
                    .with_ansi(color && std::io::stderr().is_terminal()),
            )
            .try_init(),
    };
    if started.is_err() {
        tracing::debug!("logging was already started");
    }
}

/// Lets only this program's own events pass below `warn`. A list of libraries would lack the next one.
fn library_limit() -> Targets {
    Targets::new()
        .with_default(LevelFilter::WARN)
        .with_target(OWN, LevelFilter::TRACE)
}

/// Starts logging for commands that are not the daemon: only warnings, for people.
pub fn start_quiet(color: bool) {
    let log = LogSection {
        format: LogFormat::Text,
        level: LogLevel::Warn,
    };
    start_logging(&log, color);
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn libraries_log_warnings_only_at_any_level() {
        let written = Written::default();
        let writer = written.clone();
        let log = fmt::layer().with_writer(move || writer.clone()).with_ansi(false);
        let directives = EnvFilter::new("trace,sqlparser=trace,datafusion=debug");
        let subscriber = tracing_subscriber::registry()
            .with(directives)
            .with(library_limit())
            .with(log);
        tracing::subscriber::with_default(subscriber, || {
            tracing::trace!(target: "sqlparser::parser", "WHERE name = 'literal'");
            tracing::debug!(target: "datafusion_sql::planner", "WHERE name = 'literal'");
            tracing::info!(target: "a_library_of_tomorrow", "WHERE name = 'literal'");
            tracing::warn!(target: "sled", "a warning of a library");
            tracing::trace!(target: "concordat_node::sharing", "a step of this program");
        });
        let written = String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
        assert!(!written.contains("literal"), "{written}");
        assert!(written.contains("a warning of a library"), "{written}");
        assert!(written.contains("a step of this program"), "{written}");
    }
}
