//! A slow reader: it stops after the first rows until [`SlowReader::finish`] is called.

use anyhow::{Context, Result};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStderr, ChildStdout};

use crate::node::DemoNode;

/// Reads the answer to a query line by line and leaves the rest in the pipe.
#[derive(Debug)]
pub(crate) struct SlowReader {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    errors: ChildStderr,
    rows: u64,
}

/// How an answer ended.
#[derive(Debug)]
pub(crate) struct End {
    /// Rows that were received.
    pub(crate) rows: u64,
    /// Why it ended early, if it did.
    pub(crate) error: Option<String>,
}

impl SlowReader {
    pub(crate) fn start(node: &DemoNode, sql: &str) -> Result<Self> {
        let mut child = node.spawn(&["--format", "csv", "query", sql])?;
        let lines = BufReader::new(child.stdout.take().context("no pipe to read from")?).lines();
        let errors = child.stderr.take().context("no pipe to read errors from")?;
        Ok(Self {
            child,
            lines,
            errors,
            rows: 0,
        })
    }

    /// Reads the header and a few rows, then stops reading: backpressure reaches the provider.
    pub(crate) async fn first_rows(&mut self) -> Result<u64> {
        for _ in 0..10 {
            self.lines.next_line().await?.context("the answer ended immediately")?;
            self.rows += 1;
        }
        Ok(self.rows)
    }

    /// Reads the remaining rows.
    pub(crate) async fn finish(mut self) -> Result<End> {
        while self.lines.next_line().await?.is_some() {
            self.rows += 1;
        }
        let mut message = String::new();
        self.errors.read_to_string(&mut message).await?;
        let status = self.child.wait().await?;
        let rows = self.rows.saturating_sub(1);
        let first = message.lines().next().unwrap_or("no reason given").to_owned();
        Ok(End {
            rows,
            error: (!status.success()).then_some(first),
        })
    }
}
