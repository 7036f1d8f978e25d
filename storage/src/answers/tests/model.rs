//! A log against a list of records.

use proptest::prelude::*;

use super::*;

/// One step.
#[derive(Clone, Debug)]
enum Step {
    /// Records are written.
    Append(Vec<Vec<u8>>),
    /// What was written is committed.
    Commit,
    /// The log continues without it.
    Drop,
    /// The process is killed, and bytes are after what was written.
    Kill(Vec<u8>),
    /// The log is closed and opened.
    Reopen,
}

fn step() -> impl Strategy<Value = Step> {
    let record = prop::collection::vec(any::<u8>(), 0..300);
    prop_oneof![
        4 => prop::collection::vec(record, 0..4).prop_map(Step::Append),
        4 => Just(Step::Commit),
        1 => Just(Step::Drop),
        1 => prop::collection::vec(any::<u8>(), 0..60).prop_map(Step::Kill),
        1 => Just(Step::Reopen),
    ]
}

/// A log in either of its states.
enum State {
    Open(AnswerLog),
    Written(Appended, Vec<Vec<u8>>),
}

impl State {
    /// The log without what was only written.
    fn log(self) -> AnswerLog {
        match self {
            Self::Open(log) => log,
            Self::Written(appended, _) => appended.into_log().unwrap(),
        }
    }
}

fn run(limits: RecentLimits, steps: Vec<Step>) -> Result<(), TestCaseError> {
    let fixture = Fixture::new();
    let mut model: Vec<Vec<u8>> = Vec::new();
    let mut node = fixture.imported(limits);
    let mut state = State::Open(node.log(&space()).unwrap());
    for step in steps {
        state = match (step, state) {
            (Step::Append(records), state) => {
                let borrowed: Vec<&[u8]> = records.iter().map(Vec::as_slice).collect();
                State::Written(state.log().append(&borrowed).unwrap(), records)
            }
            (Step::Commit, State::Written(appended, records)) => {
                node.commit(&appended).unwrap();
                model.extend(records);
                State::Open(appended.into_log().unwrap())
            }
            (Step::Commit | Step::Drop, state) => State::Open(state.log()),
            (Step::Kill(tail), state) => {
                drop((state, node));
                for log in files_below(&fixture.answers()) {
                    let whole = [fs::read(&log).unwrap(), tail.clone()].concat();
                    fs::write(log, whole).unwrap();
                }
                node = fixture.open_with(limits);
                State::Open(node.log(&space()).unwrap())
            }
            (Step::Reopen, state) => {
                drop(state);
                State::Open(node.log(&space()).unwrap())
            }
        };
        if let State::Open(log) = &state {
            prop_assert_eq!(log.records(), model.len() as u64);
        }
    }
    drop((state, node));
    prop_assert_eq!(fixture.contents().unwrap(), model);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn answers_are_those_of_the_model(
        (record, total) in prop_oneof![Just((0, 0)), Just((200, 600)), Just((1_000, 5_000))],
        steps in prop::collection::vec(step(), 0..24),
    ) {
        run(RecentLimits { record, total }, steps)?;
    }
}
