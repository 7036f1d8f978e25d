//! Patterns of text. Those of `SIMILAR TO` are neither those of `LIKE` nor regular expressions: the library takes them for the latter.

use datafusion::{
    common::DFSchema,
    error::Result,
    logical_expr::{Expr, Like, Operator, lit},
};

use super::{
    class::text_literal,
    expressions::{operation, refused},
    operands,
};

/// Characters that a regular expression and a pattern of `SIMILAR TO` have in common.
const COMMON: [char; 8] = ['|', '*', '+', '?', '{', '}', '(', ')'];

/// `LIKE` and the like: both sides are text.
pub(super) fn like(like: Like, schema: &DFSchema) -> Result<Like> {
    operands::text(&like.expr, "LIKE", schema)?;
    operands::text(&like.pattern, "LIKE", schema)?;
    with_backslash(like)
}

/// `expr SIMILAR TO pattern`, as the regular expression that matches the whole text.
pub(super) fn similar_to(like: Like, schema: &DFSchema) -> Result<Expr> {
    operands::text(&like.expr, "SIMILAR TO", schema)?;
    let Some(pattern) = text_literal(&like.pattern) else {
        return Err(refused(
            "the pattern of `SIMILAR TO` is a 'text'; `~` takes a computed one",
        ));
    };
    let escape = like.escape_char.unwrap_or('\\');
    let Some(regular) = regular(pattern, escape) else {
        return Err(refused(format!(
            "the pattern of `SIMILAR TO` is not complete: a `[` is not closed, or nothing follows its last `{escape}`"
        )));
    };
    let op = match like.negated {
        false => Operator::RegexMatch,
        true => Operator::RegexNotMatch,
    };
    Ok(operation(*like.expr, op, lit(regular)))
}

/// `LIKE` with a backslash as escape, the only one that the library has.
fn with_backslash(like: Like) -> Result<Like> {
    let Some(escape) = like.escape_char.filter(|escape| *escape != '\\') else {
        return Ok(like);
    };
    let Some(pattern) = text_literal(&like.pattern) else {
        return Err(refused("the pattern of `LIKE` with `ESCAPE` is a 'text'"));
    };
    let mut escaped = String::new();
    let mut letters = pattern.chars();
    while let Some(letter) = letters.next() {
        let literal = if letter == escape {
            let next = letters.next();
            next.ok_or_else(|| {
                refused(format!(
                    "the pattern of `LIKE` is not complete: nothing follows its last `{escape}`"
                ))
            })?
        } else if letter == '\\' {
            letter
        } else {
            escaped.push(letter);
            continue;
        };
        escaped.push('\\');
        escaped.push(literal);
    }
    Ok(Like {
        pattern: Box::new(lit(escaped)),
        escape_char: None,
        ..like
    })
}

/// The regular expression of a pattern; `None` if the pattern is not complete.
fn regular(pattern: &str, escape: char) -> Option<String> {
    let mut regular = "(?s)^(?:".to_owned();
    let mut letters = pattern.chars();
    while let Some(letter) = letters.next() {
        match letter {
            letter if letter == escape => literal(letters.next()?, &mut regular),
            '%' => regular.push_str(".*"),
            '_' => regular.push('.'),
            '[' => set(&mut letters, &mut regular)?,
            letter if COMMON.contains(&letter) => regular.push(letter),
            letter => literal(letter, &mut regular),
        }
    }
    regular.push_str(")$");
    Some(regular)
}

/// One letter that stands for itself.
fn literal(letter: char, regular: &mut String) {
    if letter.is_ascii_punctuation() {
        regular.push('\\');
    }
    regular.push(letter);
}

/// A set of letters in brackets, up to its end.
fn set(letters: &mut std::str::Chars<'_>, regular: &mut String) -> Option<()> {
    regular.push('[');
    let mut first = true;
    loop {
        let letter = letters.next()?;
        match letter {
            ']' if !first => break,
            '^' if first => regular.push('^'),
            '-' => regular.push('-'),
            letter => literal(letter, regular),
        }
        first = first && letter == '^';
    }
    regular.push(']');
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pattern_becomes_a_regular_expression_of_the_whole_text() {
        for (pattern, expected) in [
            ("t%", Some("(?s)^(?:t.*)$")),
            ("a_c", Some("(?s)^(?:a.c)$")),
            ("(a|b)+", Some("(?s)^(?:(a|b)+)$")),
            ("1.5", Some("(?s)^(?:1\\.5)$")),
            ("^a$", Some("(?s)^(?:\\^a\\$)$")),
            ("[^a-c]%", Some("(?s)^(?:[^a-c].*)$")),
            ("50\\%", Some("(?s)^(?:50\\%)$")),
            ("[a", None),
            ("a\\", None),
        ] {
            assert_eq!(regular(pattern, '\\').as_deref(), expected, "{pattern}");
        }
    }
}
