//! A slow reader: what it does not read waits in the pipe, all the way back to the provider.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStderr, ChildStdout};

use crate::test_node::TestNode;

/// An answer that is being read line by line.
#[derive(Debug)]
pub struct Reader {
    child: Child,
    lines: BufReader<ChildStdout>,
    errors: ChildStderr,
    rows: u64,
}

/// How an answer ended.
#[derive(Debug)]
pub struct End {
    /// Rows that arrived, without the header.
    pub rows: u64,
    /// The exit code of the query.
    pub code: Option<i32>,
    /// What it wrote to standard error.
    pub stderr: String,
}

impl Reader {
    /// Runs the query `sql` at `node` as the user who is logged in; the answer is CSV.
    pub fn start(node: &TestNode, sql: &str) -> Self {
        let mut child = node.spawn(&["--format", "csv", "query", sql]);
        let lines = BufReader::new(child.stdout.take().expect("a pipe"));
        let errors = child.stderr.take().expect("a pipe");
        let mut reader = Self {
            child,
            lines,
            errors,
            rows: 0,
        };
        reader.line();
        reader
    }

    /// Reads `count` rows, or fewer if the answer ends; returns the number of all rows so far.
    pub fn read(&mut self, count: u64) -> u64 {
        for _ in 0..count {
            if !self.line() {
                break;
            }
            self.rows += 1;
        }
        self.rows
    }

    /// Reads on to the end.
    pub fn finish(mut self) -> End {
        while self.line() {
            self.rows += 1;
        }
        let mut stderr = String::new();
        self.errors.read_to_string(&mut stderr).expect("errors can be read");
        let code = self.child.wait().expect("the query ends").code();
        End {
            rows: self.rows,
            code,
            stderr,
        }
    }

    fn line(&mut self) -> bool {
        let mut line = Vec::new();
        self.lines.read_until(b'\n', &mut line).expect("the answer can be read") > 0
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        // After `finish` there is nothing left to kill.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
