//! The result of a command, and the assertions that tests make about it.

use serde_json::Value;

use crate::table::Table;

/// A command that has exited.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// What was command, for messages.
    pub command: String,
    /// Its exit code; `None` if a signal ended it.
    pub code: Option<i32>,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Outcome {
    /// Asserts that it succeeded.
    #[track_caller]
    pub fn ok(self) -> Self {
        assert_eq!(self.code, Some(0), "{}", self.report());
        self
    }

    /// Asserts this exit code.
    #[track_caller]
    pub fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{}", self.report());
        self
    }

    /// Standard output as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("no JSON ({error}): {}", self.report()))
    }

    /// Standard output as a table, if the format was CSV.
    pub fn table(&self) -> Table {
        Table::parse(&self.stdout)
    }

    /// The error object on standard error, which has exactly the fields `code`, `title`, `detail`, `reasons` and `help`.
    #[track_caller]
    pub fn problem(&self) -> Value {
        assert_eq!(self.stdout, "", "an error belongs on standard error: {}", self.report());
        let last = self.stderr.lines().last().unwrap_or_default();
        let problem: Value =
            serde_json::from_str(last).unwrap_or_else(|error| panic!("no error object ({error}): {}", self.report()));
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
            self.report()
        );
        problem
    }

    /// Everything about it, for messages.
    pub fn report(&self) -> String {
        let Self {
            command,
            code,
            stdout,
            stderr,
        } = self;
        format!("`{command}` ended with {code:?}\n-- standard output\n{stdout}\n-- standard error\n{stderr}")
    }
}
