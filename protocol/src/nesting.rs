//! How deeply a text may be nested, checked on its tokens before a parser that calls itself reads it.
//!
//! A call of such a parser that has not returned has read at least one token of its own, whatever the rule of its grammar is: a
//! bracket, a keyword or operator before its operand, or an operand and what follows it. It has returned once the bracket around it is
//! closed, or the next item of the list around it begins. So the open calls are at most as many as the tokens since the last separator, of each
//! bracket that is open, and so is the depth of the syntax tree. The stack of the thread that parses, walks and drops the tree is
//! chosen for this bound.
//!
//! Parsers that try a text in several ways also need a bound on the keywords and operators that follow each other without an operand.

/// What a token is to the bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Token {
    /// A bracket that opens.
    Open(Bracket),
    /// A bracket that closes.
    Close(Bracket),
    /// What ends an item of a list, for example a comma.
    Separator,
    /// What ends an item if the innermost open bracket has this form, and is a keyword otherwise.
    SeparatorWithin(Bracket),
    /// A name or a literal.
    Operand,
    /// A keyword, an operator, or any other token.
    Other,
}

/// The form of a bracket. One that is closed by another form stays open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bracket {
    /// `(` and `)`.
    Round,
    /// `[` and `]`.
    Square,
    /// `{` and `}`.
    Curly,
    /// Two keywords, as `CASE` and `END`.
    Keywords,
}

/// The most of each that a text may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NestingLimits {
    /// Brackets that are open at the same time.
    pub brackets: usize,
    /// Tokens since the last separator, of all open brackets together.
    pub pending: usize,
    /// Keywords and operators directly after each other.
    pub run: usize,
}

/// Why a text is not parsed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TooNested {
    /// Too many brackets are open at the same time.
    #[error("more than {0} brackets are open at the same time")]
    Brackets(usize),
    /// Too many tokens without a separator.
    #[error("there are more than {0} words and signs without a comma")]
    Pending(usize),
    /// Too many keywords and operators in a row.
    #[error("more than {0} keywords and operators follow each other")]
    Run(usize),
}

impl NestingLimits {
    /// Checks the tokens of a text, without whitespace and comments. Its own work does not depend on how they are nested.
    ///
    /// # Errors
    /// [`TooNested`] at the first token that is too many.
    pub fn check(self, tokens: impl IntoIterator<Item = Token>) -> Result<(), TooNested> {
        let mut open = OpenBrackets::default();
        let mut run = 0_usize;
        for token in tokens {
            open.add(token);
            run = match token {
                Token::Other | Token::SeparatorWithin(_) => run.saturating_add(1),
                Token::Open(_) | Token::Close(_) | Token::Separator | Token::Operand => 0,
            };
            if open.levels.len() > self.brackets {
                return Err(TooNested::Brackets(self.brackets));
            }
            if open.pending > self.pending {
                return Err(TooNested::Pending(self.pending));
            }
            if run > self.run {
                return Err(TooNested::Run(self.run));
            }
        }
        Ok(())
    }
}

/// The brackets that are open.
#[derive(Default)]
struct OpenBrackets {
    /// Each with the tokens that were pending before it in the bracket around it, itself included.
    levels: Vec<(Bracket, usize)>,
    /// Tokens since the last separator of the innermost bracket.
    current: usize,
    /// Those of all brackets together.
    pending: usize,
}

impl OpenBrackets {
    fn add(&mut self, token: Token) {
        match token {
            Token::Separator => self.end_item(),
            Token::SeparatorWithin(form) if self.levels.last().is_some_and(|(opened, _)| *opened == form) => {
                self.end_item();
            }
            Token::Close(form) => {
                let closed = self.levels.pop_if(|(opened, _)| *opened == form);
                if let Some((_, outer)) = closed {
                    self.end_item();
                    self.current = outer;
                }
                self.count();
            }
            Token::Open(form) => {
                self.count();
                self.levels.push((form, self.current));
                self.current = 0;
            }
            Token::SeparatorWithin(_) | Token::Operand | Token::Other => self.count(),
        }
    }

    fn end_item(&mut self) {
        self.pending = self.pending.saturating_sub(self.current);
        self.current = 0;
    }

    fn count(&mut self) {
        self.current = self.current.saturating_add(1);
        self.pending = self.pending.saturating_add(1);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LIMITS: NestingLimits = NestingLimits {
        brackets: 4,
        pending: 20,
        run: 5,
    };

    /// Brackets, among them `<` and `>` for keywords; `,`, and `;` for a separator within keywords; a letter for an operand.
    fn tokens(text: &str) -> Vec<Token> {
        let token = |character: char| match character {
            '(' => Token::Open(Bracket::Round),
            '[' => Token::Open(Bracket::Square),
            '{' => Token::Open(Bracket::Curly),
            ')' => Token::Close(Bracket::Round),
            ']' => Token::Close(Bracket::Square),
            '}' => Token::Close(Bracket::Curly),
            '<' => Token::Open(Bracket::Keywords),
            '>' => Token::Close(Bracket::Keywords),
            ',' => Token::Separator,
            ';' => Token::SeparatorWithin(Bracket::Keywords),
            letter if letter.is_ascii_alphabetic() => Token::Operand,
            _ => Token::Other,
        };
        text.chars().map(token).collect()
    }

    fn checked(text: &str) -> Result<(), TooNested> {
        LIMITS.check(tokens(text))
    }

    #[test]
    fn nesting_of_brackets_is_limited_whatever_their_form() {
        assert_eq!(checked("([{(a)}])"), Ok(()));
        assert_eq!(checked("([{([a])}])"), Err(TooNested::Brackets(4)));
        assert_eq!(checked("(),(),(),(),(),()"), Ok(()));
        // One that is closed by another form stays open.
        assert_eq!(checked("(],(],(],(],(]"), Err(TooNested::Brackets(4)));
    }

    #[test]
    fn nesting_counts_tokens_since_the_last_separator() {
        assert_eq!(checked(&"a,".repeat(1000)), Ok(()));
        assert_eq!(checked(&"a+".repeat(10)), Ok(()));
        assert_eq!(checked(&"a+".repeat(11)), Err(TooNested::Pending(20)));
        // What is closed counts as its brackets only, and what is around an open bracket still counts.
        assert_eq!(checked(&"(a+a+a)".repeat(8)), Ok(()));
        assert_eq!(checked(&"(a+a+a)".repeat(9)), Err(TooNested::Pending(20)));
        assert_eq!(checked("a+a+a+a+a+(a,a+a+(a,a+a+"), Ok(()));
        assert_eq!(checked("a+a+a+a+a+(a,a+a+(a,a+a+a"), Err(TooNested::Pending(20)));
    }

    #[test]
    fn nesting_separator_of_keywords_ends_only_their_items() {
        assert_eq!(checked(&format!("<{}>", "a+a;".repeat(1000))), Ok(()));
        assert_eq!(checked(&"a+a;".repeat(6)), Err(TooNested::Pending(20)));
        assert_eq!(
            checked(&format!("<({})>", "a+a;".repeat(6))),
            Err(TooNested::Pending(20))
        );
    }

    #[test]
    fn nesting_limits_keywords_and_operators_in_a_row() {
        assert_eq!(checked("-----a,-----a"), Ok(()));
        assert_eq!(checked("------a"), Err(TooNested::Run(5)));
        assert_eq!(checked("-!-!-!a"), Err(TooNested::Run(5)));
    }

    /// A parser in which each token but a separator opens a call that returns only at a separator or a bracket that closes.
    fn deepest(tokens: &[Token]) -> usize {
        let mut calls: Vec<Option<Bracket>> = Vec::new();
        let mut most = 0;
        for token in tokens {
            match token {
                Token::Open(form) => calls.extend([None, Some(*form)]),
                Token::Close(form) => {
                    let around = calls.iter().rposition(Option::is_some);
                    if let Some(at) = around.filter(|at| calls[*at] == Some(*form)) {
                        calls.truncate(at);
                    }
                    calls.push(None);
                }
                Token::Separator => {
                    let around = calls.iter().rposition(Option::is_some);
                    calls.truncate(around.map_or(0, |at| at + 1));
                }
                Token::SeparatorWithin(form) => {
                    let around = calls.iter().rposition(Option::is_some);
                    match around.filter(|at| calls[*at] == Some(*form)) {
                        Some(at) => calls.truncate(at + 1),
                        None => calls.push(None),
                    }
                }
                Token::Operand | Token::Other => calls.push(None),
            }
            most = most.max(calls.iter().filter(|call| call.is_none()).count());
        }
        most
    }

    proptest! {
        #[test]
        fn nesting_that_is_admitted_bounds_the_calls_of_a_parser(text in r"[\(\[\{<\)\]\}>,;a+]{0,60}") {
            let tokens = tokens(&text);
            if LIMITS.check(tokens.iter().copied()).is_ok() {
                prop_assert!(deepest(&tokens) <= LIMITS.pending);
            }
            let free = NestingLimits { pending: deepest(&tokens), brackets: usize::MAX, run: usize::MAX };
            prop_assert_eq!(free.check(tokens), Ok(()));
        }
    }
}
