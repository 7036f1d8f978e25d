//! The SQL that questions are written in, at home and at the provider: standard SQL as widely as the parser reads it, and
//! `dataset VERSION AS OF 3` for a version of a dataset.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::{
    ast::{Expr, Statement, TableFactor, TableVersion, Value, ValueWithSpan, VisitMut, VisitorMut},
    dialect::GenericDialect,
    keywords::Keyword,
    parser::{Parser, ParserError},
    tokenizer::{Location, Token, TokenWithSpan, Tokenizer},
};

use crate::catalog::VersionNumber;

/// Reads `sql`, nested at most `depth` deep.
///
/// # Errors
/// What the parser says, and that a version stands behind something other than a table.
pub fn parse(sql: &str, depth: usize) -> Result<Vec<Statement>, ParserError> {
    let tokens = Tokenizer::new(&GenericDialect {}, sql).tokenize_with_location()?;
    let (tokens, named) = without_versions(tokens);
    let mut statements = Parser::new(&GenericDialect {})
        .with_recursion_limit(depth)
        .with_tokens_with_locations(tokens)
        .parse_statements()?;
    let mut placing = Placing(named);
    let _ = statements.visit(&mut placing);
    match placing.0.as_slice() {
        [] => Ok(statements),
        [..] => Err(ParserError::ParserError(
            "`VERSION AS OF` stands behind the name of a dataset".to_owned(),
        )),
    }
}

/// The number in `VERSION AS OF number`; nothing for every other way to name a point in time.
#[must_use]
pub fn version_number(version: &TableVersion) -> Option<VersionNumber> {
    let TableVersion::VersionAsOf(Expr::Value(ValueWithSpan {
        value: Value::Number(number, _),
        ..
    })) = version
    else {
        return None;
    };
    number.parse().ok().map(VersionNumber::new)
}

/// A version, and where the name before it ends.
struct Named {
    behind: Location,
    version: TableVersion,
}

/// Takes each `VERSION AS OF number` out of the text; the dialect does not know it.
fn without_versions(tokens: Vec<TokenWithSpan>) -> (Vec<TokenWithSpan>, Vec<Named>) {
    let (mut kept, mut named): (Vec<TokenWithSpan>, Vec<Named>) = (Vec::new(), Vec::new());
    for token in tokens {
        if matches!(token.token, Token::Whitespace(_)) {
            continue;
        }
        kept.push(token);
        if let Some(found) = version_at_the_end(&kept) {
            named.push(found);
            kept.truncate(kept.len().saturating_sub(4));
        }
    }
    (kept, named)
}

fn version_at_the_end(tokens: &[TokenWithSpan]) -> Option<Named> {
    let [.., name, version, is_as, of, number] = tokens else {
        return None;
    };
    let is = |token: &TokenWithSpan, keyword| matches!(&token.token, Token::Word(word) if word.keyword == keyword);
    let Token::Number(digits, long) = &number.token else {
        return None;
    };
    let named = matches!(name.token, Token::Word(_));
    let said = is(version, Keyword::VERSION) && is(is_as, Keyword::AS) && is(of, Keyword::OF);
    (named && said).then(|| Named {
        behind: name.span.end,
        version: TableVersion::VersionAsOf(Expr::value(Value::Number(digits.clone(), *long))),
    })
}

/// Puts versions to the tables that they stood behind; those that remain stood behind something else.
struct Placing(Vec<Named>);

impl VisitorMut for Placing {
    type Break = ();

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<()> {
        if let TableFactor::Table { name, version, .. } = factor
            && let Some(end) = name
                .0
                .last()
                .and_then(|part| part.as_ident())
                .map(|ident| ident.span.end)
            && let Some(at) = self.0.iter().position(|named| named.behind == end)
        {
            *version = Some(self.0.swap_remove(at).version);
        }
        ControlFlow::Continue(())
    }
}
