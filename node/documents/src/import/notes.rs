//! The notes of an import for people: notes of the same kind about several columns are one.

/// How many further columns a note names.
const NAMED: usize = 3;

/// One note for all columns with the same one, in the order of the first of each.
///
/// Two notes are of the same kind if they differ only in the names that they quote first, and in numbers. The first of them is kept as it is, and
/// the columns of the others are named behind it.
#[must_use]
pub fn grouped(notes: &[String]) -> Vec<String> {
    let mut groups: Vec<Group<'_>> = Vec::new();
    for note in notes {
        let kind = Kind::of(note);
        let same = groups
            .iter_mut()
            .find(|group| kind.column.is_some() && group.kind.pattern == kind.pattern);
        match (same, kind.column) {
            (Some(group), Some(column)) => group.others.push(column),
            (Some(_), None) | (None, _) => groups.push(Group {
                note,
                kind,
                others: Vec::new(),
            }),
        }
    }
    groups.iter().map(Group::text).collect()
}

/// Notes of the same kind.
struct Group<'a> {
    /// The first of them.
    note: &'a str,
    kind: Kind<'a>,
    /// The columns of the others.
    others: Vec<&'a str>,
}

impl Group<'_> {
    fn text(&self) -> String {
        if self.others.is_empty() {
            return self.note.to_owned();
        }
        let named: Vec<String> = self
            .others
            .iter()
            .take(NAMED)
            .map(|column| format!("`{column}`"))
            .collect();
        let more = self.others.len().saturating_sub(NAMED);
        let more = if more > 0 {
            format!(" and {more} more")
        } else {
            String::new()
        };
        format!(
            "{} columns: {}; likewise {}{more}",
            self.others.len() + 1,
            self.note,
            named.join(", ")
        )
    }
}

/// What a note is about, and what it states about it.
struct Kind<'a> {
    /// The name that it quotes first, unless that is an option.
    column: Option<&'a str>,
    /// The note without names and numbers.
    pattern: String,
}

impl<'a> Kind<'a> {
    fn of(note: &'a str) -> Self {
        // Between two backticks is every other part.
        let quoted = note.split('`').skip(1).step_by(2);
        let column = quoted
            .clone()
            .next()
            .filter(|name| !name.is_empty() && !name.starts_with("--"));
        let mut pattern = String::new();
        for (index, part) in note.split('`').enumerate() {
            match (index % 2 == 1, column) {
                (true, Some(_)) if !part.starts_with("--") => pattern.push_str("`…`"),
                (true, Some(column)) => pattern.push_str(&without(part, column)),
                (true, None) => pattern.push_str(part),
                (false, _) => pattern.extend(part.chars().filter(|character| !character.is_ascii_digit())),
            }
        }
        Self { column, pattern }
    }
}

/// An option without the name of the column that it is about.
fn without(option: &str, column: &str) -> String {
    let mut kept = String::new();
    for part in option.split_inclusive([' ', '=', ',']) {
        // A value with blanks or signs is quoted together with the column.
        let name = part.trim_start_matches('\'').trim_end_matches([' ', '=', ',']);
        if name == column {
            kept.push('…');
            kept.extend(part.chars().filter(|sign| matches!(sign, ' ' | '=' | ',' | '\'')));
        } else {
            kept.push_str(part);
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    fn notes(texts: &[&str]) -> Vec<String> {
        texts.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn notes_of_the_same_kind_are_one_note() {
        let given: Vec<String> = ["a", "b", "c", "d", "e", "f"]
            .iter()
            .map(|column| format!("column `{column}` has no values"))
            .collect();
        assert_eq!(
            grouped(&given),
            ["6 columns: column `a` has no values; likewise `b`, `c`, `d` and 2 more"]
        );
        let given = notes(&[
            "column `a` is text; state `--type a=number`",
            "column `x` is text; state `--decimal comma`",
            "column `b` is text; state `--type b=number`",
            "text column `c` has 12 fields such as `NA`",
            "text column `d` has 3 fields such as `NA`",
            "column `Patient Id` was renamed to `patient_id`",
            "column `Größe` was renamed to `groesse`",
            "column `born` is text; state `--date-format 'born=%d.%m.%y'`",
            "column `seen` is text; state `--date-format 'seen=%d.%m.%y'`",
        ]);
        assert_eq!(
            grouped(&given),
            [
                "2 columns: column `a` is text; state `--type a=number`; likewise `b`",
                "column `x` is text; state `--decimal comma`",
                "2 columns: text column `c` has 12 fields such as `NA`; likewise `d`",
                "2 columns: column `Patient Id` was renamed to `patient_id`; likewise `Größe`",
                "2 columns: column `born` is text; state `--date-format 'born=%d.%m.%y'`; likewise `seen`",
            ]
        );
    }

    #[test]
    fn different_notes_stay_as_they_are() {
        let given = notes(&[
            "column `a` has no values",
            "3 blank lines were skipped",
            "4 rows without any value were left out",
            "the first line was read as names; state `--header absent`",
            "column `b` is text; state `--decimal comma`",
            "column `c` is text; state `--date-format '%d.%m.%Y'`",
        ]);
        assert_eq!(grouped(&given), given);
        assert_eq!(grouped(&[]), Vec::<String>::new());
    }
}
