//! Answers with a cell that was withheld for what was answered before.

use super::*;

const MANY: Most = Most::of(1_000, 1_000, 1_000);
const EVA: &str = "eva@zurich";

fn receive(node: &Opened, person: &str, now: Timestamp) {
    let by = by_node(NodeTask::Start);
    let query = counted("heart", person);
    node.limits.store().note_isolating(&query, (&by, now)).unwrap();
}

#[test]
fn person_who_receives_many_withheld_cells_is_locked() {
    let fixture = Fixture::new();
    let node = fixture.open();
    for at in 0..99 {
        receive(&node, EVA, after(at));
    }
    receive(&node, "pal@zurich", after(99));
    assert!(node.locked().is_empty());
    assert!(node.send(EVA, MANY, after(100)).is_empty());
    drop(node);
    // The count is that of the last start.
    let node = fixture.open();
    receive(&node, EVA, after(101));
    assert_eq!(node.locked(), [EVA]);
    assert_eq!(node.send(EVA, MANY, after(102)), [LOCKED]);
    assert!(node.send("pal@zurich", MANY, after(102)).is_empty());
    let entries = node.entries();
    let locked: Vec<_> = entries
        .iter()
        .filter(|body| matches!(body, EntryBody::ReleaseLocked { .. }))
        .collect();
    assert_eq!(locked.len(), 1);
    // An answer that was computed meanwhile changes nothing.
    receive(&node, EVA, after(103));
    assert_eq!(node.entries().len(), entries.len());
}

#[test]
fn withheld_cells_of_thirty_days_ago_do_not_count() {
    let fixture = Fixture::new();
    let node = fixture.open();
    for at in 0..99 {
        receive(&node, EVA, after(at));
    }
    receive(&node, EVA, after(30 * DAY_S + 100));
    assert!(node.locked().is_empty());
}
