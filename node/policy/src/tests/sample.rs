//! The sample in which sets are checked and compared.

use super::*;

fn space() -> RequestSpace {
    RequestSpace::new(budapest()).with(vec![zurich()], vec![heart()])
}

/// A set with one rule more than the shipped one.
fn with(rule: &str) -> PolicySources {
    let mut sources = shipped_sources();
    sources.files.push(PolicyFile {
        name: "more.cedar".to_owned(),
        text: rule.to_owned(),
    });
    sources
}

#[test]
fn policy_sample_has_the_values_that_rules_name() {
    let rule = r#"@id("named") @reason("r") @remedy("m")
        permit(principal is Institution, action in Action::"reveal", resource is Column)
        when { resource.class == Class::"ordinary" && context has disease && context.disease == "MONDO:0000408" }
        when { ["basel", "bern"].contains(principal.name) || principal == Institution::"ticino" }
        when { principal.jurisdiction == "IT" && resource.dataset.segment == "genomes" }
        when { resource.name like "height*" || resource.dataset.name == "growth" || resource.table == "visit" || resource.kind == Kind::"float" };
        @id("of-one") @reason("r") @remedy("m")
        forbid(principal == Person::"pal@uri", action == Action::"query", resource == Dataset::"budapest.teeth");"#;
    let policy = Policy::compile(&with(rule)).unwrap();
    let contents = sampled(&policy, &space());
    for value in [
        "MONDO:0000408",
        "basel",
        "bern",
        "ticino",
        "IT",
        "genomes",
        "height",
        "growth",
        "visit",
        "pal@uri",
        "uri",
        "teeth",
    ] {
        let is_named = contents
            .named
            .iter()
            .any(|named| named.trim_start_matches("disease:") == value);
        assert!(is_named, "{value} is not in {:?}", contents.named);
    }
    assert_eq!(contents.left_out, 0);
    let shipped = sampled(&shipped(), &space());
    // The shipped rules name the courses that count; all these rules include them.
    let courses = ["data-protection", "good-clinical-practice", "human-subjects-protection"];
    assert_eq!(shipped.named, courses);
    assert_eq!(contents.named.len(), 12 + courses.len(), "{:?}", contents.named);
    assert!(
        contents.datasets > shipped.datasets + 3,
        "{} datasets",
        contents.datasets
    );
    assert!(contents.institutions > shipped.institutions && contents.columns > shipped.columns);

    let many: Vec<String> = (0..30).map(|number| format!("\"MONDO:{number:07}\"")).collect();
    let rule = format!(
        "@id(\"many\") @reason(\"r\") @remedy(\"m\") forbid(principal, action == Action::\"use-for-purpose\", resource) \
         when {{ context has disease && [{}].contains(context.disease) }};",
        many.join(", ")
    );
    let contents = sampled(&Policy::compile(&with(&rule)).unwrap(), &space());
    assert_eq!((contents.named.len(), contents.left_out), (8 + courses.len(), 22));
}

#[test]
fn policy_set_for_one_named_disease_is_found_too_wide() {
    let sources = names_for_one_disease();
    let policy = Policy::compile(&sources).unwrap();
    let allowed = never_allowed(&policy, &space());
    let is_found = |member: &str| {
        let found = |line: &String| {
            line.starts_with("reveal-clear of heart.mrn") && line.contains("MONDO:0000408") && line.contains(member)
        };
        allowed.iter().any(found)
    };
    assert!(
        allowed.iter().all(|line| line.starts_with("reveal-clear")),
        "{allowed:?}"
    );
    assert!(is_found("any-member"), "{allowed:?}");
    let shipped = shipped_sources();
    let diff = diff(
        (&shipped, &Policy::compile(&shipped).unwrap()),
        (&sources, &policy),
        &space(),
    );
    assert_eq!(diff.never_allowed, allowed);
    assert_eq!(diff.opens_in_all, 0, "it stays denied: {:?}", diff.opens);
}

/// A rule that depends on a single value is compared with this value.
#[test]
fn policy_diff_names_what_opens_for_one_value_only() {
    let shipped = shipped_sources();
    let before = Policy::compile(&shipped).unwrap();
    // What the steward has set for the dataset permits it already, so the comparison is about one that permits nothing.
    let closed = RequestSpace {
        collections: vec![CollectionFacts {
            release: ReleaseRules::default(),
            ..heart()
        }],
        ..space()
    };
    let sensitive = |condition: &str| {
        format!(
            "@id(\"one\") @reason(\"r\") @remedy(\"m\") permit(principal is Institution, action == Action::\"reveal-clear\", \
             resource is Column) when {{ resource.class == Class::\"sensitive\" && resource.name == \"chol\" && {condition} }};"
        )
    };
    for (condition, value) in [
        (
            "context has disease && context.disease == \"MONDO:0000408\"",
            "MONDO:0000408",
        ),
        ("principal.name == \"basel\"", "basel"),
        ("principal.jurisdiction == \"IT\"", "IT"),
    ] {
        let sources = with(&sensitive(condition));
        let policy = Policy::compile(&sources).unwrap();
        let diff = diff((&shipped, &before), (&sources, &policy), &closed);
        assert!(diff.opens_in_all > 0, "{condition}");
        assert!(diff.opens.iter().all(|line| line.contains(value)), "{:?}", diff.opens);
    }
}

#[test]
fn policy_diff_names_what_closes_for_one_login_only() {
    let shipped = shipped_sources();
    let sources = with(
        "@id(\"none\") @reason(\"r\") @remedy(\"m\") forbid(principal is Person, action == Action::\"query\", resource) \
         when { context has password_reset_age_s && context.password_reset_age_s < 100000 };",
    );
    let diff = diff(
        (&shipped, &Policy::compile(&shipped).unwrap()),
        (&sources, &Policy::compile(&sources).unwrap()),
        &space(),
    );
    assert!(diff.closes_in_all > 0);
    let reset = |line: &String| line.contains("a password that another person set nine hours ago");
    assert!(diff.closes.iter().all(reset), "{:?}", diff.closes);
    assert_eq!((diff.opens_in_all, diff.sample.left_out), (0, 0));
    assert!(diff.compared > 0 && diff.sample.institutions > 0);
}
