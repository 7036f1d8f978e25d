//! The parser of texts, as the node's crate has it.
//!
//! The parser is a library's and calls itself. Whatever bounds a text passes before, a text may be found that overflows its stack or
//! never ends it. So no text is parsed in the node's own process: [`TextParser`] exists in an engine process only.

use datafusion::sql::sqlparser::{
    ast::{Expr, Statement},
    parser::ParserError,
};

use crate::dialect;

/// The parser of SQL texts. A computation has it ([`Channel::parser`](crate::Channel::parser)), so it runs in an engine process, whose end
/// is an error of one query.
#[derive(Clone, Copy, Debug)]
pub struct TextParser(());

impl TextParser {
    /// The parser of the engine process that calls this.
    pub(crate) const fn of_process() -> Self {
        Self(())
    }

    /// Parses `sql`, nested at most `depth` deep.
    ///
    /// # Errors
    /// An error of the parser; [`ParserError::RecursionLimitExceeded`] if it is nested too deeply; an error if a version follows something
    /// other than a table.
    pub fn parse(self, sql: &str, depth: usize) -> Result<Vec<Statement>, ParserError> {
        dialect::parse(sql, depth)
    }

    /// Parses `sql` as one expression, nested at most `depth` deep, except for its chains of operators. It needs the thread of a
    /// computation, which has a large stack, as does what walks or drops the expression.
    ///
    /// # Errors
    /// As [`Self::parse`]; an error if something follows the expression.
    pub fn parse_expression(self, sql: &str, depth: usize) -> Result<Expr, ParserError> {
        dialect::parse_expression(sql, depth)
    }

    /// Does `work` with a parser in this process, on a thread with a large stack. Only tests may: a test of the sources checks it. `None` if
    /// there is no thread, or if `work` panics.
    pub fn in_tests<T: Send>(work: impl FnOnce(Self) -> T + Send) -> Option<T> {
        dialect::on_large_stack(|| work(Self(())))
    }
}
