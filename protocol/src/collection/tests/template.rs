//! Templates for collections that lack some of their datasets and columns.

use std::collections::BTreeMap;

use super::clinical::{columns, raw_edges};
use super::*;
use crate::schema::ColumnClass;

#[test]
fn template_of_a_data_model_applies_to_what_exists() {
    let applied = model()
        .apply(RawCollectionRules::default(), &known(), Origin::DataModel)
        .unwrap();
    let rules = CollectionRules::check(applied, &known()).unwrap();
    let of = |at: &str, name: &str| {
        rules
            .dataset(&dataset(at))
            .unwrap()
            .column(&column(name))
            .unwrap()
            .clone()
    };
    let person = rules.dataset(&dataset("person")).unwrap();
    let subject = column("PERSON_ID");
    assert_eq!(*person.kind(), DatasetKind::Keyed { subject, unique: true });
    assert_eq!(*of("condition", "person_id").role(), ColumnRole::Subject);
    // A link to a dataset that the collection lacks is left out, and so is what leads to an owner that it lacks.
    assert_eq!(*of("person", "location_id").role(), ColumnRole::Value);
    assert_eq!(
        *rules.dataset(&dataset("note_nlp")).unwrap().kind(),
        DatasetKind::Unowned
    );
    assert_eq!(
        rules.dataset(&dataset("condition")).unwrap().event_date(),
        Some(&column("begun"))
    );
    // Names come before patterns, whatever their order is.
    assert_eq!(of("condition", "begun").class(), Some(ColumnClass::QuasiIdentifier));
    assert_eq!(
        of("condition", "x_source_value").class(),
        Some(ColumnClass::DirectIdentifier)
    );
    assert_eq!(of("person", "x_source_value").class(), Some(ColumnClass::Ordinary));
    assert_eq!(of("other", "x").class(), None);
    assert_eq!(*rules.dataset(&dataset("other")).unwrap().kind(), DatasetKind::Unowned);
}

#[test]
fn finer_levels_of_a_template_become_the_atoms() {
    let levels = |at: &str, name: &str| {
        let applied = model()
            .apply(RawCollectionRules::default(), &known(), Origin::DataModel)
            .unwrap();
        let rules = CollectionRules::check(applied, &known()).unwrap();
        rules
            .dataset(&dataset(at))
            .unwrap()
            .column(&column(name))
            .unwrap()
            .levels()
            .clone()
    };
    let born = levels("person", "born");
    assert_eq!(born.atoms(), Some(28));
    let decade = born.level(&level("by_10")).unwrap();
    assert_eq!(
        decade.label(&decade.atom_of(Datum::Int(1955))).as_deref(),
        Some("1950-1959")
    );
    assert_eq!(
        born.label(&born.atom_of(Datum::Int(1955))).as_deref(),
        Some("1955-1959")
    );
    assert_eq!(born.level(&level("five")).unwrap().atoms(), Some(28));
    let begun = levels("condition", "begun");
    assert_eq!(begun.atoms(), Some(1 + 80 * 12 + 1), "the months of 80 years");
    for (name, label) in [
        ("year", "2019"),
        ("quarter", "2019-04-01..2019-06-30"),
        ("month", "2019-05-01..2019-05-31"),
    ] {
        let found = begun.level(&level(name)).unwrap();
        assert_eq!(
            found.label(&found.atom_of(Datum::Date(day("2019-05-17")))).as_deref(),
            Some(label)
        );
    }
    // Keys of tables are texts, and the column has whole numbers.
    let sex = levels("person", "sex");
    assert_eq!(sex.label(&sex.atom_of(Datum::Int(8507))).as_deref(), Some("male"));
    // Edges that are whole numbers, of a column of numbers.
    let weight = levels("person", "weight");
    assert_eq!(weight.label(&AtomId::Listed(1)).as_deref(), Some("[50.0,100.0)"));
}

#[test]
fn file_of_a_user_names_only_what_exists() {
    let class = |class| TemplateColumn {
        class: Some(class),
        ..TemplateColumn::default()
    };
    let ordinary = || class(ColumnClass::Ordinary);
    let template = Template {
        subject: Some((dataset("person"), column("patient"))),
        ..of_datasets(vec![
            entry("drug", None, vec![("x", ordinary())]),
            entry("drug_*", None, vec![]),
            entry(
                "person",
                None,
                vec![
                    ("height", ordinary()),
                    ("sex", ordinary()),
                    ("SEX", ordinary()),
                    ("*_note", ordinary()),
                ],
            ),
            entry("*", None, vec![("height", ordinary()), ("b*n", ordinary())]),
            TemplateDataset {
                event_date: Some(column("ended")),
                ..entry("condition", Some(TemplateKind::Keyed { unique: false }), vec![])
            },
            entry("other", Some(TemplateKind::Owned { through: vec![] }), vec![]),
            entry("other", None, vec![]),
        ])
    };
    let found = problems(&template, Origin::User);
    assert_eq!(
        found,
        [
            ("person.sex".to_owned(), TemplateProblem::Twice),
            ("other".to_owned(), TemplateProblem::Twice),
            ("person.patient".to_owned(), TemplateProblem::UnknownColumn),
            ("drug".to_owned(), TemplateProblem::UnknownDataset),
            ("drug_*".to_owned(), TemplateProblem::Unmatched),
            ("person.height".to_owned(), TemplateProblem::UnknownColumn),
            ("person.*_note".to_owned(), TemplateProblem::Unmatched),
            ("*.height".to_owned(), TemplateProblem::UnknownColumn),
            ("condition.ended".to_owned(), TemplateProblem::UnknownColumn),
            ("condition".to_owned(), TemplateProblem::NoSubjectColumn),
            ("other".to_owned(), TemplateProblem::OwnerLinks),
        ]
    );
}

#[test]
fn contradictions_of_a_template_are_found() {
    let of_role = |role| TemplateColumn {
        role: Some(role),
        ..TemplateColumn::default()
    };
    let of_class = |class| TemplateColumn {
        class: Some(class),
        ..TemplateColumn::default()
    };
    let steps = |from, to, step| TemplateColumn {
        levels: Some(TemplateLevels::Edges(TemplateEdges {
            name: None,
            edges: EdgeSpec::Every {
                from: Value::Int(from),
                to: Value::Int(to),
                step: Value::Int(step),
            },
            levels: BTreeMap::new(),
        })),
        ..TemplateColumn::default()
    };
    let keyed = || Some(TemplateKind::Keyed { unique: false });
    let template = of_datasets(vec![
        entry("p*", Some(TemplateKind::Reference), vec![]),
        entry(
            "*n",
            keyed(),
            vec![
                ("b*", of_class(ColumnClass::Ordinary)),
                ("*n", of_class(ColumnClass::Sensitive)),
            ],
        ),
        entry(
            "condition",
            keyed(),
            vec![
                ("person_id", of_role(TemplateRole::Subject)),
                ("begun", of_role(TemplateRole::Subject)),
            ],
        ),
        entry(
            "person",
            None,
            vec![
                ("born", steps(0, 10, 0)),
                ("sex", steps(0, 1 << 40, 1)),
                ("weight", steps(10, 0, 1)),
            ],
        ),
    ]);
    assert_eq!(
        problems(&template, Origin::User),
        [
            (
                "condition.begun".to_owned(),
                TemplateProblem::Contradiction { part: "class" }
            ),
            ("condition".to_owned(), TemplateProblem::SeveralSubjectColumns),
            (
                "person.born".to_owned(),
                TemplateProblem::Contradiction { part: "class" }
            ),
            ("person.born".to_owned(), TemplateProblem::Steps),
            ("person.sex".to_owned(), TemplateProblem::Steps),
            ("person.weight".to_owned(), TemplateProblem::Steps),
            ("person".to_owned(), TemplateProblem::Contradiction { part: "kind" }),
        ]
    );
}

/// Headers of files may be in upper case, and a data model names its columns in lower case.
#[test]
fn references_of_a_template_are_found_in_any_case() {
    let hierarchy = |dataset: DatasetName| Hierarchy {
        dataset,
        ancestor: column("above"),
        descendant: column("below"),
        groups: None,
    };
    let of_codes = |reference: &str| TemplateColumn {
        levels: Some(TemplateLevels::Codes {
            hierarchy: Some(hierarchy(dataset(reference))),
            names: None,
            levels: BTreeMap::new(),
        }),
        ..TemplateColumn::default()
    };
    let template = of_datasets(vec![
        entry(
            "events",
            Some(TemplateKind::EachRow),
            vec![("a", of_codes("ancestors")), ("b", of_codes("missing"))],
        ),
        entry("ancestors", Some(TemplateKind::Reference), vec![]),
    ]);
    let known = KnownColumns::new([
        (
            dataset("events"),
            columns(&[("A", ColumnKind::Int), ("B", ColumnKind::Int)]),
        ),
        (
            dataset("ancestors"),
            columns(&[("ABOVE", ColumnKind::Int), ("BELOW", ColumnKind::Int)]),
        ),
    ]);
    let apply = |origin| {
        let applied = template.apply(RawCollectionRules::default(), &known, origin).unwrap();
        CollectionRules::check(applied, &known)
    };
    let rules = apply(Origin::DataModel).unwrap();
    let hierarchy = |name: &str| match rules
        .dataset(&dataset("events"))
        .unwrap()
        .column(&column(name))
        .unwrap()
        .levels()
    {
        Levels::Codes(codes) => codes.hierarchy().map(|found| found.ancestor.to_string()),
        other @ (Levels::None | Levels::Truth | Levels::Edges(_) | Levels::Values(_)) => panic!("{other:?}"),
    };
    assert_eq!(hierarchy("A").as_deref(), Some("ABOVE"));
    assert_eq!(hierarchy("B"), None);
    let missing = dataset("missing");
    let problem = RuleProblem::NotReference { dataset: missing };
    assert_eq!(apply(Origin::User).unwrap_err()[0].problem, problem);
}

/// A data model may name the classes of codes, and the files of a collection may lack them.
#[test]
fn groups_of_a_template_need_the_column_of_classes() {
    let codes = TemplateColumn {
        levels: Some(TemplateLevels::Codes {
            hierarchy: Some(Hierarchy {
                dataset: dataset("ancestors"),
                ancestor: column("above"),
                descendant: column("below"),
                groups: Some(AncestorGroups {
                    column: column("class"),
                    class: "Ingredient".parse().unwrap(),
                }),
            }),
            names: Some(CodeNames {
                dataset: dataset("concepts"),
                code: column("code"),
                name: column("name"),
            }),
            levels: BTreeMap::new(),
        }),
        ..TemplateColumn::default()
    };
    let template = of_datasets(vec![
        entry("events", Some(TemplateKind::EachRow), vec![("a", codes)]),
        entry("ancestors", Some(TemplateKind::Reference), vec![]),
        entry("concepts", Some(TemplateKind::Reference), vec![]),
    ]);
    let class_of = |concepts: &[(&str, ColumnKind)], origin: Origin| -> Result<Option<String>, usize> {
        let pairs = [("above", ColumnKind::Int), ("below", ColumnKind::Int)];
        let known = KnownColumns::new([
            (dataset("events"), columns(&[("a", ColumnKind::Int)])),
            (dataset("ancestors"), columns(&pairs)),
            (dataset("concepts"), columns(concepts)),
        ]);
        let applied = template.apply(RawCollectionRules::default(), &known, origin).unwrap();
        let rules = CollectionRules::check(applied, &known).map_err(|errors| errors.len())?;
        let events = rules.dataset(&dataset("events")).unwrap();
        let Levels::Codes(codes) = events.column(&column("a")).unwrap().levels() else {
            panic!("{events:?}")
        };
        let groups = codes.hierarchy().unwrap().groups.as_ref();
        Ok(groups.map(|groups| groups.column.to_string()))
    };
    let named = [("code", ColumnKind::Int), ("name", ColumnKind::Text)];
    let with_class = [named[0], named[1], ("CLASS", ColumnKind::Text)];
    for origin in [Origin::DataModel, Origin::User] {
        assert_eq!(class_of(&with_class, origin), Ok(Some("CLASS".to_owned())));
    }
    assert_eq!(class_of(&named, Origin::DataModel), Ok(None));
    assert_eq!(class_of(&named, Origin::User), Err(1));
}

/// A list that was fixed when the collection was published is not lost when the template of its data model is applied again.
#[test]
fn lists_of_codes_stay_unless_a_template_states_some() {
    let of_codes = |lists: &[(&str, &str)]| TemplateColumn {
        levels: Some(TemplateLevels::Codes {
            hierarchy: None,
            names: None,
            levels: lists
                .iter()
                .map(|(name, code)| (level(name), listed(&[(text(code), *code)])))
                .collect(),
        }),
        ..TemplateColumn::default()
    };
    let lists_after = |before: RawLevels, declared: TemplateColumn| {
        let template = of_datasets(vec![entry("other", None, vec![("x", declared)])]);
        let mut base = RawCollectionRules::default();
        let rules = RawColumnRules {
            levels: before,
            ..RawColumnRules::default()
        };
        let columns = &mut base.datasets.entry(dataset("other")).or_default().columns;
        columns.insert(column("x"), rules);
        let applied = template.apply(base, &known(), Origin::User).unwrap();
        let RawLevels::Codes { levels, .. } = &applied.datasets[&dataset("other")].columns[&column("x")].levels else {
            panic!("{applied:?}")
        };
        levels.keys().map(ToString::to_string).collect::<Vec<_>>()
    };
    let before = || RawLevels::Codes {
        hierarchy: None,
        names: None,
        levels: BTreeMap::from([(level("listed"), listed(&[(text("A"), "A")]))]),
    };
    assert_eq!(lists_after(before(), of_codes(&[])), ["listed"]);
    assert_eq!(lists_after(before(), of_codes(&[("chapters", "B")])), ["chapters"]);
    assert_eq!(lists_after(RawLevels::Truth, of_codes(&[])), Vec::<String>::new());
}

/// A file of a user changes what was declared before, and leaves the rest.
#[test]
fn template_changes_the_rules_before_it() {
    let base = model()
        .apply(RawCollectionRules::default(), &known(), Origin::DataModel)
        .unwrap();
    let change = TemplateColumn {
        class: Some(ColumnClass::Sensitive),
        ..TemplateColumn::default()
    };
    let template = of_datasets(vec![entry("person", None, vec![("b*", change)])]);
    let changed = template.apply(base.clone(), &known(), Origin::User).unwrap();
    let mut expected = base;
    let person = expected.datasets.get_mut(&dataset("person")).unwrap();
    person.columns.get_mut(&column("born")).unwrap().class = Some(ColumnClass::Sensitive);
    assert_eq!(changed, expected);
}

#[test]
fn steps_of_numbers_end_where_they_should() {
    let of = |from: f64, to: f64, step: f64| {
        let spec = EdgeSpec::Every {
            from: float(from),
            to: float(to),
            step: float(step),
        };
        let edges = TemplateEdges {
            name: None,
            edges: spec,
            levels: BTreeMap::new(),
        };
        let column_rules = TemplateColumn {
            levels: Some(TemplateLevels::Edges(edges)),
            ..TemplateColumn::default()
        };
        let template = of_datasets(vec![entry("person", None, vec![("weight", column_rules)])]);
        let applied = template
            .apply(RawCollectionRules::default(), &known(), Origin::User)
            .ok()?;
        Some(
            applied.datasets[&dataset("person")].columns[&column("weight")]
                .levels
                .clone(),
        )
    };
    let edges = |numbers: &[f64]| Some(raw_edges(numbers.iter().map(|number| float(*number)).collect()));
    assert_eq!(of(0.0, 0.3, 0.1), edges(&[0.0, 0.1, 0.2, 0.1 * 3.0]));
    assert_eq!(of(0.0, 0.35, 0.1), edges(&[0.0, 0.1, 0.2, 0.1 * 3.0]));
    assert_eq!(of(1.0, 1.0, 5.0), edges(&[1.0]));
    assert_eq!(of(0.0, 1.0, 0.0), None);
    assert_eq!(of(0.0, 1.0, 1e-300), None);
    assert_eq!(of(0.0, f64::MAX, 1.0), None);
    assert_eq!(of(-f64::MAX, f64::MAX, f64::MAX), None);
}

/// Levels that no column can have are found before a template is applied to columns.
#[test]
fn levels_of_a_template_are_checked_without_columns() {
    let of = |edges, levels| {
        TemplateLevels::Edges(TemplateEdges {
            name: None,
            edges,
            levels,
        })
    };
    let at = |numbers: Vec<i64>| EdgeSpec::At(ints(numbers));
    let none = BTreeMap::new;
    assert_eq!(of(at(vec![1, 2]), none()).problems(), []);
    let unsorted = TemplateProblem::Levels(LevelsError::NotSorted);
    assert_eq!(of(at(vec![2, 1]), none()).problems(), [unsorted]);
    let many = TemplateProblem::Levels(LevelsError::TooManyEdges { max: MAX_EDGES });
    let further = BTreeMap::from([(level("further"), at((0..200).collect()))]);
    assert_eq!(of(at(vec![300]), further).problems(), [many]);
    let every = EdgeSpec::Every {
        from: Value::Int(1),
        to: Value::Int(0),
        step: Value::Int(1),
    };
    assert_eq!(of(every, none()).problems(), [TemplateProblem::Steps]);
    let doubled = TemplateLevels::Values(listed(&[(text("1"), "a"), (text("1"), "b")]));
    let second = TemplateProblem::Levels(LevelsError::DoubledValue { position: 2 });
    assert_eq!(doubled.problems(), [second]);
    // Texts of numbers become numbers only where the column has some.
    assert_eq!(TemplateLevels::Values(listed(&[(text("1"), "a")])).problems(), []);
}

/// A small model as a template has it; the collection lacks `location` and `note`.
fn model() -> Template {
    let of = |class, role: Option<TemplateRole>, levels: Option<TemplateLevels>| TemplateColumn {
        class: Some(class),
        role,
        levels,
        ..TemplateColumn::default()
    };
    let finer = |edges, finer: &[(&str, EdgeSpec)]| {
        Some(TemplateLevels::Edges(TemplateEdges {
            name: None,
            edges,
            levels: finer.iter().map(|(name, spec)| (level(name), spec.clone())).collect(),
        }))
    };
    let every = |step| EdgeSpec::Every {
        from: Value::Int(1900),
        to: Value::Int(2030),
        step: Value::Int(step),
    };
    let calendar = |part| EdgeSpec::Calendar {
        from: 1950,
        to: 2030,
        part,
    };
    let to = |to: &str, key: &str| TemplateRole::Link {
        to: dataset(to),
        key: column(key),
    };
    let direct = ColumnClass::DirectIdentifier;
    let quasi = ColumnClass::QuasiIdentifier;
    let person = vec![
        ("person_id", of(direct, Some(TemplateRole::Subject), None)),
        ("born", of(quasi, None, finer(every(10), &[("five", every(5))]))),
        (
            "sex",
            of(
                ColumnClass::Ordinary,
                None,
                Some(TemplateLevels::Values(listed(&[(text("8507"), "male")]))),
            ),
        ),
        ("location_id", of(quasi, Some(to("location", "location_id")), None)),
        (
            "weight",
            of(ColumnClass::Sensitive, None, finer(EdgeSpec::At(ints([50, 100])), &[])),
        ),
        ("*_source_value", of(ColumnClass::Ordinary, None, None)),
    ];
    let levels = [
        ("quarter", calendar(CalendarPart::Quarter)),
        ("month", calendar(CalendarPart::Month)),
    ];
    let condition = vec![("BEGUN", of(quasi, None, finer(calendar(CalendarPart::Year), &levels)))];
    let through = KeyLink {
        column: column("note_id"),
        to: dataset("note"),
        key: column("note_id"),
    };
    Template {
        subject: Some((dataset("person"), column("person_id"))),
        ..of_datasets(vec![
            entry(
                "*",
                None,
                vec![
                    ("*_source_value", of(direct, None, None)),
                    ("b*", of(ColumnClass::Ordinary, None, None)),
                ],
            ),
            entry("person", Some(TemplateKind::Keyed { unique: true }), person),
            TemplateDataset {
                event_date: Some(column("Begun")),
                ..entry("condition", Some(TemplateKind::Keyed { unique: false }), condition)
            },
            entry("note_nlp", Some(TemplateKind::Owned { through: vec![through] }), vec![]),
            entry("location", Some(TemplateKind::Reference), vec![]),
        ])
    }
}

fn known() -> KnownColumns {
    use ColumnKind::{Date, Float, Int, Text};
    KnownColumns::new([
        (
            dataset("person"),
            columns(&[
                ("PERSON_ID", Int),
                ("born", Int),
                ("sex", Int),
                ("location_id", Int),
                ("weight", Float),
                ("x_source_value", Text),
            ]),
        ),
        (
            dataset("condition"),
            columns(&[("person_id", Int), ("begun", Date), ("x_source_value", Text)]),
        ),
        (dataset("note_nlp"), columns(&[("note_id", Int)])),
        (dataset("other"), columns(&[("x", Text)])),
    ])
}

fn of_datasets(datasets: Vec<TemplateDataset>) -> Template {
    Template {
        name: "model-1".parse().unwrap(),
        subject: None,
        headers: Vec::new(),
        days: None,
        datasets,
    }
}

fn entry(name: &str, kind: Option<TemplateKind>, columns: Vec<(&str, TemplateColumn)>) -> TemplateDataset {
    let columns = columns
        .into_iter()
        .map(|(name, column)| (Pattern::new(name).unwrap(), column));
    TemplateDataset {
        name: Pattern::new(name).unwrap(),
        kind,
        event_date: None,
        counts: None,
        columns: columns.collect(),
    }
}

/// Where something is wrong, and what.
fn problems(template: &Template, origin: Origin) -> Vec<(String, TemplateProblem)> {
    let errors = template
        .apply(RawCollectionRules::default(), &known(), origin)
        .unwrap_err();
    let at = |error: &TemplateError| {
        let column = error.column.as_ref().map(|column| format!(".{column}"));
        format!("{}{}", error.dataset, column.unwrap_or_default())
    };
    errors.into_iter().map(|error| (at(&error), error.problem)).collect()
}
