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

fn stricter() -> PolicySources {
    let mut sources = shipped_sources();
    sources.files.push(PolicyFile {
        name: "more.cedar".to_owned(),
        text: NO_RECORDS.to_owned(),
    });
    sources
}

fn request_space() -> RequestSpace {
    RequestSpace::new(budapest()).with(vec![zurich()], vec![heart()])
}
