//! A reader that takes its time: it stops after the first rows until it is told to go on.

use anyhow::{Context, Result};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStderr, ChildStdout};

use super::house::House;

/// Reads the answer to a query line by line and leaves the rest in the pipe.
#[derive(Debug)]
pub(super) struct SlowReader {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    errors: ChildStderr,
    rows: u64,
}

/// How an answer ended.
#[derive(Debug)]
pub(super) struct End {
    /// Rows that came.
    pub(super) rows: u64,
    /// Why it ended early, if it did.
    pub(super) error: Option<String>,
}

impl SlowReader {
    pub(super) fn start(house: &House, sql: &str) -> Result<Self> {
        let mut child = house.spawn(&["--format", "csv", "query", sql])?;
        let lines = BufReader::new(child.stdout.take().context("no pipe to read from")?).lines();
        let errors = child.stderr.take().context("no pipe to read errors from")?;
        Ok(Self {
            child,
            lines,
            errors,
            rows: 0,
        })
    }

    /// Reads the header and a few rows, then stops reading: the answer waits all the way back to the provider.
    pub(super) async fn first_rows(&mut self) -> Result<u64> {
        for _ in 0..10 {
            self.lines.next_line().await?.context("the answer ended at once")?;
            self.rows += 1;
        }
        Ok(self.rows)
    }

    /// Reads on to the end.
    pub(super) async fn finish(mut self) -> Result<End> {
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
