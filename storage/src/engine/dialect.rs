//! The SQL that questions are written in, at home and at the provider: standard SQL as widely as the parser reads it, and
//! `dataset VERSION AS OF 3` for a version of a dataset.

use std::ops::ControlFlow;

use concordat_protocol::schema::VersionNumber;
use datafusion::sql::sqlparser::{
    ast::{
        Expr, Select, Statement, TableFactor, TableVersion, Value, ValueWithSpan, Visit, VisitMut, Visitor, VisitorMut,
    },
    dialect::GenericDialect,
    keywords::Keyword,
    parser::{Parser, ParserError},
    tokenizer::{Location, Token, TokenWithSpan, Tokenizer},
};

/// How deeply calls, lists and `CASE` may be nested in each other, in words before they are read: where the parser fails, it tries some of
/// them a second way, so that its work doubles with every level.
const MAX_FORMS: usize = 14;
/// Stack for reading one statement, in bytes.
const STACK_BYTES: usize = 128 << 20;

/// Reads `sql`, nested at most `depth` deep.
///
/// # Errors
/// What the parser says, that it is nested too deeply, and that a version stands behind something other than a table.
pub fn parse(sql: &str, depth: usize) -> Result<Vec<Statement>, ParserError> {
    with_room(|| {
        let statements = read(sql, depth)?;
        if is_shallow(&statements, depth) {
            Ok(statements)
        } else {
            Err(ParserError::RecursionLimitExceeded)
        }
    })
}

fn read(sql: &str, depth: usize) -> Result<Vec<Statement>, ParserError> {
    let tokens = Tokenizer::new(&GenericDialect {}, sql).tokenize_with_location()?;
    let (tokens, named) = without_versions(tokens);
    if put_together(&tokens) > depth {
        return Err(ParserError::RecursionLimitExceeded);
    }
    if forms_within_forms(&tokens) > MAX_FORMS {
        return Err(ParserError::RecursionLimitExceeded);
    }
    let mut statements = Parser::new(&GenericDialect {})
        .with_recursion_limit(depth)
        .with_tokens_with_locations(tokens)
        .parse_statements()?;
    let mut placing = Placing(named);
    let _ = VisitMut::visit(&mut statements, &mut placing);
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

/// The most words with a parenthesis or `CASE` that are open at the same time.
fn forms_within_forms(tokens: &[TokenWithSpan]) -> usize {
    let (mut open, mut forms, mut most) = (Vec::new(), 0_usize, 0);
    let mut after_word = false;
    for TokenWithSpan { token, .. } in tokens {
        let is_case = is_word(token, Keyword::CASE);
        if is_case || matches!(token, Token::LParen | Token::LBracket | Token::LBrace) {
            let form = is_case || after_word || *token != Token::LParen;
            forms = forms.saturating_add(usize::from(form));
            most = most.max(forms);
            open.push(form);
        } else if is_word(token, Keyword::END) || matches!(token, Token::RParen | Token::RBracket | Token::RBrace) {
            forms = forms.saturating_sub(usize::from(open.pop().unwrap_or(false)));
        }
        after_word = matches!(token, Token::Word(_));
    }
    most
}

fn is_word(token: &Token, keyword: Keyword) -> bool {
    matches!(token, Token::Word(word) if word.keyword == keyword)
}

/// How many queries are put together, as by `UNION`.
fn put_together(tokens: &[TokenWithSpan]) -> usize {
    let joins = [Keyword::UNION, Keyword::INTERSECT, Keyword::EXCEPT, Keyword::MINUS];
    let is_one = |token: &&TokenWithSpan| joins.iter().any(|keyword| is_word(&token.token, *keyword));
    tokens.iter().filter(is_one).count()
}

/// Whether expressions are nested no deeper than `most`, and no block has more tables than that: who has the statement walks it
/// recursively.
fn is_shallow(statements: &Vec<Statement>, most: usize) -> bool {
    let mut nesting = Nesting { most, depth: 0 };
    Visit::visit(statements, &mut nesting).is_continue()
}

struct Nesting {
    most: usize,
    depth: usize,
}

impl Visitor for Nesting {
    type Break = ();

    fn pre_visit_expr(&mut self, _: &Expr) -> ControlFlow<()> {
        self.depth = self.depth.saturating_add(1);
        if self.depth > self.most {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    }

    fn post_visit_expr(&mut self, _: &Expr) -> ControlFlow<()> {
        self.depth = self.depth.saturating_sub(1);
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<()> {
        let joined = select.from.iter().map(|from| from.joins.len().saturating_add(1));
        if joined.sum::<usize>() > self.most {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    }
}

/// Reads on a thread with room for the deepest nesting of the longest text: a chain `1+1+…` nests some 30,000 deep before it is refused,
/// and even dropping it recurses.
fn with_room<T: Send>(read: impl FnOnce() -> Result<T, ParserError> + Send) -> Result<T, ParserError> {
    on_large_stack(read).unwrap_or_else(|| Err(ParserError::ParserError("there is no room to read it".to_owned())))
}

/// Does `work`, which walks a statement recursively, on a thread with a stack for it; memory of the stack that is not used is not taken.
/// `None` if there is no such thread.
pub fn on_large_stack<T: Send>(work: impl FnOnce() -> T + Send) -> Option<T> {
    std::thread::scope(|scope| {
        let worker = std::thread::Builder::new().stack_size(STACK_BYTES);
        worker.spawn_scoped(scope, work).ok()?.join().ok()
    })
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
