use concordat_protocol::schema::VersionNumber;

use super::*;
use crate::{source::AnswerKeys, worker::Task};

#[tokio::test]
async fn task_survives_encoding_to_its_process() {
    let fixture = Fixture::new().await;
    let scope = clear(Tier::Records, &["age"]);
    let keys = AnswerKeys::of(&fixture, &Holder::Local);
    let bounds = Bounds::default();
    let version = Some(VersionNumber::new(3));
    let statement = ("SELECT age FROM heart", version);
    let task = Task::new(&fixture, scope.clone(), &keys, statement, &bounds).unwrap();
    let mut bytes = Vec::new();
    ciborium::into_writer(&task, &mut bytes).unwrap();
    let decoded: Task = ciborium::from_reader(bytes.as_slice()).unwrap();
    assert_eq!(decoded.version, version);
    assert_eq!((decoded.scope, decoded.sql.as_str()), (scope, "SELECT age FROM heart"));
    let decoded: Task = ciborium::from_reader(bytes.as_slice()).unwrap();
    let received = decoded.keys().unwrap();
    let pseudonyms = |keys: &AnswerKeys| keys.pseudonyms.column_hasher("name").finalize();
    assert_eq!(pseudonyms(&received), pseudonyms(&keys));
    let ranks = |keys: &AnswerKeys| keys.order.rank_hasher(b"rows").finalize();
    assert_eq!(ranks(&received), ranks(&keys));
    assert_eq!(decoded.schema(0), Some(fixture.schema()));
    assert_eq!(decoded.objects(), Some(fixture.objects()));
    assert_eq!(
        (decoded.bounds().memory, decoded.bounds().groups),
        (bounds.memory, bounds.groups)
    );
}
