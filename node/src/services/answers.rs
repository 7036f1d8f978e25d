//! Answers below `records` that are missing since a restore.

use concordat_documents::dataset::AcknowledgedAnswers;
use concordat_documents::problem::Problem;
use concordat_protocol::audit::EntryBody;
use concordat_protocol::error_kind::ErrorKind;
use concordat_protocol::ids::{CollectionName, DatasetName};

use super::run::blocking;
use crate::iam::{Action, Actor};
use crate::node::Node;

/// Acknowledges that answers about a dataset which are missing since a restore do not count: further ones are compared with those that are known.
/// The entry is in the ledger first; after a stop in between it is acknowledged again.
///
/// # Errors
/// `denied` without the role; `not_found` if there is no dataset of that name, or if no answers about it are missing.
pub(crate) async fn acknowledge(node: &Node, caller: &Actor, name: String) -> Result<AcknowledgedAnswers, Problem> {
    let by = caller.authorize(Action::PublishDataset)?;
    let name: DatasetName = name.parse()?;
    blocking(node, move |node| {
        let answers = node.storage().catalog().answers();
        let known_until = answers.known_until(&name)?.ok_or_else(|| {
            Problem::new(
                ErrorKind::NotFound,
                format!("no answers about `{name}` are missing since a restore"),
            )
        })?;
        let collection = CollectionName::from(&name);
        let entry = EntryBody::AnswersAcknowledged {
            collection: collection.clone(),
            known_until,
        };
        drop(node.ledger().append(entry, &by, node.clock().now())?);
        answers.acknowledge(&name)?;
        node.epoch().raise();
        Ok::<_, Problem>(AcknowledgedAnswers {
            collection,
            known_until: known_until.to_string(),
        })
    })
    .await
}
