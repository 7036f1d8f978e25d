//! The comparison of two policy sets.

use super::*;

/// Forbids the tier of records.
const NO_RECORDS: &str = "@id(\"no-records\") @reason(\"r\") @remedy(\"m\") forbid(principal, action == Action::\"answer-records\", resource);";

#[test]
fn policy_diff_names_what_opens_and_what_closes() {
    let before = shipped_sources();
    let after = stricter();
    let old = Policy::compile(&before).unwrap();
    let new = Policy::compile(&after).unwrap();
    let forward = diff((&before, &old), (&after, &new), &request_space());
    assert_eq!(forward.opens_in_all, 0, "{:?}", forward.opens);
    assert!(forward.closes_in_all > 0);
    assert!(
        forward.closes.iter().all(|line| line.starts_with("answer-records")),
        "{:?}",
        forward.closes
    );
    assert_eq!(forward.text.len(), 1);
    assert!(forward.text[0].lines.iter().all(|line| line.starts_with('+')));
    let back = diff((&after, &new), (&before, &old), &request_space());
    assert_eq!((back.opens.len(), back.closes_in_all), (forward.closes.len(), 0));
}

/// Permits records, whatever they are for.
const ALL_RECORDS: &str = "@id(\"all-records\") @reason(\"r\") @remedy(\"m\") \
                           permit(principal is Institution, action == Action::\"answer-records\", resource is Dataset);";
/// Forbids one purpose.
const NO_METHODS: &str = "@id(\"no-methods\") @reason(\"r\") @remedy(\"m\") forbid(principal, action == Action::\"use-for-purpose\", resource) \
                          when { context.purpose == Purpose::\"methods-development\" };";

#[test]
fn policy_diff_leaves_out_purposes_that_are_forbidden() {
    let before = shipped_sources();
    let after = with(ALL_RECORDS);
    let old = Policy::compile(&before).unwrap();
    let new = Policy::compile(&after).unwrap();
    let found = diff((&before, &old), (&after, &new), &request_space());
    let is_for = |purpose: &str| {
        found
            .opens
            .iter()
            .any(|line| line.contains(&format!(" for {purpose} ")))
    };
    assert!(
        is_for("general-research") && is_for("methods-development"),
        "{:?}",
        found.opens
    );
    assert!(!is_for("ancestry") && !is_for("clinical-care"), "{:?}", found.opens);
}

#[test]
fn policy_diff_of_a_purpose_begins_with_the_purpose() {
    let before = shipped_sources();
    let after = with(NO_METHODS);
    let old = Policy::compile(&before).unwrap();
    let new = Policy::compile(&after).unwrap();
    let found = diff((&before, &old), (&after, &new), &request_space());
    assert!(found.closes[0].starts_with("use-for-purpose"), "{:?}", found.closes);
    assert!(
        found
            .closes
            .iter()
            .all(|line| line.contains(" for methods-development "))
    );
    let is_figure = |line: &String| line.starts_with("answer-aggregate");
    assert!(found.closes.iter().any(is_figure), "{:?}", found.closes);
}

fn stricter() -> PolicySources {
    with(NO_RECORDS)
}

/// The shipped set with one rule more.
fn with(rule: &str) -> PolicySources {
    let mut sources = shipped_sources();
    sources.files.push(PolicyFile {
        name: "more.cedar".to_owned(),
        text: rule.to_owned(),
    });
    sources
}

fn request_space() -> RequestSpace {
    RequestSpace::new(budapest()).with(vec![zurich()], vec![heart()])
}
