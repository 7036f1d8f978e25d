//! What the text of a policy set may consist of, checked before it is parsed.
//!
//! Cedar turns a text into its syntax tree, walks the tree and drops it by calling itself, and its work grows with the number of rules
//! and tokens for each request that is evaluated. So both are bounded on the tokens of the text. The tokens are those of Cedar's grammar,
//! except that an operator of two characters counts twice.

use std::iter::Peekable;
use std::str::Chars;

use concordat_protocol::nesting::{Bracket, NestingLimits, Token};

/// How deeply a text may be nested: the rules of the shipped set have fewer than sixty pending tokens, in two brackets.
const NESTING: NestingLimits = NestingLimits {
    brackets: 64,
    pending: 512,
    run: 32,
};
/// Most rules of a set. With these, a check takes some ten seconds; the shipped set has a fifth of them.
const MAX_RULES: usize = 128;
/// Most tokens of a set, so that a few rules cannot be as much work as many; the shipped set has a seventh of them.
const MAX_TOKENS: usize = 8192;
/// Stack of the thread that reads a set, in bytes: 64 KiB for each pending token.
const STACK_BYTES: usize = 32 << 20;

/// What is wrong with the texts of these files, each with its name, one line for each mistake.
pub(crate) fn errors(files: &[(String, String)]) -> Vec<String> {
    let mut errors = Vec::new();
    let mut rules = 0_usize;
    let mut all = 0_usize;
    for (name, text) in files {
        let tokens = Tokens::of(text).map(|(token, ends_rule)| {
            all = all.saturating_add(1);
            rules = rules.saturating_add(usize::from(ends_rule));
            token
        });
        if let Err(nested) = NESTING.check(tokens) {
            errors.push(format!("{name}: {nested}; divide the rule, or write a list"));
        }
    }
    if rules > MAX_RULES {
        errors.push(format!("a policy set has at most {MAX_RULES} rules, not {rules}"));
    }
    if all > MAX_TOKENS {
        errors.push(format!(
            "a policy set has at most {MAX_TOKENS} words and signs, not {all}"
        ));
    }
    errors
}

/// Does `work` on a thread whose stack is large enough for every text that is within the bounds. `None` if there is no memory for it.
pub(crate) fn on_large_stack<T: Send>(work: impl FnOnce() -> T + Send) -> Option<T> {
    std::thread::scope(|scope| {
        let worker = std::thread::Builder::new().stack_size(STACK_BYTES);
        worker.spawn_scoped(scope, work).ok()?.join().ok()
    })
}

/// The tokens of a text, each with whether it ends a rule.
struct Tokens<'a>(Peekable<Chars<'a>>);

impl<'a> Tokens<'a> {
    fn of(text: &'a str) -> Self {
        Self(text.chars().peekable())
    }

    /// Skips the rest of a comment, after its first character. False if there is none.
    fn skip_comment(&mut self) -> bool {
        if self.0.next_if_eq(&'/').is_none() {
            return false;
        }
        while self.0.next_if(|c| !matches!(c, '\n' | '\r')).is_some() {}
        true
    }

    /// Skips the rest of a text in quotes.
    fn skip_text(&mut self) {
        while let Some(character) = self.0.next() {
            match character {
                '"' => return,
                '\\' => {
                    self.0.next();
                }
                _ => {}
            }
        }
    }

    /// The word that begins with `first`.
    fn word(&mut self, first: char) -> String {
        let mut word = String::from(first);
        while let Some(character) = self.0.next_if(|c| c.is_ascii_alphanumeric() || *c == '_') {
            word.push(character);
        }
        word
    }
}

impl Iterator for Tokens<'_> {
    type Item = (Token, bool);

    fn next(&mut self) -> Option<(Token, bool)> {
        loop {
            let token = match self.0.next()? {
                space if space.is_whitespace() => continue,
                '/' if self.skip_comment() => continue,
                '"' => {
                    self.skip_text();
                    Token::Operand
                }
                first if first.is_ascii_alphanumeric() || first == '_' => match self.word(first).as_str() {
                    "if" | "then" | "else" | "in" | "has" | "like" | "is" => Token::Other,
                    _ => Token::Operand,
                },
                '(' => Token::Open(Bracket::Round),
                ')' => Token::Close(Bracket::Round),
                '[' => Token::Open(Bracket::Square),
                ']' => Token::Close(Bracket::Square),
                '{' => Token::Open(Bracket::Curly),
                '}' => Token::Close(Bracket::Curly),
                ',' => Token::Separator,
                ';' => return Some((Token::Separator, true)),
                _ => Token::Other,
            };
            return Some((token, false));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_one(text: &str) -> Vec<String> {
        errors(&[("a.cedar".to_owned(), text.to_owned())])
    }

    fn rule(condition: &str) -> String {
        format!("permit (principal, action, resource) when {{ {condition} }};")
    }

    #[test]
    fn policy_text_is_bounded_as_it_is_read() {
        assert!(of_one(crate::load::DEFAULT).is_empty());
        let brackets = |count: usize| rule(&format!("{}true{}", "(".repeat(count), ")".repeat(count)));
        assert!(of_one(&brackets(60)).is_empty());
        assert!(of_one(&brackets(1000))[0].contains("more than 64 brackets"));
        let chain = |count: usize| rule(&format!("{}true", "true || ".repeat(count)));
        assert!(of_one(&chain(100)).is_empty());
        assert!(of_one(&chain(1000))[0].contains("without a comma"));
        assert!(of_one(&rule(&format!("{}true", "!".repeat(1000))))[0].contains("follow each other"));
        // Neither comments nor texts in quotes are nested, and neither hides what follows.
        let quoted = format!(
            "// {0}\n{1}",
            "(\"".repeat(1000),
            rule(&format!("\"{}\\\"\" == \"/*\"", "(".repeat(1000)))
        );
        assert!(of_one(&quoted).is_empty(), "{:?}", of_one(&quoted));
        for hidden in ["\"\\\\\" == \"\" && ", "1 / 1 == \"//\" && ", "// \"\n "] {
            let text = rule(&format!("{hidden}{}true{}", "(".repeat(100), ")".repeat(100)));
            assert!(!of_one(&text).is_empty(), "{hidden}");
        }
    }

    #[test]
    fn policy_text_has_a_bounded_number_of_rules_and_tokens() {
        let rules = |count: usize| rule("true").repeat(count);
        assert!(of_one(&rules(MAX_RULES)).is_empty());
        assert!(of_one(&rules(MAX_RULES + 1))[0].contains("at most 128 rules"));
        let two = [rules(MAX_RULES / 2 + 1), rules(MAX_RULES / 2)].map(|text| ("a.cedar".to_owned(), text));
        assert!(errors(&two)[0].contains("at most 128 rules"));
        let list = |count: usize| rule(&format!("[{}\"a\"].contains(\"b\")", "\"a\", ".repeat(count)));
        assert!(of_one(&list(1000)).is_empty());
        assert!(of_one(&list(MAX_TOKENS))[0].contains("words and signs, not"));
    }
}
