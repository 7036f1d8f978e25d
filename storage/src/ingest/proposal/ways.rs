//! The ways of writing that are tried for columns of text.

use std::sync::LazyLock;

use crate::ingest::notation::{BooleanWords, DateFormat, DecimalSign, Notation, ThousandsSign};

/// Signs of numbers that are tried, the most common first. The usual ones are among them: they are the way out where others are stated for
/// all columns.
pub(super) static SIGNS: LazyLock<Vec<Notation>> = LazyLock::new(|| {
    use DecimalSign::{Comma, Point};
    let signs = |decimal, thousands| Notation {
        decimal,
        thousands,
        ..Notation::default()
    };
    vec![
        signs(Comma, None),
        signs(Point, Some(ThousandsSign::Comma)),
        signs(Point, Some(ThousandsSign::Space)),
        signs(Point, Some(ThousandsSign::Apostrophe)),
        signs(Point, None),
        signs(Comma, Some(ThousandsSign::Point)),
        signs(Comma, Some(ThousandsSign::Space)),
    ]
});

/// Pairs of words for true and false that are tried.
const PAIRS: [&str; 9] = [
    "yes,no",
    "y,n",
    "ja,nein",
    "j,n",
    "oui,non",
    "si,no",
    "igen,nem",
    "wahr,falsch",
    "t,f",
];

/// The same, parsed.
pub(super) static WORDS: LazyLock<Vec<BooleanWords>> =
    LazyLock::new(|| PAIRS.iter().filter_map(|pair| pair.parse().ok()).collect());

/// Dates with a year of four digits, and the times of day behind them.
const DATES: [&str; 7] = [
    "%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y", "%d-%m-%Y", "%m-%d-%Y", "%Y/%m/%d", "%Y.%m.%d",
];
const TIMES: [&str; 5] = ["", " %H:%M", " %H:%M:%S", " %I:%M %p", " %I:%M:%S %p"];
/// Dates with the name of a month.
const NAMED: [&str; 4] = ["%d %B %Y", "%d. %B %Y", "%d-%b-%Y", "%B %d, %Y"];
/// Dates with a year of two digits.
const SHORT: [&str; 6] = ["%d.%m.%y", "%d/%m/%y", "%m/%d/%y", "%d-%m-%y", "%m-%d-%y", "%d-%b-%y"];

/// Forms of dates that are tried: at most 64, so that a set of them is a number.
pub(super) static FORMS: LazyLock<Vec<DateFormat>> = LazyLock::new(|| {
    let with = |dates: &[&str], times: &[&str]| -> Vec<String> {
        let with_times = |date: &&str| times.iter().map(|time| format!("{date}{time}")).collect::<Vec<_>>();
        dates.iter().flat_map(with_times).collect()
    };
    let few = TIMES.get(..3).unwrap_or_default();
    let fewer = TIMES.get(..2).unwrap_or_default();
    let patterns = [with(&DATES, &TIMES), with(&NAMED, few), with(&SHORT, fewer)].concat();
    patterns.iter().filter_map(|pattern| pattern.parse().ok()).collect()
});

/// Options that belong together, as the command line has them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement(Vec<(&'static str, String)>);

impl Statement {
    /// The signs of numbers; where others are stated for all columns, the usual ones have to be stated too.
    pub(super) fn signs(notation: &Notation, are_others_stated: bool) -> Self {
        let mut parts = Vec::new();
        let decimal = match notation.decimal {
            DecimalSign::Comma => Some("comma"),
            // A comma between groups leaves the point.
            DecimalSign::Point => {
                (are_others_stated && notation.thousands != Some(ThousandsSign::Comma)).then_some("point")
            }
        };
        parts.extend(decimal.map(|sign| ("--decimal", sign.to_owned())));
        let thousands = notation.thousands.map(ThousandsSign::label);
        parts.extend(thousands.map(|sign| ("--thousands", sign.to_owned())));
        Self(parts)
    }

    pub(super) fn form(form: &DateFormat) -> Self {
        Self(vec![("--date-format", form.pattern().to_owned())])
    }

    pub(super) fn words(words: &BooleanWords) -> Self {
        Self(vec![("--boolean", words.label())])
    }

    /// Whether it states a comma before decimals.
    pub(super) fn states_comma(&self) -> bool {
        self.0
            .iter()
            .any(|(option, sign)| *option == "--decimal" && sign == "comma")
    }

    /// The form of dates that it states.
    pub(super) fn pattern(&self) -> Option<&str> {
        let mut forms = self.0.iter().filter(|(option, _)| *option == "--date-format");
        forms.next().map(|(_, pattern)| pattern.as_str())
    }

    /// As the command line has it, for one column or for all of them.
    #[must_use]
    pub fn option(&self, column: Option<&str>) -> String {
        let part = |(option, value): &(&str, String)| {
            let value = match column {
                // Words for true and false are those of all columns.
                Some(column) if *option != "--boolean" => format!("{column}={value}"),
                Some(_) | None => value.clone(),
            };
            match value.contains(['%', ' ']) {
                true => format!("{option} '{value}'"),
                false => format!("{option} {value}"),
            }
        };
        self.0.iter().map(part).collect::<Vec<_>>().join(" ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_of_writing_can_be_stated() {
        assert_eq!(WORDS.len(), PAIRS.len());
        let forms = DATES.len() * TIMES.len() + NAMED.len() * 3 + SHORT.len() * 2;
        assert_eq!(FORMS.len(), forms);
        assert!(forms <= 64);
        let all = (crate::ingest::proposal::ALL_SIGNS, crate::ingest::proposal::ALL_WORDS);
        assert_eq!(all, ((1 << SIGNS.len()) - 1, (1 << PAIRS.len()) - 1));
    }

    #[test]
    fn options_are_for_all_columns_or_for_one() {
        let german = SIGNS.get(5).unwrap();
        let usual = SIGNS.get(4).unwrap();
        let form = FORMS.first().unwrap();
        for (statement, all, one) in [
            (
                Statement::signs(german, false),
                "--decimal comma --thousands point",
                "--decimal x=comma --thousands x=point",
            ),
            (Statement::signs(usual, true), "--decimal point", "--decimal x=point"),
            (
                Statement::form(form),
                "--date-format '%d.%m.%Y'",
                "--date-format 'x=%d.%m.%Y'",
            ),
            (
                Statement::words(WORDS.first().unwrap()),
                "--boolean yes,no",
                "--boolean yes,no",
            ),
        ] {
            assert_eq!(
                (statement.option(None).as_str(), statement.option(Some("x")).as_str()),
                (all, one)
            );
        }
    }
}
