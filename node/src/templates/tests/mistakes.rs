//! Mistakes of people: all of them at once, each with its line.

use concordat_protocol::collection::{CollectionRules, Origin, RawCollectionRules};

use super::*;

#[test]
fn template_file_reports_all_mistakes_with_their_lines() {
    let text = r#"template = 2
name = "a\nb"
color = "red"
[subject]
dataset = "Person"
[reading]
headers = ["{name}", "date", 3]
[days]
levels = [7, 1]
[levels.none]
codes = {}
[levels.both]
edges = [1, 2]
values = ["a"]
[levels.empty]
[levels.steps]
edges = { from = 0, to = 10, step = 0 }
[levels.forms]
edges = { from = 0, at = [1], begin = 1 }
[levels.back]
edges = [2, 1]
[levels.texts]
edges = [
    "1",
    2021-02-03T00:00:00,
    inf,
]
[levels.years]
edges = { years = [1950], levels = { week = "week" } }
[levels.month]
edges = { years = [1950, 2030], levels = { week = "week", 7 = "month" } }
[levels.codes]
codes = { hierarchy = { dataset = "a" }, levels = { listed = { x = 1 } } }
[datasets.person]
kind = "person"
unique = true
[datasets.person.columns]
id = { class = "secret", role = "subject", link = "visit.visit_id" }
born = { levels = "unknown", edges = [1] }
weight = { range = { low = 3, high = 1 }, unit = "" }
height = { range = { low = nan, step = "1" }, size = 1 }
"a-b" = { class = "ordinary" }
SEX = 1
sex = { role = "owner", values = ["a", "a"] }
[datasets.PERSON]
kind = "reference"
[datasets.note]
kind = "owned"
[datasets.visit]
kind = "keyed"
unique = 1
through = [{ column = "note_id", to = "note" }]
counts = [0]
date = 5
"#;
    let expected: Vec<&str> = include_str!("mistakes.golden").lines().collect();
    assert_eq!(mistakes_of(text), expected);
}

#[test]
fn mistake_about_columns_has_the_line_of_its_entry() {
    let file = TemplateFile::parse(&with_lines(
        r#"[datasets.person]
kind = "keyed"
[datasets.person.columns]
id = { role = "subject" }
hight = { class = "ordinary" }
weight = { range = { low = 0, high = 300 } }
"x_*" = { class = "ordinary" }
"*_y" = { class = "sensitive" }
"z_*" = { class = "sensitive" }

[datasets.visit]
kind = "keyed"

[datasets.ward]
kind = "reference"

[datasets."*".columns]
ID = { class = "direct-identifier" }
"#,
    ))
    .unwrap();
    let exists = known([
        ("person", "Id", ColumnKind::Int),
        ("person", "weight", ColumnKind::Text),
        ("person", "x_y", ColumnKind::Text),
        ("visit", "begun", ColumnKind::Date),
    ]);
    let errors = file
        .template()
        .apply(RawCollectionRules::default(), &exists, Origin::User)
        .unwrap_err();
    let line = |dataset: &str, column: Option<&str>| file.line_of(dataset, column);
    let found: Vec<(Option<usize>, String)> = errors
        .iter()
        .map(|error| (line(&error.dataset, error.column.as_deref()), error.to_string()))
        .collect();
    let expected = [
        (8, "`person.hight`: there is no such column"),
        (12, "`person.z_*`: the pattern matches no name"),
        (17, "`ward`: the collection has no such dataset"),
        (10, "`person.x_y`: two entries that match it declare a different class"),
        (14, "`visit`: no column is declared as the key of the subject"),
    ];
    let expected = expected.map(|(line, text)| (Some(line), text.to_owned()));
    assert_eq!(found, expected);

    let only = known([
        ("person", "Id", ColumnKind::Int),
        ("person", "weight", ColumnKind::Text),
    ]);
    let model = file
        .template()
        .apply(RawCollectionRules::default(), &only, Origin::DataModel)
        .unwrap();
    let errors = CollectionRules::check(model, &only).unwrap_err();
    let column = errors[0].column.as_ref().map(ColumnName::as_str);
    assert_eq!(line("person", column), Some(9), "{errors:?}");
    // What no entry is about: the dataset, a pattern of it, and nothing.
    assert_eq!(line("person", Some("other")), Some(4));
    assert_eq!(line("visit", Some("Id")), Some(21));
    assert_eq!(line("other", Some("begun")), Some(20));
}
