//! Everything that a template file can declare.

use std::collections::BTreeMap;

use concordat_protocol::collection::{
    AncestorGroups, CalendarPart, CodeNames, CountLevels, DayLevels, EdgeSpec, HeaderSpelling, Hierarchy, KeyLink,
    Listed, Pattern, RawRange, TemplateColumn, TemplateDataset, TemplateEdges, TemplateKind, TemplateLevels,
    TemplateRole, ValueLabel,
};
use concordat_protocol::ids::LevelName;
use concordat_protocol::schema::ColumnClass;
use concordat_protocol::scope::{Finite, Value};

use super::*;

#[test]
fn template_file_declares_datasets_and_columns() {
    let text = r#"
        template = 1
        name = "test"
        subject = { dataset = "person", column = "Id" }
        reading = { headers = ["date({name},'unixepoch')"] }
        days = { levels = [0, 7] }
        levels.sex.values = { 1 = "male", 2 = "female" }

        [datasets.person]
        kind = "keyed"
        unique = true
        columns.Id = { class = "direct-identifier", role = "subject" }
        columns.sex = { class = "ordinary", levels = "sex" }
        columns.weight = { class = "sensitive", range = { low = 20, high = 2.5e2, step = 0.5 }, unit = "kg" }
        columns.visit = { link = "visit.Id" }
        columns.dead = { levels = "truth", role = "value" }

        [datasets."note_*"]
        kind = "owned"
        through = [{ column = "note", to = "note.note_id" }]
        counts = [1, 5]
        date = "written"

        [datasets."*".columns]
        "*_value" = { levels = "none" }
    "#;
    let plain = TemplateColumn::default;
    let person = vec![
        (
            "Id",
            of_class(ColumnClass::DirectIdentifier, Some(TemplateRole::Subject)),
        ),
        (
            "sex",
            TemplateColumn {
                levels: Some(TemplateLevels::Values(listed(&[("1", "male"), ("2", "female")]))),
                ..of_class(ColumnClass::Ordinary, None)
            },
        ),
        (
            "weight",
            TemplateColumn {
                measure: Some(RawRange {
                    low: 20.0,
                    high: 250.0,
                    step: Some(0.5),
                }),
                unit: Some("kg".parse().unwrap()),
                ..of_class(ColumnClass::Sensitive, None)
            },
        ),
        (
            "visit",
            TemplateColumn {
                role: Some(TemplateRole::Link {
                    to: dataset("visit"),
                    key: column("Id"),
                }),
                ..plain()
            },
        ),
        (
            "dead",
            TemplateColumn {
                role: Some(TemplateRole::Value),
                levels: Some(TemplateLevels::Truth),
                ..plain()
            },
        ),
    ];
    let through = vec![KeyLink {
        column: column("note"),
        to: dataset("note"),
        key: column("note_id"),
    }];
    let hidden = TemplateColumn {
        levels: Some(TemplateLevels::None),
        ..plain()
    };
    let expected = Template {
        name: "test".parse().unwrap(),
        subject: Some((dataset("person"), column("Id"))),
        headers: vec![HeaderSpelling::new("date({name},'unixepoch')").unwrap()],
        days: Some(DayLevels::new(vec![0, 7]).unwrap()),
        datasets: vec![
            entry("person", Some(TemplateKind::Keyed { unique: true }), person),
            TemplateDataset {
                event_date: Some(column("written")),
                counts: Some(CountLevels::new(vec![1, 5]).unwrap()),
                ..entry("note_*", Some(TemplateKind::Owned { through }), vec![])
            },
            entry("*", None, vec![("*_value", hidden)]),
        ],
    };
    assert_eq!(parsed(text), expected);
}

#[test]
fn template_file_declares_levels_in_every_form() {
    let every = |from, to, step| EdgeSpec::Every { from, to, step };
    let calendar = |part| EdgeSpec::Calendar {
        from: 1950,
        to: 2030,
        part,
    };
    let of = |name: Option<&str>, edges, levels: &[(&str, EdgeSpec)]| {
        TemplateLevels::Edges(TemplateEdges {
            name: name.map(level),
            edges,
            levels: levels.iter().map(|(name, spec)| (level(name), spec.clone())).collect(),
        })
    };
    let codes = |hierarchy, names, levels| TemplateLevels::Codes {
        hierarchy,
        names,
        levels,
    };
    let hierarchy = Hierarchy {
        dataset: dataset("above"),
        ancestor: column("a"),
        descendant: column("d"),
        groups: None,
    };
    let with_groups = Hierarchy {
        groups: Some(AncestorGroups {
            column: column("class"),
            class: "Ingredient".parse().unwrap(),
        }),
        ..hierarchy.clone()
    };
    let names = CodeNames {
        dataset: dataset("concept"),
        code: column("id"),
        name: column("name"),
    };
    let groups = BTreeMap::from([(level("listed"), listed(&[("E10", "diabetes"), ("E11", "diabetes")]))]);
    for (text, expected) in [
        ("edges = [1, 2, 3]", of(None, EdgeSpec::At(ints(&[1, 2, 3])), &[])),
        (
            "edges = [1, 2.5]",
            of(None, EdgeSpec::At(vec![float(1.0), float(2.5)]), &[]),
        ),
        (
            "edges = { at = [1970-01-02, 2020-02-29] }",
            of(None, EdgeSpec::At(vec![Value::Date(1), Value::Date(18_321)]), &[]),
        ),
        (
            "edges = { name = \"tens\", from = -1_00, to = 0x10, step = 10, levels = { by_5 = 5, ends = [-100, 10] } }",
            of(
                Some("tens"),
                every(Value::Int(-100), Value::Int(16), Value::Int(10)),
                &[
                    ("by_5", every(Value::Int(-100), Value::Int(16), Value::Int(5))),
                    ("ends", EdgeSpec::At(ints(&[-100, 10]))),
                ],
            ),
        ),
        (
            "edges = { from = 0.5, to = 3, step = 0.5 }",
            of(None, every(float(0.5), Value::Int(3), float(0.5)), &[]),
        ),
        (
            "edges = { years = [1950, 2030], levels = { quarter = \"quarter\", few = { at = [2000-01-01] } } }",
            of(
                None,
                calendar(CalendarPart::Year),
                &[
                    ("quarter", calendar(CalendarPart::Quarter)),
                    ("few", EdgeSpec::At(vec![Value::Date(10_957)])),
                ],
            ),
        ),
        (
            "edges = { years = [1950, 2030], part = \"month\" }",
            of(None, calendar(CalendarPart::Month), &[]),
        ),
        (
            "values = [\"a\", 2]",
            TemplateLevels::Values(listed(&[("a", "a"), ("2", "2")])),
        ),
        ("codes = {}", codes(None, None, BTreeMap::new())),
        (
            "codes = { hierarchy = { dataset = \"above\", ancestor = \"a\", descendant = \"d\", \
             groups = { column = \"class\", class = \"Ingredient\" } } }",
            codes(Some(with_groups), None, BTreeMap::new()),
        ),
        (
            "codes = { hierarchy = { dataset = \"above\", ancestor = \"a\", descendant = \"d\" }, \
             names = { dataset = \"concept\", code = \"id\", name = \"name\" }, \
             levels = { listed = { E10 = \"diabetes\", E11 = \"diabetes\" } } }",
            codes(Some(hierarchy), Some(names), groups),
        ),
    ] {
        for (lines, name) in [
            (format!("[datasets.d.columns]\nc = {{ {text} }}"), "at a column"),
            (
                format!("[levels.x]\n{text}\n[datasets.d.columns]\nc = {{ levels = \"x\" }}"),
                "by name",
            ),
        ] {
            let template = parsed(&with_lines(&lines));
            let found = template.datasets[0].columns[0].1.levels.clone();
            assert_eq!(found.as_ref(), Some(&expected), "{text} {name}");
        }
    }
}

fn of_class(class: ColumnClass, role: Option<TemplateRole>) -> TemplateColumn {
    TemplateColumn {
        class: Some(class),
        role,
        ..TemplateColumn::default()
    }
}

fn entry(name: &str, kind: Option<TemplateKind>, columns: Vec<(&str, TemplateColumn)>) -> TemplateDataset {
    let pattern = |text: &str| Pattern::new(text).unwrap();
    TemplateDataset {
        name: pattern(name),
        kind,
        event_date: None,
        counts: None,
        columns: columns
            .into_iter()
            .map(|(name, column)| (pattern(name), column))
            .collect(),
    }
}

fn level(text: &str) -> LevelName {
    LevelName::new(text).unwrap()
}

fn float(number: f64) -> Value {
    Value::Float(Finite::new(number).unwrap())
}

fn ints(numbers: &[i64]) -> Vec<Value> {
    numbers.iter().map(|number| Value::Int(*number)).collect()
}

fn listed(values: &[(&str, &str)]) -> Vec<Listed> {
    let entry = |(value, label): &(&str, &str)| Listed {
        value: Value::Text((*value).to_owned()),
        label: ValueLabel::new(label).unwrap(),
    };
    values.iter().map(entry).collect()
}
