//! Structured logs on standard error.
//!
//! Levels have meanings: `error` needs attention now, `warn` soon, `info` describes what the node does, `debug` how. People and
//! data are never named above `debug`; decisions go to the ledger. Values are fields, context is in spans.

use std::io::IsTerminal;

use tracing_subscriber::{EnvFilter, fmt, prelude::*};

use crate::config::{LogFormat, LogLevel, LogSection};

/// The environment variable that takes precedence over `log.level`, in the syntax of `tracing` directives.
pub(crate) const LEVEL_VARIABLE: &str = "CONCORDAT_LOG";

/// Libraries that are verbose at `info`.
const QUIETER: &str = "libp2p=warn,libp2p_swarm=warn,datafusion=warn,sled=warn,hyper=warn,quinn=warn,yamux=warn";

/// Starts logging for the daemon; the second call in a process changes nothing.
pub fn start_logging(log: &LogSection, color: bool) {
    let filter = std::env::var(LEVEL_VARIABLE)
        .ok()
        .and_then(|directives| EnvFilter::try_new(directives).ok())
        .unwrap_or_else(|| EnvFilter::new(format!("{},{QUIETER}", log.level)));
    let registry = tracing_subscriber::registry().with(filter);
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

/// Starts logging for commands that are not the daemon: only warnings, for people.
pub fn start_quiet(color: bool) {
    let log = LogSection {
        format: LogFormat::Text,
        level: LogLevel::Warn,
    };
    start_logging(&log, color);
}
