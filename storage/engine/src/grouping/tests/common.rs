//! Groupings of members that declare levels of their own.

use concordat_protocol::collection::{AncestorGroups, Listed, ListedValues, ValueLabel, ValueNames};

use super::*;

const BY_YEAR: &str = "SELECT year_of_birth, count(*) AS n FROM person GROUP BY year_of_birth";
const BY_BOTH: &str = "SELECT gender_source_value, race_source_value, count(*) AS n FROM person \
                       GROUP BY gender_source_value, race_source_value";

fn edges(edges: &[i64]) -> RawLevels {
    RawLevels::Edges {
        edges: edges.iter().copied().map(Value::Int).collect(),
        levels: BTreeMap::new(),
    }
}

fn listed(text: &str, label: &str) -> Listed {
    Listed {
        value: Value::Text(text.to_owned()),
        label: ValueLabel::new(label).unwrap(),
    }
}

fn values<'t>(texts: impl IntoIterator<Item = &'t str>) -> RawLevels {
    RawLevels::Values(texts.into_iter().map(|text| listed(text, text)).collect())
}

/// The grouping of a member that declares everything, and of members with these levels of a column.
fn members(sql: &str, column: &str, others: &[RawLevels]) -> Vec<(Grouping, bool)> {
    let omop = Collection::named("omop");
    let rules = omop.known.rules();
    let others = others.iter().map(|levels| changed(rules, column, levels.clone()));
    let all = [rules.clone()].into_iter().chain(others);
    all.map(|rules| (lowered(&omop, sql, &rules).unwrap(), false)).collect()
}

fn common(members: &[(Grouping, bool)]) -> CommonGrouping {
    CommonGrouping::of(members).unwrap().unwrap()
}

/// The labels of each cell, one for each group.
fn labels(grouping: &Grouping) -> Vec<Vec<Option<String>>> {
    let groups = 0..grouping.statistic().groups().len();
    let texts: Vec<ArrayRef> = groups.map(|group| grouping.label_texts(group).unwrap()).collect();
    let label = |texts: &ArrayRef, cell: usize| {
        let texts = texts.as_any().downcast_ref::<arrow::array::StringArray>().unwrap();
        arrow::array::Array::is_valid(texts, cell).then(|| texts.value(cell).to_owned())
    };
    let cells = 0..grouping.cells().num_rows();
    cells
        .map(|cell| texts.iter().map(|texts| label(texts, cell)).collect())
        .collect()
}

fn text(member: &MemberGrouping) -> String {
    let grouping = member.grouping();
    let text = grouping.text(grouping.statistic().cells(), member.has_labels(), None);
    text.unwrap().sql
}

#[test]
fn grouping_does_not_need_levels_of_what_it_measures() {
    let sql = "SELECT gender_source_value, avg(year_of_birth) AS m FROM person GROUP BY gender_source_value";
    let members = members(sql, "year_of_birth", &[edges(&[1941]), RawLevels::None]);
    let common = common(&members);
    assert!(common.changed().is_empty());
    for member in common.members() {
        assert!(!member.has_labels());
        assert_eq!(member.cells(), [0, 1, 2, 3].map(Some));
    }
}

#[test]
fn grouping_has_the_edges_of_all_members() {
    let members = members(BY_YEAR, "year_of_birth", &[edges(&[1940, 1950, 1960, 1962])]);
    let common = common(&members);
    let labels_of = |grouping: &Grouping| labels(grouping).concat();
    let expected = ["<1940", "1940-1949", "1950-1959", "1960+"].map(|label| Some(label.to_owned()));
    assert_eq!(labels_of(common.whole()), [&expected[..], &[None]].concat());
    let [changed] = common.changed() else {
        panic!("{:?}", common.changed())
    };
    assert_eq!(changed.column, "person.year_of_birth");
    assert!(changed.is_coarser && changed.labels.len() == 4, "{changed:?}");
    // The text of each member is a grouping of its own levels with the same labels.
    let omop = Collection::named("omop");
    for ((declared, _), member) in members.iter().zip(common.members()) {
        assert!(member.has_labels());
        let text = text(member);
        assert!(text.starts_with("SELECT CASE WHEN "), "{text}");
        let plan = omop.planned(&text).unwrap();
        let again = Grouping::of(grouping_of(&plan), declared.known().clone(), 500).unwrap();
        let mut found = labels_of(&again);
        found.sort();
        let mut expected = labels_of(common.whole());
        expected.sort();
        assert_eq!(found, expected, "{text}");
    }
}

#[test]
fn grouping_with_a_condition_on_common_edges_is_the_same() {
    let members = members(BY_SEX, "year_of_birth", &[edges(&[1940, 1950])]);
    let common = common(&members);
    assert!(common.changed().is_empty());
    for member in common.members() {
        let text = text(member);
        assert!(text.contains("\"year_of_birth\" >= 1950"), "{text}");
    }
}

/// Compared with the labels: a cell is one of another grid if it has the same ones, but all other values are the same in equal lists only.
#[test]
fn grouping_of_other_lists_has_the_cells_of_listed_values() {
    let sets: [&[&str]; 4] = [&["M"], &["M", "F", "X"], &["F", "other"], &["M", "F"]];
    let members = members(
        BY_BOTH,
        "gender_source_value",
        &sets.map(|set| values(set.iter().copied())),
    );
    let common = common(&members);
    let CellColumn::Group(gender) = common.whole().columns()[0] else {
        panic!("the first column is a group")
    };
    let whole = labels(common.whole());
    let lists = [&["M", "F"][..]].into_iter().chain(sets);
    let unlisted = &common.changed()[0].unlisted;
    for ((member, list), unlisted) in common.members().iter().zip(lists).zip(unlisted) {
        assert!(!member.has_labels());
        let own = labels(member.grouping());
        assert_eq!(own.len(), member.cells().len());
        let all = ["F", "M", "X", "other"].into_iter();
        let missing: Vec<&str> = all.filter(|value| !list.contains(value)).collect();
        assert_eq!(unlisted, &missing);
        for (cell, found) in own.iter().zip(member.cells()) {
            let is_listed = cell[gender].as_deref().is_none_or(|label| list.contains(&label));
            let same = whole.iter().position(|labels| labels == cell);
            assert_eq!(*found, same.filter(|_| is_listed), "{list:?} {cell:?}");
        }
    }
}

/// A condition on listed values is true of the same ones, whatever else is listed.
#[test]
fn grouping_with_a_condition_on_a_value_is_the_same() {
    let sql = "SELECT count(*) AS n FROM person WHERE gender_source_value = 'M' AND race_source_value <> 'white'";
    let members = members(sql, "gender_source_value", &[values(["M"])]);
    let common = common(&members);
    assert!(common.changed().is_empty());
    for member in common.members() {
        assert_eq!(member.cells(), [Some(0)]);
        let text = text(member);
        assert!(text.contains("IN ('M')"), "{text}");
    }
}

#[test]
fn grouping_of_a_member_with_records_has_levels_of_others() {
    let mut members = members(BY_YEAR, "year_of_birth", &[edges(&[1941, 1955])]);
    members[0].1 = true;
    let common = common(&members);
    assert_eq!(common.whole().cells().num_rows(), 4);
    assert!(common.members()[0].has_labels() && !common.members()[1].has_labels());
    assert_eq!(common.members()[0].cells(), [0, 1, 2, 3].map(Some));
}

#[test]
fn grouping_without_common_levels_is_an_error() {
    let relabeled = RawLevels::Values(vec![listed("white", "w"), listed("black", "black")]);
    for (column, levels) in [
        ("year_of_birth", edges(&[1941, 1952])),
        ("race_source_value", relabeled),
    ] {
        let sql = format!("SELECT {column}, count(*) AS n FROM person GROUP BY {column}");
        let error = CommonGrouping::of(&members(&sql, column, &[levels])).unwrap_err();
        let GroupingDifference::Declared { what, members, common } = error.as_ref() else {
            panic!("{error:?}")
        };
        assert_eq!(*what, format!("person.{column}"));
        assert_eq!((members[0].0, members[1].0), (0, 1));
        assert!(common.is_empty());
    }
}

#[test]
fn grouping_of_too_many_values_is_refused() {
    let levels = ["a", "b"].map(|letter| {
        let texts: Vec<String> = (0..300).map(|at| format!("{letter}{at}")).collect();
        values(texts.iter().map(String::as_str))
    });
    let sql = "SELECT gender_source_value, count(*) AS n FROM person GROUP BY gender_source_value";
    let error = CommonGrouping::of(&members(sql, "gender_source_value", &levels)).unwrap_err();
    assert!(matches!(error.as_ref(), GroupingDifference::Refused(_)), "{error:?}");
}

/// The error of a member names its own edges; those of all are the ones that help.
#[test]
fn grouping_that_one_member_refuses_names_common_edges() {
    let omop = Collection::named("omop");
    let rules = omop.known.rules();
    let sql = "SELECT count(*) AS n FROM person WHERE year_of_birth >= 1955";
    let there = changed(rules, "year_of_birth", edges(&[1940, 1950, 1962]));
    assert!(lowered(&omop, sql, &there).is_err());
    let here = [(lowered(&omop, sql, rules).unwrap(), false)];
    let scope = scope(rules);
    let found = CommonGrouping::undecided(&here, &there, &scope);
    let Some(GroupingDifference::Declared { what, members, common }) = &found else {
        panic!("{found:?}")
    };
    assert_eq!((what.as_str(), members[1].0), ("person.year_of_birth", 1));
    assert_eq!(*common, ["<1940", "1940-1949", "1950+"]);
    assert!(CommonGrouping::undecided(&here, rules, &scope).is_none());
    assert!(CommonGrouping::undecided(&[], rules, &scope).is_none());
}

/// A part is combined by its codes, so one of a member with other names is not.
#[test]
fn grouping_by_names_is_of_members_with_the_same_names() {
    let omop = Collection::named("omop");
    let rules = omop.known.rules();
    let sql = "SELECT k.concept_name, count(*) AS n FROM person p JOIN concept k ON k.concept_id = p.gender_concept_id \
               GROUP BY k.concept_name";
    let [here, same, other] = ["FEMALE", "FEMALE", "WOMAN"].map(|name| {
        let names = [(8507, "MALE"), (8532, name)].map(|(code, name)| Listed {
            value: Value::Int(code),
            label: ValueLabel::new(name).unwrap(),
        });
        let names = ValueNames {
            column: ColumnName::new("concept_name").unwrap(),
            values: ListedValues::check(names.to_vec()).unwrap(),
        };
        let rules = with(rules, "gender_concept_id", |column| column.names = Some(names));
        (lowered(&omop, sql, &rules).unwrap(), false)
    });
    let found = common(&[here.clone(), same]);
    let [first, second] = found.members() else {
        panic!("{found:?}")
    };
    assert_eq!(text(first), text(second));
    assert!(
        text(first).contains("8532") && text(first).contains("'FEMALE'"),
        "{}",
        text(first)
    );
    let error = CommonGrouping::of(&[here, other]).unwrap_err();
    let GroupingDifference::Declared { what, members, .. } = error.as_ref() else {
        panic!("{error:?}")
    };
    assert_eq!(what, "person.gender_concept_id");
    let names = [&members[0].1, &members[1].1];
    assert_eq!(names, ["8532 is named `FEMALE`", "8532 is named `WOMAN`"]);
}

/// They are groups of one holder only, so that members need not have the same.
#[test]
fn grouping_does_not_depend_on_groups_of_ancestors() {
    let omop = Collection::named("omop");
    let rules = omop.known.rules();
    let of_column = ("condition_occurrence", "condition_concept_id");
    let sql = "SELECT count(*) AS n FROM condition_occurrence WHERE condition_concept_id IN (5, 6)";
    let with_groups = with_column(rules, of_column, |column| {
        let RawLevels::Codes {
            hierarchy: Some(hierarchy),
            ..
        } = &mut column.levels
        else {
            panic!("{:?}", column.levels)
        };
        hierarchy.groups = Some(AncestorGroups {
            column: ColumnName::new("concept_class_id").unwrap(),
            class: ValueLabel::new("Ingredient").unwrap(),
        });
    });
    let with_other_pairs = with_column(rules, of_column, |column| {
        if let RawLevels::Codes {
            hierarchy: Some(hierarchy),
            ..
        } = &mut column.levels
        {
            std::mem::swap(&mut hierarchy.ancestor, &mut hierarchy.descendant);
        }
    });
    let [here, same, other] =
        [rules, &with_groups, &with_other_pairs].map(|rules| (lowered(&omop, sql, rules).unwrap(), false));
    assert!(CommonGrouping::of(&[here.clone(), same]).is_ok());
    assert!(CommonGrouping::of(&[here, other]).is_err());
}
