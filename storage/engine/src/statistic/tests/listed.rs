//! Groups and patterns of open lists of codes.

use concordat_protocol::{
    collection::{AtomId, Levels, Listed, ListedValues, ValueLabel},
    ids::{ColumnName, DatasetName},
    scope::{Generalization, Transform, Value},
};

use super::{Collection, only, refusal, rows};
use crate::statistic::{ColumnPath, Condition, Group, ReferenceTest, Row, Statistic, print};

const NAMED: &str = "SELECT n.concept_name, count(*) FROM omop.condition_occurrence c \
                     JOIN omop.concept n ON n.concept_id = c.condition_concept_id";

const BY_SEX: &str = "SELECT k.concept_name AS sex, count(*) AS n FROM omop.person p \
                      JOIN omop.concept k ON k.concept_id = p.gender_concept_id GROUP BY k.concept_name";

fn text(text: &str) -> Option<Value> {
    Some(Value::Text(text.to_owned()))
}

/// The label of the group of a code, or of a missing one.
fn label(group: &Group, code: Option<i64>) -> Option<Value> {
    label_of(group, &code.map_or(AtomId::Null, |code| AtomId::Code(Value::Int(code))))
}

fn label_of(group: &Group, atom: &AtomId) -> Option<Value> {
    let Group::Buckets { buckets, rest, .. } = group else {
        panic!("{group:?}")
    };
    let mut found = buckets.iter().filter(|bucket| bucket.atoms.contains(atom));
    let label = found.next().map_or(rest, |bucket| &bucket.label);
    assert!(found.next().is_none(), "a code is in one group");
    label.clone()
}

#[test]
fn statistic_groups_by_a_column_are_its_listed_codes() {
    let omop = Collection::named("omop");
    let statistic = only(
        &omop,
        "SELECT condition_concept_id, count(*) FROM omop.condition_occurrence GROUP BY 1 \
         HAVING count(*) IS NOT NULL ORDER BY 2 DESC LIMIT 10",
    );
    let [Group::Levels { level: Some(level), .. }] = statistic.groups() else {
        panic!("{statistic:?}")
    };
    assert_eq!(level.as_str(), "listed");
    // Four codes, all others, and missing ones.
    assert_eq!(statistic.grid(&omop.known), 6);
    // Codes that a condition names are groups by themselves.
    let named = only(
        &omop,
        "SELECT condition_concept_id, count(*) FROM omop.condition_occurrence WHERE condition_concept_id IN (5, 99) GROUP BY 1",
    );
    assert!(matches!(named.groups(), [Group::Codes { codes, .. }] if codes.len() == 2));
}

#[test]
fn statistic_groups_by_names_are_those_of_listed_codes() {
    let omop = Collection::named("omop");
    let all = only(&omop, &format!("{NAMED} GROUP BY 1"));
    let [group] = all.groups() else { panic!("{all:?}") };
    let labels = [5, 6, 7, 8, 99].map(|code| label(group, Some(code)));
    // Codes of one name are one group. One without a name is among the others.
    assert_eq!(labels, ["gout", "asthma", "gout", "other", "other"].map(text));
    assert_eq!(label(group, None), None);
    let some = only(
        &omop,
        &format!("{NAMED} WHERE c.condition_concept_id IN (5, 6) GROUP BY 1"),
    );
    let [group] = some.groups() else { panic!("{some:?}") };
    let labels = [5, 6, 7].map(|code| label(group, Some(code)));
    assert_eq!(labels, [text("gout"), text("asthma"), None]);
    let unknown = refusal(
        &omop,
        &format!("{NAMED} WHERE c.condition_concept_id IN (5, 8) GROUP BY 1"),
    );
    assert!(unknown.contains("names of codes"), "{unknown}");
    for statistic in [all, some] {
        let again = print(&statistic, &omop.known).unwrap();
        assert_eq!(only(&omop, &again), statistic, "{again}");
    }
}

#[test]
fn statistic_groups_by_names_of_listed_values_have_the_names() {
    let omop = Collection::named("omop");
    let statistic = only(&omop, BY_SEX);
    let [group] = statistic.groups() else {
        panic!("{statistic:?}")
    };
    let labels = [0, 1, 2].map(|atom| label_of(group, &AtomId::Listed(atom)));
    assert_eq!(labels, ["MALE", "FEMALE", "other"].map(text));
    assert_eq!(label_of(group, &AtomId::Null), None);
    // They are the groups of the codes, so that the same sets have one description.
    let by_code = only(&omop, "SELECT gender_concept_id, count(*) FROM omop.person GROUP BY 1");
    assert_eq!(statistic.grid(&omop.known), by_code.grid(&omop.known));
    let again = print(&statistic, &omop.known).unwrap();
    assert_eq!(only(&omop, &again), statistic, "{again}");
    for form in [
        format!("{BY_SEX} ORDER BY n DESC NULLS LAST LIMIT 1"),
        format!("{BY_SEX} HAVING count(*) > 20 ORDER BY sex"),
        BY_SEX.replace("GROUP BY k.concept_name", "GROUP BY ROLLUP (k.concept_name)"),
        BY_SEX.replace(
            "count(*) AS n",
            "count(*) AS n, 100.0 * count(*) / sum(count(*)) OVER () AS part",
        ),
    ] {
        assert!(omop.lower(&form).is_ok(), "{form}: {:?}", omop.lower(&form).err());
    }
}

/// Rows without a name have the label that a query has for them, and only these.
#[test]
fn statistic_groups_by_names_have_a_label_for_missing_ones() {
    let omop = Collection::named("omop");
    let by = |group: &str| only(&omop, &BY_SEX.replace("k.concept_name", group));
    let unknown = by("coalesce(k.concept_name, 'unknown')");
    let labels = [AtomId::Listed(0), AtomId::Listed(2), AtomId::Null].map(|atom| label_of(&unknown.groups()[0], &atom));
    assert_eq!(labels, ["MALE", "other", "unknown"].map(text));
    // A label that there is already is one group with it.
    let other = by("coalesce(k.concept_name, 'other')");
    assert_eq!(label_of(&other.groups()[0], &AtomId::Null), text("other"));
    assert_eq!(other.grid(&omop.known), unknown.grid(&omop.known) - 1);
    assert_eq!(by("coalesce(coalesce(k.concept_name, 'unknown'), 'none')"), unknown);
    let years = "coalesce(date_part('year', condition_start_date), 1900)";
    let of_years = format!("SELECT {years} AS y, count(*) FROM omop.condition_occurrence GROUP BY {years}");
    assert!(omop.lower(&of_years).is_err(), "they are no texts");
    let races = |label: &str| {
        let sql = format!("SELECT {label} AS race, count(*) FROM omop.person GROUP BY {label}");
        only(&omop, &sql)
    };
    let race = "coalesce(race_source_value, 'unknown')";
    assert_eq!(races(&format!("coalesce({race}, 'none')")), races(race));
}

/// Names of other columns, of codes without a list, and what the grant does not show as it is, are no groups.
#[test]
fn statistic_groups_by_names_that_are_not_declared_are_refused() {
    let omop = Collection::named("omop");
    let from = "FROM omop.measurement m JOIN omop.concept k ON k.concept_id = m.measurement_concept_id";
    for sql in [
        BY_SEX.replace("concept_name", "concept_class_id"),
        format!("SELECT k.concept_name, count(*) {from} WHERE m.measurement_concept_id IN (3, 4) GROUP BY 1"),
        format!("SELECT k.concept_name, count(*) {from} GROUP BY 1"),
        NAMED.replace("concept_name", "concept_class_id") + " WHERE c.condition_concept_id IN (5, 6) GROUP BY 1",
    ] {
        let found = refusal(&omop, &sql);
        assert!(found.contains("names of codes"), "{sql}: {found}");
    }
    for hidden in ["concept_name", "gender_concept_id"] {
        for transform in [Transform::Pseudonym, Transform::Generalized(Generalization::Levels)] {
            let shown = Collection::shown("omop", &|_, column| {
                let is_hidden = column.as_str() == hidden;
                Some(if is_hidden { transform } else { Transform::Clear })
            });
            assert!(shown.lower(BY_SEX).is_err(), "{hidden} {transform:?}");
            let by_name = shown.lower(&format!("{NAMED} GROUP BY 1"));
            assert_eq!(by_name.is_err(), hidden == "concept_name", "{hidden} {transform:?}");
        }
    }
}

/// Values with one label are one group, which their names would divide.
#[test]
fn statistic_groups_by_names_do_not_divide_a_label() {
    let mut omop = Collection::named("omop");
    let listed = [8507, 8532].map(|value| Listed {
        value: Value::Int(value),
        label: ValueLabel::new("known").unwrap(),
    });
    let levels = Levels::Values(ListedValues::check(listed.to_vec()).unwrap());
    let sex = (
        DatasetName::new("person").unwrap(),
        ColumnName::new("gender_concept_id").unwrap(),
    );
    omop.known = omop.known.with_levels(&[(sex, levels)].into());
    let found = refusal(&omop, BY_SEX);
    assert!(
        found.contains("one label") && !found.contains("not declared"),
        "{found}"
    );
}

/// Rows of subjects that describe their codes are no list of codes: many of them have one code.
#[test]
fn statistic_joins_with_texts_beside_codes_are_not_of_one_row() {
    let beside = Collection::named("beside");
    let of = |dataset: &str| {
        let sql = format!("SELECT count(*) FROM {dataset} a JOIN {dataset} b ON a.visit_id = b.visit_id");
        refusal(&beside, &sql)
    };
    assert_eq!(of("event"), of("plain"));
}

/// Texts that a grant shows in another form are not in what is declared about the codes.
#[test]
fn statistic_texts_of_codes_are_shown_where_both_columns_are() {
    for hidden in ["code", "description"] {
        for transform in [Transform::Pseudonym, Transform::Generalized(Generalization::Levels)] {
            let shown = Collection::shown("synthea", &|_, column| {
                let is_hidden = column.as_str() == hidden;
                Some(if is_hidden { transform } else { Transform::Clear })
            });
            let path = |column: &str| {
                let dataset = DatasetName::new("observations").unwrap();
                ColumnPath::new(Row::This, &dataset, Vec::new(), ColumnName::new(column).unwrap()).unwrap()
            };
            let texts = shown.known.texts_of(&path("code"), &path("description"));
            assert_eq!(texts, None, "{hidden} {transform:?}");
        }
    }
}

/// A query that names codes has the texts beside them as groups, and others together: not each text that is listed.
#[test]
fn statistic_groups_by_texts_are_those_beside_the_codes() {
    let synthea = Collection::named("synthea");
    let of = |condition: &str| {
        let sql = format!(
            "SELECT description, units, count(*) FROM synthea.observations {condition} GROUP BY description, units"
        );
        let statistic = only(&synthea, &sql);
        let again = print(&statistic, &synthea.known).unwrap();
        assert_eq!(only(&synthea, &again), statistic, "{again}");
        statistic
    };
    let group = |statistic: &Statistic| {
        let mut groups = statistic.groups().iter();
        groups.find(|group| matches!(group, Group::Buckets { .. })).cloned()
    };
    let code = |text: &str| AtomId::Code(Value::Text(text.to_owned()));
    let one = of("WHERE code = '8302-2' AND units = 'cm'");
    let found = group(&one).unwrap();
    let labels = ["Height", "Weight", "Blood"].map(|of| label_of(&found, &code(of)));
    assert_eq!(labels, ["Height", "other", "other"].map(text));
    assert_eq!(label_of(&found, &AtomId::Null), None);
    let both = group(&of("WHERE code IN ('8302-2', '29463-7')")).unwrap();
    assert_eq!(label_of(&both, &code("Weight")), text("Weight"));
    // With a code whose text is not known, and without a condition on codes, these are all listed texts.
    for condition in [
        "",
        "WHERE code IN ('8302-2', '8480-6')",
        "WHERE code <> '8302-2'",
        "WHERE units = 'cm'",
    ] {
        assert_eq!(group(&of(condition)), None, "{condition}");
    }
}

#[test]
fn statistic_texts_describe_codes_of_their_own_row() {
    let synthea = Collection::named("synthea");
    let path = |row: Row, column: &str| {
        let dataset = DatasetName::new("observations").unwrap();
        ColumnPath::new(row, &dataset, Vec::new(), ColumnName::new(column).unwrap()).unwrap()
    };
    let text = path(Row::This, "description");
    assert!(synthea.known.texts_of(&path(Row::This, "code"), &text).is_some());
    assert!(synthea.known.texts_of(&path(Row::Outer, "code"), &text).is_none());
    assert!(
        synthea
            .known
            .texts_of(&path(Row::This, "code"), &path(Row::This, "units"))
            .is_none()
    );
    assert!(synthea.known.texts_of(&text, &path(Row::This, "code")).is_none());
}

/// A column that a grant shows as a pseudonym has no codes, and no names of them.
#[test]
fn statistic_groups_by_hidden_codes_are_refused() {
    let hidden = Collection::shown("omop", &|_, column| {
        let is_code = column.as_str() == "condition_concept_id";
        Some(if is_code {
            Transform::Pseudonym
        } else {
            Transform::Clear
        })
    });
    for sql in [
        format!("{NAMED} GROUP BY 1"),
        "SELECT condition_concept_id, count(*) FROM omop.condition_occurrence GROUP BY 1".to_owned(),
    ] {
        assert!(hidden.lower(&sql).is_err(), "{sql}");
    }
}

#[test]
fn statistic_patterns_are_those_of_open_lists() {
    let synthea = Collection::named("synthea");
    let of = |condition: &str| {
        rows(
            &synthea,
            &format!("SELECT count(*) FROM synthea.conditions WHERE {condition}"),
        )
    };
    let any_case = of("description ILIKE '%diabetes%'");
    assert_eq!(of("lower(description) LIKE '%diabetes%'"), any_case);
    let is_any_case = matches!(
        any_case,
        Condition::Reference {
            test: ReferenceTest::Like { any_case: true, .. },
            negated: false,
            ..
        }
    );
    assert!(is_any_case, "{any_case:?}");
    assert!(matches!(
        of("description NOT LIKE '%Diabetes'"),
        Condition::Reference { negated: true, .. }
    ));
    // What begins with a text is a set of codes.
    assert!(matches!(of("description LIKE 'Diabetes%'"), Condition::Test(..)));
    for refused in [
        // No text in lower case matches it, as one in any case would.
        "lower(description) LIKE '%Diabetes%'",
        "upper(description) LIKE '%DIABETES%'",
        "lower(description) LIKE '%é%'",
    ] {
        let sql = format!("SELECT count(*) FROM synthea.conditions WHERE {refused}");
        let found = refusal(&synthea, &sql);
        assert!(found.contains("pattern"), "{refused}: {found}");
    }
    let listed = refusal(&synthea, "SELECT count(*) FROM synthea.patients WHERE race LIKE '%a%'");
    assert!(listed.contains("pattern"), "{listed}");
}
