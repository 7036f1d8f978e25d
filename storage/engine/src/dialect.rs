//! The SQL dialect of queries, for local data and at the provider: standard SQL as far as the parser supports it, and
//! `dataset VERSION AS OF 3` for a version of a dataset.

use std::ops::ControlFlow;

use concordat_protocol::nesting::{self, Bracket, NestingLimits};
use concordat_protocol::schema::VersionNumber;
use datafusion::sql::sqlparser::{
    ast::{
        Expr, LimitClause, ObjectName, Query, Select, Statement, TableFactor, TableVersion, Value, ValueWithSpan,
        Visitor, VisitorMut,
    },
    dialect::GenericDialect,
    keywords::Keyword,
    parser::{Parser, ParserError},
    tokenizer::{Location, Token, TokenWithSpan, Tokenizer},
};

use super::{
    precedence::LogicalOperators,
    visit::{visit, visit_mut},
};

/// How deeply calls, lists and `CASE` may be nested, counted in tokens before they are parsed: where the parser fails,
/// it tries some of them a second way, so that its work doubles with every level.
const MAX_FORMS: usize = 14;
/// Most tokens that the parser may read, each as often as the forms around it can make it: a long list in few forms, or few tokens in many. It
/// reads as many in a second.
const MAX_READS: u64 = 1 << 22;
/// How deeply a text may be nested before it is parsed. The parser counts its own depth only in some of its rules, and chains of operators in
/// none. Levels of a query that is answered have some ten tokens each, and the deepest one has 64 levels.
const NESTING: NestingLimits = NestingLimits {
    brackets: 256,
    pending: 2048,
    run: 32,
};
/// Maximum number of `INTERVAL` before something other than a literal: where the parser fails, it has read what follows each of them twice.
const MAX_INTERVALS: usize = 8;
/// Types whose parts are in angle brackets.
const ANGLE_TYPES: [Keyword; 3] = [Keyword::STRUCT, Keyword::ARRAY, Keyword::MAP];
/// Most of them in a text. No column has such a type.
const MAX_ANGLE_TYPES: usize = 16;
/// Maximum number of tables, with each use of a table that a `WITH` defines counted as the tables behind it: the planner copies them, so
/// that a chain of forty definitions of two tables each would never be planned.
const MAX_TABLES: u64 = 1000;
/// The name of a thread that has a stack of at least [`STACK_BYTES`].
pub(super) const LARGE_STACK: &str = "large-stack";
/// Stack for reading one statement, in bytes: 64 KiB for each pending token of [`NESTING`], which is enough in a build without optimization.
const STACK_BYTES: usize = 128 << 20;

/// Parses `sql`, nested at most `depth` deep.
///
/// # Errors
/// An error of the parser; [`ParserError::RecursionLimitExceeded`] if it is nested too deeply; an error if a version
/// follows something other than a table.
pub(super) fn parse(sql: &str, depth: usize) -> Result<Vec<Statement>, ParserError> {
    on_parser_stack(|| {
        let statements = read(sql, depth)?;
        if is_shallow(&statements, depth) && expanded_tables(&statements) <= MAX_TABLES {
            Ok(statements)
        } else {
            Err(ParserError::RecursionLimitExceeded)
        }
    })
}

/// Parses `sql` as one expression, nested at most `depth` deep, except for its chains of operators. It needs a thread with a large stack
/// ([`on_large_stack`]), as does what walks or drops the expression.
///
/// # Errors
/// As [`parse`]; an error if something follows the expression.
pub(super) fn parse_expression(sql: &str, depth: usize) -> Result<Expr, ParserError> {
    let tokens = Tokenizer::new(&GenericDialect {}, sql).tokenize_with_location()?;
    let tokens: Vec<TokenWithSpan> = tokens.into_iter().filter(is_significant).collect();
    bounded(&tokens)?;
    let mut parser = Parser::new(&GenericDialect {})
        .with_recursion_limit(depth)
        .with_tokens_with_locations(tokens);
    let expression = parser.parse_expr()?;
    parser.expect_token(&Token::EOF)?;
    Ok(expression)
}

fn read(sql: &str, depth: usize) -> Result<Vec<Statement>, ParserError> {
    let tokens = Tokenizer::new(&GenericDialect {}, sql).tokenize_with_location()?;
    let (tokens, named) = without_versions(tokens);
    if set_operations(&tokens) > depth {
        return Err(ParserError::RecursionLimitExceeded);
    }
    bounded(&tokens)?;
    let mut statements = Parser::new(&GenericDialect {})
        .with_recursion_limit(depth)
        .with_tokens_with_locations(tokens)
        .parse_statements()?;
    let _ = visit_mut(&mut statements, &mut LogicalOperators);
    let _ = visit_mut(&mut statements, &mut FetchIsLimit);
    let mut attacher = VersionAttacher(named);
    let _ = visit_mut(&mut statements, &mut attacher);
    match attacher.0.as_slice() {
        [] => Ok(statements),
        [..] => Err(ParserError::ParserError(
            "`VERSION AS OF` must follow the name of a dataset".to_owned(),
        )),
    }
}

/// Checks what bounds depth and work of the parser. Every text passes it before it is parsed.
pub(super) fn bounded(tokens: &[TokenWithSpan]) -> Result<(), ParserError> {
    let nested = NESTING.check(tokens.iter().map(|token| nesting_token(&token.token)));
    let has_few_types = open_intervals(tokens) <= MAX_INTERVALS && angle_types(tokens) <= MAX_ANGLE_TYPES;
    if nested.is_err() || !has_few_forms(tokens) || !has_few_types {
        return Err(ParserError::RecursionLimitExceeded);
    }
    Ok(())
}

/// What a token is to the bound on nesting. A keyword that is used as a name counts as a keyword.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "every other token is a sign or an operator"
)]
fn nesting_token(token: &Token) -> nesting::Token {
    match token {
        Token::LParen => nesting::Token::Open(Bracket::Round),
        Token::RParen => nesting::Token::Close(Bracket::Round),
        Token::LBracket => nesting::Token::Open(Bracket::Square),
        Token::RBracket => nesting::Token::Close(Bracket::Square),
        Token::LBrace => nesting::Token::Open(Bracket::Curly),
        Token::RBrace => nesting::Token::Close(Bracket::Curly),
        Token::Comma => nesting::Token::Separator,
        Token::Word(word) => match word.keyword {
            Keyword::NoKeyword => nesting::Token::Operand,
            Keyword::CASE => nesting::Token::Open(Bracket::Keywords),
            Keyword::WHEN => nesting::Token::SeparatorWithin(Bracket::Keywords),
            Keyword::END => nesting::Token::Close(Bracket::Keywords),
            _ => nesting::Token::Other,
        },
        token if is_literal(token) => nesting::Token::Operand,
        _ => nesting::Token::Other,
    }
}

/// Whether the token is a number or a text, of the forms that queries use.
fn is_literal(token: &Token) -> bool {
    matches!(token, Token::Number(..) | Token::SingleQuotedString(_))
}

/// The number of `INTERVAL` that are not followed by a literal.
fn open_intervals(tokens: &[TokenWithSpan]) -> usize {
    let is_open = |pair: &&[TokenWithSpan]| match pair {
        [word, next] => is_word(&word.token, Keyword::INTERVAL) && !is_literal(&next.token),
        _ => false,
    };
    tokens.windows(2).filter(is_open).count()
}

/// The number of types whose parts follow in angle brackets. They are counted in the whole text: a sign that also compares is no bracket, and
/// the commas between the parts do not end the type.
fn angle_types(tokens: &[TokenWithSpan]) -> usize {
    let opens = |pair: &&[TokenWithSpan]| match pair {
        [word, next] => ANGLE_TYPES.iter().any(|name| is_word(&word.token, *name)) && next.token == Token::Lt,
        _ => false,
    };
    tokens.windows(2).filter(opens).count()
}

fn is_significant(token: &TokenWithSpan) -> bool {
    !matches!(token.token, Token::Whitespace(_))
}

/// `FETCH FIRST n ROWS ONLY` becomes `LIMIT n`, in every query of the statement. What has no such form stays, and is refused later.
struct FetchIsLimit;

impl VisitorMut for FetchIsLimit {
    type Break = ();

    fn post_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        let Some(fetch) = query.fetch.take_if(|fetch| !fetch.with_ties && !fetch.percent) else {
            return ControlFlow::Continue(());
        };
        let one = || Expr::value(Value::Number("1".to_owned(), false));
        match &mut query.limit_clause {
            clause @ None => {
                *clause = Some(LimitClause::LimitOffset {
                    limit: Some(fetch.quantity.unwrap_or_else(one)),
                    offset: None,
                    limit_by: Vec::new(),
                });
            }
            Some(LimitClause::LimitOffset {
                limit: limit @ None, ..
            }) => *limit = Some(fetch.quantity.unwrap_or_else(one)),
            Some(_) => query.fetch = Some(fetch),
        }
        ControlFlow::Continue(())
    }
}

/// The number in `VERSION AS OF number`; `None` for every other way to name a point in time.
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

/// Whether the calls, lists and `CASE` expressions around each token are few enough for the parser, which can read it twice for each.
fn has_few_forms(tokens: &[TokenWithSpan]) -> bool {
    let mut open = Vec::new();
    let mut forms = 0_usize;
    let mut reads = 0_u64;
    let mut after_word = false;
    for TokenWithSpan { token, .. } in tokens {
        let is_case = is_word(token, Keyword::CASE);
        if is_case || matches!(token, Token::LParen | Token::LBracket | Token::LBrace) {
            let form = is_case || after_word || *token != Token::LParen;
            forms = forms.saturating_add(usize::from(form));
            open.push((is_case, form));
        } else if is_word(token, Keyword::END) || matches!(token, Token::RParen | Token::RBracket | Token::RBrace) {
            // What is closed by another form stays open: `END` is a name in front of a bracket.
            let closes_case = is_word(token, Keyword::END);
            let closed = open.pop_if(|(is_case, _)| *is_case == closes_case);
            forms = forms.saturating_sub(usize::from(closed.is_some_and(|(_, form)| form)));
        }
        if forms > MAX_FORMS {
            return false;
        }
        reads = reads.saturating_add(1 << forms);
        after_word = matches!(token, Token::Word(_));
    }
    reads <= MAX_READS
}

fn is_word(token: &Token, keyword: Keyword) -> bool {
    matches!(token, Token::Word(word) if word.keyword == keyword)
}

/// The number of set operations, such as `UNION`.
fn set_operations(tokens: &[TokenWithSpan]) -> usize {
    let joins = [Keyword::UNION, Keyword::INTERSECT, Keyword::EXCEPT, Keyword::MINUS];
    let is_one = |token: &&TokenWithSpan| joins.iter().any(|keyword| is_word(&token.token, *keyword));
    tokens.iter().filter(is_one).count()
}

/// Whether expressions are nested no deeper than `most`, and no block has more tables than that: later code walks the
/// statement recursively.
fn is_shallow(statements: &Vec<Statement>, most: usize) -> bool {
    let mut nesting = Nesting {
        most,
        depth: 0,
        tables: 0,
    };
    visit(statements, &mut nesting).is_continue()
}

struct Nesting {
    most: usize,
    depth: usize,
    /// Tables within each other, as in `a UNPIVOT (…) UNPIVOT (…)`.
    tables: usize,
}

/// Breaks if there is more than `most`.
const fn at_most(most: usize, found: usize) -> ControlFlow<()> {
    if found > most {
        ControlFlow::Break(())
    } else {
        ControlFlow::Continue(())
    }
}

impl Visitor for Nesting {
    type Break = ();

    fn pre_visit_expr(&mut self, _: &Expr) -> ControlFlow<()> {
        self.depth = self.depth.saturating_add(1);
        at_most(self.most, self.depth)
    }

    fn post_visit_expr(&mut self, _: &Expr) -> ControlFlow<()> {
        self.depth = self.depth.saturating_sub(1);
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<()> {
        let joined = select.from.iter().map(|from| from.joins.len().saturating_add(1));
        at_most(self.most, joined.sum())
    }

    fn pre_visit_table_factor(&mut self, _: &TableFactor) -> ControlFlow<()> {
        self.tables = self.tables.saturating_add(1);
        at_most(self.most, self.tables)
    }

    fn post_visit_table_factor(&mut self, _: &TableFactor) -> ControlFlow<()> {
        self.tables = self.tables.saturating_sub(1);
        ControlFlow::Continue(())
    }
}

/// The number of tables that the planner reads, with every definition copied to where it is used.
fn expanded_tables(statements: &Vec<Statement>) -> u64 {
    let mut expanded = ExpandedTables::default();
    let _ = visit(statements, &mut expanded);
    expanded.sum
}

/// Counts the tables of each query. The definitions of a `WITH` are visited before the rest of their query.
#[derive(Default)]
struct ExpandedTables {
    open: Vec<OpenQuery>,
    /// Each definition that is visible, and the number of tables behind it.
    defined: Vec<(String, u64)>,
    sum: u64,
}

struct OpenQuery {
    /// The names of the definitions that have not been visited, the next one last.
    definitions: Vec<String>,
    /// The number of definitions that were visible before this query.
    visible: usize,
    tables: u64,
}

impl Visitor for ExpandedTables {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        let definitions = query.with.iter().flat_map(|with| &with.cte_tables);
        self.open.push(OpenQuery {
            definitions: definitions.map(|table| table.alias.name.value.clone()).rev().collect(),
            visible: self.defined.len(),
            tables: 0,
        });
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
        let Some(done) = self.open.pop() else {
            return ControlFlow::Continue(());
        };
        self.defined.truncate(done.visible);
        match self.open.last_mut() {
            None => self.sum = self.sum.saturating_add(done.tables),
            Some(outer) => match outer.definitions.pop() {
                Some(name) => self.defined.push((name, done.tables)),
                None => outer.tables = outer.tables.saturating_add(done.tables),
            },
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_relation(&mut self, name: &ObjectName) -> ControlFlow<()> {
        let single = match name.0.as_slice() {
            [part] => part.as_ident().map(|ident| ident.value.as_str()),
            _ => None,
        };
        let behind = self
            .defined
            .iter()
            .rev()
            .find(|(defined, _)| Some(defined.as_str()) == single);
        let tables = behind.map_or(1, |(_, tables)| *tables).max(1);
        if let Some(query) = self.open.last_mut() {
            query.tables = query.tables.saturating_add(tables);
        }
        ControlFlow::Continue(())
    }
}

/// Parses on a thread whose stack is large enough for the deepest text that is parsed: the tree is walked to find that it is too deep, and even
/// dropping it recurses.
fn on_parser_stack<T: Send>(read: impl FnOnce() -> Result<T, ParserError> + Send) -> Result<T, ParserError> {
    on_large_stack(read).unwrap_or_else(|| {
        Err(ParserError::ParserError(
            "there is not enough memory to parse it".to_owned(),
        ))
    })
}

/// Does `work`, which walks a statement recursively, on a thread with a large stack; memory of unused parts of the
/// stack is not allocated. `None` if the thread cannot be created. Work within such work stays on its thread; in an engine process, the thread
/// that plans has a large stack already.
pub(super) fn on_large_stack<T: Send>(work: impl FnOnce() -> T + Send) -> Option<T> {
    if std::thread::current().name() == Some(LARGE_STACK) {
        return Some(work());
    }
    std::thread::scope(|scope| {
        let worker = std::thread::Builder::new().name(LARGE_STACK.to_owned());
        let worker = worker.stack_size(STACK_BYTES);
        worker.spawn_scoped(scope, work).ok()?.join().ok()
    })
}

/// A version, and the position where the name before it ends.
struct NamedVersion {
    name_end: Location,
    version: TableVersion,
}

/// Removes each `VERSION AS OF number` from the tokens, because the parser's dialect does not support it.
fn without_versions(tokens: Vec<TokenWithSpan>) -> (Vec<TokenWithSpan>, Vec<NamedVersion>) {
    let mut remaining: Vec<TokenWithSpan> = Vec::new();
    let mut named: Vec<NamedVersion> = Vec::new();
    for token in tokens {
        if !is_significant(&token) {
            continue;
        }
        remaining.push(token);
        if let Some(found) = trailing_version(&remaining) {
            named.push(found);
            remaining.truncate(remaining.len().saturating_sub(4));
        }
    }
    (remaining, named)
}

fn trailing_version(tokens: &[TokenWithSpan]) -> Option<NamedVersion> {
    let [.., name, version, is_as, of, number] = tokens else {
        return None;
    };
    let is = |token: &TokenWithSpan, keyword| matches!(&token.token, Token::Word(word) if word.keyword == keyword);
    let Token::Number(digits, long) = &number.token else {
        return None;
    };
    let named = matches!(name.token, Token::Word(_));
    let is_clause = is(version, Keyword::VERSION) && is(is_as, Keyword::AS) && is(of, Keyword::OF);
    (named && is_clause).then(|| NamedVersion {
        name_end: name.span.end,
        version: TableVersion::VersionAsOf(Expr::value(Value::Number(digits.clone(), *long))),
    })
}

/// Attaches versions to the tables that they followed; those that remain followed something else.
struct VersionAttacher(Vec<NamedVersion>);

impl VisitorMut for VersionAttacher {
    type Break = ();

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<()> {
        if let TableFactor::Table { name, version, .. } = factor
            && let Some(end) = name
                .0
                .last()
                .and_then(|part| part.as_ident())
                .map(|ident| ident.span.end)
            && let Some(at) = self.0.iter().position(|named| named.name_end == end)
        {
            *version = Some(self.0.swap_remove(at).version);
        }
        ControlFlow::Continue(())
    }
}

#[cfg(test)]
mod tests {
    use std::thread::{Builder, current};

    use super::*;

    /// In an engine process there is not always memory for the stack of another thread.
    #[test]
    fn work_stays_on_a_thread_with_a_large_stack() {
        let stays = || on_large_stack(|| current().id()) == Some(current().id());
        assert!(!stays());
        let planner = Builder::new().name(LARGE_STACK.to_owned()).stack_size(STACK_BYTES);
        assert!(planner.spawn(stays).unwrap().join().unwrap());
        assert_eq!(on_large_stack(stays), Some(true), "work within such work");
    }
}
