use super::*;
use crate::engine::{source::AnswerKeys, worker::Task};

#[tokio::test]
async fn a_query_arrives_at_its_process_as_it_was() {
    let world = World::new().await;
    let (scope, keys) = (clear(Tier::Records, &["age"]), AnswerKeys::of(&world, &Holder::Local));
    let bounds = Bounds::default();
    let task = Task::new(&world, scope.clone(), &keys, "SELECT age FROM heart", &bounds).unwrap();
    let mut bytes = Vec::new();
    ciborium::into_writer(&task, &mut bytes).unwrap();
    let there: Task = ciborium::from_reader(bytes.as_slice()).unwrap();
    assert_eq!((there.scope, there.sql.as_str()), (scope, "SELECT age FROM heart"));
    let there: Task = ciborium::from_reader(bytes.as_slice()).unwrap();
    let handed_over = there.keys().unwrap();
    assert_eq!(handed_over.pseudonyms.bytes(), keys.pseudonyms.bytes());
    assert_eq!(handed_over.order.bytes(), keys.order.bytes());
    assert_eq!(there.schema(), Some(world.schema()));
    assert_eq!(there.objects(), Some(world.objects()));
    assert_eq!(
        (there.bounds().memory, there.bounds().groups),
        (bounds.memory, bounds.groups)
    );
}
