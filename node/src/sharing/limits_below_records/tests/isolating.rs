//! Answers with a cell that was withheld for what was answered before.

use super::*;

const MANY: Most = Most::of(1_000, 1_000, 1_000);
const EVA: &str = "eva@zurich";

fn receive(node: &Opened, person: &str, now: Timestamp) {
    node.limits
        .store()
        .note_isolating(&counted("heart", person), now)
        .unwrap();
}

fn searching(node: &Opened, now: Timestamp) -> Vec<String> {
    let found = node.limits.searching(now).unwrap();
    found.into_iter().map(|found| found.person.to_string()).collect()
}

#[test]
fn person_who_receives_many_withheld_cells_is_named_to_stewards() {
    let fixture = Fixture::new();
    let node = fixture.open();
    for at in 0..99 {
        receive(&node, EVA, after(at));
    }
    receive(&node, "pal@zurich", after(99));
    assert!(searching(&node, after(100)).is_empty());
    drop(node);
    // The count is that of the last start.
    let node = fixture.open();
    for at in 101..105 {
        receive(&node, EVA, after(at));
        assert_eq!(searching(&node, after(at)), [EVA]);
    }
    // Nothing that the person sees changes.
    assert!(node.locked().is_empty());
    assert!(node.send(EVA, MANY, after(106)).is_empty());
    assert!(
        !node
            .entries()
            .iter()
            .any(|body| matches!(body, EntryBody::ReleaseLocked { .. }))
    );
}

#[test]
fn withheld_cells_of_thirty_days_ago_do_not_count() {
    let fixture = Fixture::new();
    let node = fixture.open();
    for at in 0..100 {
        receive(&node, EVA, after(at));
    }
    assert_eq!(searching(&node, after(100)), [EVA]);
    assert!(searching(&node, after(30 * DAY_S + 10)).is_empty());
}
