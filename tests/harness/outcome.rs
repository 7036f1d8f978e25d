//! What a command did, and what a test expects of it.

use serde_json::Value;

use crate::table::Table;

/// A command that has ended.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// What was typed, for messages.
    pub typed: String,
    /// Its exit code; `None` when a signal ended it.
    pub code: Option<i32>,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Outcome {
    /// Expects that it did what it was told.
    #[track_caller]
    pub fn ok(self) -> Self {
        assert_eq!(self.code, Some(0), "{}", self.story());
        self
    }

    /// Expects this exit code.
    #[track_caller]
    pub fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{}", self.story());
        self
    }

    /// Standard output as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("no JSON ({error}): {}", self.story()))
    }

    /// Standard output as a table, if it was asked for as CSV.
    pub fn table(&self) -> Table {
        Table::parse(&self.stdout)
    }

    /// The error object on standard error, which has exactly the parts `code`, `title`, `detail`, `reasons` and `help`.
    #[track_caller]
    pub fn problem(&self) -> Value {
        assert_eq!(self.stdout, "", "an error belongs on standard error: {}", self.story());
        let last = self.stderr.lines().last().unwrap_or_default();
        let problem: Value =
            serde_json::from_str(last).unwrap_or_else(|error| panic!("no error object ({error}): {}", self.story()));
        let mut fields: Vec<&str> = problem
            .as_object()
            .expect("an object")
            .keys()
            .map(String::as_str)
            .collect();
        fields.sort_unstable();
        assert_eq!(
            fields,
            ["code", "detail", "help", "reasons", "title"],
            "{}",
            self.story()
        );
        problem
    }

    /// Everything about it, for a message.
    pub fn story(&self) -> String {
        let Self {
            typed,
            code,
            stdout,
            stderr,
        } = self;
        format!("`{typed}` ended with {code:?}\n-- standard output\n{stdout}\n-- standard error\n{stderr}")
    }
}
