use std::collections::BTreeMap;

use concordat_protocol::collection::{CodeNames, Contents, Hierarchy, Listed, ListedValues, ValueLabel};
use concordat_protocol::ids::LevelName;
use concordat_protocol::schema::ColumnKind;
use concordat_protocol::scope::Value;
use concordat_storage::catalog::ProposedColumn;

use super::*;

fn dataset(name: &str) -> DatasetName {
    DatasetName::new(name).unwrap()
}

fn known(columns: &[(&str, &str, ColumnKind)]) -> KnownColumns {
    let mut datasets: BTreeMap<DatasetName, BTreeMap<ColumnName, Contents>> = BTreeMap::new();
    for (at, name, kind) in columns {
        let columns = datasets.entry(dataset(at)).or_default();
        columns.insert(ColumnName::new(name).unwrap(), Contents::Of(*kind));
    }
    KnownColumns::new(datasets)
}

const PERSON: [(&str, &str, ColumnKind); 3] = [
    ("person", "PERSON_ID", ColumnKind::Int),
    ("person", "gender_concept_id", ColumnKind::Int),
    ("extra", "note", ColumnKind::Text),
];

fn of(template: &TemplateChoice) -> Result<Declarations, Problem> {
    Declarations::of(None, Some(template))
}

fn shipped_omop() -> Declarations {
    of(&TemplateChoice::Shipped("omop-5.3".to_owned())).unwrap()
}

#[test]
fn shipped_template_declares_what_the_folder_has() {
    let rules = shipped_omop().rules(&known(&PERSON)).unwrap();
    let kind = |name: &str| rules.dataset(&dataset(name)).unwrap().kind().label();
    assert_eq!((kind("person"), kind("extra")), ("keyed", "unowned"));
    let unclassified: Vec<_> = rules.unclassified().map(|(_, column)| column.as_str()).collect();
    assert_eq!(unclassified, ["note"]);
    let spellings = shipped_omop().spellings(&dataset("person"));
    assert!(spellings.columns.contains(&ColumnName::new("birth_datetime").unwrap()));
    assert!(!spellings.spellings.is_empty());
    let problem = of(&TemplateChoice::Shipped("omop-6".to_owned())).unwrap_err();
    assert_eq!(problem.code, ErrorKind::NotFound);
    assert!(problem.help.unwrap().contains("`synthea`"));
}

#[test]
fn template_of_the_steward_adds_to_what_is_declared() {
    let base = shipped_omop().rules(&known(&PERSON)).unwrap();
    let text = "template = 1\nname = \"extra\"\n[datasets.extra]\nkind = \"reference\"\n[datasets.extra.columns]\n\
                note = { class = \"sensitive\" }\n";
    let added = Declarations {
        base: base.raw(),
        ..of(&TemplateChoice::Text(text.to_owned())).unwrap()
    };
    let rules = added.rules(&known(&PERSON)).unwrap();
    assert_eq!(rules.unclassified().count(), 0);
    assert_eq!(
        rules.dataset(&dataset("extra")).unwrap().kind(),
        &DatasetKind::Reference
    );
    assert_eq!(rules.dataset(&dataset("person")), base.dataset(&dataset("person")));
    // Alone it declares no subjects.
    let alone = of(&TemplateChoice::Text(text.to_owned()))
        .unwrap()
        .rules(&known(&PERSON));
    assert!(alone.unwrap_err()[0].contains("no dataset has subjects"));
}

#[test]
fn columns_are_open_until_their_levels_are_declared() {
    let columns = [
        ("person", "person_id", ColumnKind::Int),
        ("person", "day_of_birth", ColumnKind::Int),
        ("person", "race_source_value", ColumnKind::Text),
        ("person", "weight", ColumnKind::Float),
        ("extra", "note", ColumnKind::Text),
    ];
    let known = known(&columns);
    let column = |name: &str| (dataset("person"), ColumnName::new(name).unwrap());
    let rules = shipped_omop().rules(&known).unwrap();
    let open = shipped_omop().open(&rules, &ProposedColumns::new());
    // The template states that the day has no levels; a dataset without subjects has no statistics.
    assert_eq!(open, OpenColumns::from([column("race_source_value"), column("weight")]));

    let proposal = ProposedColumn {
        levels: Levels::None,
        measure: None,
    };
    let weight = ColumnName::new("weight").unwrap();
    let before = ProposedColumns::from([(dataset("person"), BTreeMap::from([(weight, proposal)]))]);
    let later = |text: &str| Declarations {
        base: rules.raw(),
        ..of(&TemplateChoice::Text(format!("template = 1\nname = \"x\"\n{text}"))).unwrap()
    };
    let open = |text: &str| {
        let later = later(text);
        later.open(&later.rules(&known).unwrap(), &before)
    };
    // Nothing was proposed for the others.
    assert_eq!(open(""), OpenColumns::from([column("weight")]));
    for declared in [
        "levels = \"none\"",
        "range = { low = 0, high = 9 }",
        "class = \"direct-identifier\"",
    ] {
        let text = format!("[datasets.person.columns]\nweight = {{ {declared} }}\n");
        assert_eq!(open(&text), OpenColumns::new(), "{declared}");
    }
}

#[test]
fn columns_are_open_once_their_rows_lead_to_subjects() {
    let columns = [
        ("person", "person_id", ColumnKind::Int),
        ("extra", "person_id", ColumnKind::Int),
        ("extra", "weight", ColumnKind::Float),
        ("extra", "height", ColumnKind::Float),
    ];
    let known = known(&columns);
    let before = shipped_omop().rules(&known).unwrap();
    assert_eq!(before.dataset(&dataset("extra")).unwrap().kind().label(), "unowned");
    let keyed = "template = 1\nname = \"x\"\n[datasets.extra]\nkind = \"keyed\"\n[datasets.extra.columns]\n\
                 person_id = { role = \"subject\" }\nheight = { levels = \"none\" }\n";
    let later = Declarations {
        base: before.raw(),
        ..of(&TemplateChoice::Text(keyed.to_owned())).unwrap()
    };
    let rules = later.rules(&known).unwrap();
    let weight = (dataset("extra"), ColumnName::new("weight").unwrap());
    assert_eq!(later.open(&rules, &ProposedColumns::new()), OpenColumns::from([weight]));
    // Of rows that had owners before, nothing was proposed.
    let again = Declarations {
        base: rules.raw(),
        ..of(&TemplateChoice::Text(keyed.to_owned())).unwrap()
    };
    assert_eq!(again.open(&rules, &ProposedColumns::new()), OpenColumns::new());
}

/// A list of codes is proposed for declared codes too, unless there is one.
#[test]
fn declared_codes_are_open_until_they_have_a_list() {
    let columns = [
        ("person", "person_id", ColumnKind::Int),
        ("person", "race_concept_id", ColumnKind::Int),
    ];
    let known = known(&columns);
    let race = (dataset("person"), ColumnName::new("race_concept_id").unwrap());
    let rules = shipped_omop().rules(&known).unwrap();
    let open = shipped_omop().open(&rules, &ProposedColumns::new());
    assert_eq!(open, OpenColumns::from([race.clone()]));
    let later = |text: &str| {
        let text = format!("template = 1\nname = \"x\"\n{text}");
        let later = Declarations {
            base: rules.raw(),
            ..of(&TemplateChoice::Text(text)).unwrap()
        };
        later.open(&later.rules(&known).unwrap(), &ProposedColumns::new())
    };
    let column = "[datasets.person.columns]\nrace_concept_id =";
    assert_eq!(
        later(&format!(
            "{column} {{ codes = {{ levels = {{ listed = [8527] }} }} }}\n"
        )),
        OpenColumns::new()
    );
    assert_eq!(
        later(&format!("{column} {{ codes = {{}} }}\n")),
        OpenColumns::from([race])
    );
    // Nothing was proposed for them before.
    assert_eq!(later(""), OpenColumns::new());
}

#[test]
fn mistakes_of_the_steward_have_their_lines() {
    let text = "template = 1\nname = \"extra\"\n[datasets.persons]\nkind = \"keyed\"\n[datasets.extra.columns]\n\
                nots = { class = \"sensitive\" }\n";
    let found = Declarations {
        base: shipped_omop().rules(&known(&PERSON)).unwrap().raw(),
        ..of(&TemplateChoice::Text(text.to_owned())).unwrap()
    };
    let reasons = found.rules(&known(&PERSON)).unwrap_err();
    assert_eq!(reasons.len(), 2, "{reasons:?}");
    for (reason, part) in reasons.iter().zip(["line 3: ", "line 6: "]) {
        assert!(reason.starts_with(part), "{reason}");
    }
}

#[test]
fn what_is_not_there_any_more_is_not_declared() {
    let model = [
        ("person", "person_id", ColumnKind::Int),
        ("person", "location_id", ColumnKind::Int),
        ("location", "location_id", ColumnKind::Int),
        ("concept", "concept_id", ColumnKind::Int),
        ("concept", "concept_name", ColumnKind::Text),
        ("death", "person_id", ColumnKind::Int),
        ("death", "cause_concept_id", ColumnKind::Int),
        ("death", "death_date", ColumnKind::Date),
    ];
    let base = shipped_omop().rules(&known(&model)).unwrap().raw();
    let later = Declarations {
        base,
        ..Declarations::default()
    };
    let left: Vec<_> = model
        .into_iter()
        .filter(|(at, name, _)| !["location", "concept"].contains(at) && *name != "death_date")
        .collect();
    let rules = later.rules(&known(&left)).unwrap();
    let person = rules.dataset(&dataset("person")).unwrap();
    let location = person.column(&ColumnName::new("location_id").unwrap()).unwrap();
    assert_eq!(*location.role(), ColumnRole::Value);
    assert_eq!(rules.dataset(&dataset("death")).unwrap().event_date(), None);
}

/// Codes whose names or hierarchy are in a column that a new file does not have.
#[test]
fn references_to_columns_that_are_not_there_any_more_are_left_out() {
    let text = "template = 1\nname = \"x\"\n[datasets.event]\nkind = \"keyed\"\n[datasets.event.columns]\n\
                person_id = { role = \"subject\" }\ncode = { codes = {} }\n";
    let columns = [
        ("event", "person_id", ColumnKind::Int),
        ("event", "code", ColumnKind::Int),
        ("event", "text", ColumnKind::Text),
        ("event", "class", ColumnKind::Text),
        ("above", "a", ColumnKind::Int),
        ("above", "b", ColumnKind::Int),
        ("above", "c", ColumnKind::Int),
    ];
    let name = |name: &str| ColumnName::new(name).unwrap();
    let mut base = of(&TemplateChoice::Text(text.to_owned()))
        .unwrap()
        .rules(&known(&columns))
        .unwrap()
        .raw();
    base.datasets.get_mut(&dataset("above")).unwrap().kind = DatasetKind::Reference;
    let listed = |label: &str| {
        vec![Listed {
            value: Value::Int(5),
            label: ValueLabel::new(label).unwrap(),
        }]
    };
    let event = base.datasets.get_mut(&dataset("event")).unwrap();
    event.columns.get_mut(&name("code")).unwrap().levels = RawLevels::Codes {
        hierarchy: Some(Hierarchy {
            dataset: dataset("above"),
            ancestor: name("a"),
            descendant: name("b"),
            groups: Some(AncestorGroups {
                column: name("class"),
                class: ValueLabel::new("Ingredient").unwrap(),
            }),
        }),
        names: Some(CodeNames {
            dataset: dataset("event"),
            code: name("code"),
            name: name("text"),
        }),
        levels: [("listed", "5"), ("named", "gout")]
            .map(|(level, label)| (LevelName::new(level).unwrap(), listed(label)))
            .into(),
    };
    let codes = |without: &str| {
        let later = Declarations {
            base: base.clone(),
            ..Declarations::default()
        };
        let left = columns.iter().filter(|(_, name, _)| *name != without);
        let left: Vec<_> = left.copied().collect();
        let rules = later.rules(&known(&left)).unwrap();
        let column = rules.dataset(&dataset("event")).unwrap().column(&name("code"));
        let Levels::Codes(codes) = column.unwrap().levels() else {
            panic!("{rules:?}")
        };
        let groups = codes.hierarchy().and_then(|found| found.groups.as_ref());
        let has = [codes.hierarchy().is_some(), groups.is_some(), codes.names().is_some()];
        (has, codes.listed().is_some(), codes.named().is_some())
    };
    assert_eq!(codes("c"), ([true, true, true], true, true));
    assert_eq!(codes("text"), ([true, false, false], true, false));
    assert_eq!(codes("class"), ([true, false, true], true, true));
    for without in ["a", "b"] {
        assert_eq!(codes(without), ([false, false, true], true, true), "{without}");
    }
}

/// Names of values are found in rows, and a template that replaces what is declared does not change these.
#[test]
fn names_of_values_stay_when_declarations_are_replaced() {
    let columns = [
        ("person", "person_id", ColumnKind::Int),
        ("person", "sex", ColumnKind::Int),
        ("concept", "concept_id", ColumnKind::Int),
        ("concept", "concept_name", ColumnKind::Text),
    ];
    let template = |values: &str| {
        let text = format!(
            "template = 1\nname = \"x\"\n[datasets.person]\nkind = \"keyed\"\n[datasets.person.columns]\n\
             person_id = {{ role = \"subject\" }}\n\
             sex = {{ link = \"concept.concept_id\", values = [{values}] }}\n\
             [datasets.concept]\nkind = \"reference\"\n[datasets.concept.columns]\nconcept_id = {{ role = \"key\" }}\n"
        );
        of(&TemplateChoice::Text(text)).unwrap()
    };
    let sex = |rules: &CollectionRules| {
        let person = rules.dataset(&dataset("person")).unwrap();
        person
            .column(&ColumnName::new("sex").unwrap())
            .unwrap()
            .names()
            .cloned()
    };
    let names = ValueNames {
        column: ColumnName::new("concept_name").unwrap(),
        values: ListedValues::check(vec![Listed {
            value: Value::Int(1),
            label: ValueLabel::new("FEMALE").unwrap(),
        }])
        .unwrap(),
    };
    let mut base = template("1, 2").rules(&known(&columns)).unwrap().raw();
    let person = base.datasets.get_mut(&dataset("person")).unwrap();
    let column = person.columns.get_mut(&ColumnName::new("sex").unwrap()).unwrap();
    column.names = Some(names.clone());
    let replaced = |values: &str| {
        let with_base = Declarations {
            base: base.clone(),
            ..template(values)
        };
        with_base.without_base().rules(&known(&columns)).unwrap()
    };
    assert_eq!(sex(&replaced("1, 2, 3")), Some(names));
    // Those of values that are not listed any more are left out.
    assert_eq!(sex(&replaced("2, 3")), None);
}

#[test]
fn keys_that_lead_in_a_circle_are_refused() {
    let text = "template = 1\nname = \"x\"\n[datasets.a]\nkind = \"owned\"\nthrough = [{ column = \"b_id\", to = \"b.b_id\" }]\n\
                [datasets.a.columns]\na_id = { role = \"key\" }\n[datasets.b]\nkind = \"owned\"\n\
                through = [{ column = \"a_id\", to = \"a.a_id\" }]\n[datasets.b.columns]\nb_id = { role = \"key\" }\n\
                [datasets.person]\nkind = \"keyed\"\n[datasets.person.columns]\nperson_id = { role = \"subject\" }\n";
    let columns = [
        ("a", "a_id", ColumnKind::Int),
        ("a", "b_id", ColumnKind::Int),
        ("b", "b_id", ColumnKind::Int),
        ("b", "a_id", ColumnKind::Int),
        ("person", "person_id", ColumnKind::Int),
    ];
    let reasons = of(&TemplateChoice::Text(text.to_owned()))
        .unwrap()
        .rules(&known(&columns))
        .unwrap_err();
    assert_eq!(reasons.len(), 2, "{reasons:?}");
    assert!(
        reasons.iter().all(|reason| reason.contains("leads back")),
        "{reasons:?}"
    );
}
