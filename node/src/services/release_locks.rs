//! People whose queries below `records` are locked, because they have reached limits.

use concordat_documents::Items;
use concordat_documents::dataset::{ReleaseLock, Unlock, UnlockRequest, UnlockState};
use concordat_documents::problem::Problem;
use concordat_protocol::ids::{CollectionName, DatasetName};

use super::run::blocking;
use crate::iam::{Action, Actor};
use crate::node::Node;
use crate::sharing::{UnlockOrder, Unlocking};

/// Who is locked at a dataset, by institution.
///
/// # Errors
/// `denied` without the role; `not_found` if there is no dataset of that name; `internal` or `integrity` if the state cannot be read.
pub(crate) async fn list(node: &Node, caller: &Actor, name: String) -> Result<Items<ReleaseLock>, Problem> {
    caller.require(Action::PublishDataset)?;
    let collection = CollectionName::from(&name.parse::<DatasetName>()?);
    blocking(node, move |node| {
        node.storage().catalog().datasets().collection(&collection)?;
        let locked = node.sharing().locked_people(&collection)?;
        let locks = locked.into_iter().map(|locked| ReleaseLock {
            institution: locked.institution,
            person: locked.person,
            since: locked.since.to_string(),
            proposed_by: locked.proposed_by,
        });
        Ok::<_, Problem>(locks.collect())
    })
    .await
}

/// Unlocks people as the second steward, or proposes it as the first one.
///
/// # Errors
/// `not_found` if no one of the institution is locked, or not this person; `denied` without the role, to a person who is locked, or if the two
/// stewards are not independent.
pub(crate) async fn unlock(
    node: &Node,
    caller: &Actor,
    name: String,
    request: UnlockRequest,
) -> Result<Unlock, Problem> {
    caller.require(Action::PublishDataset)?;
    let caller = caller.clone();
    let order = UnlockOrder {
        collection: CollectionName::from(&name.parse::<DatasetName>()?),
        institution: request.institution,
        person: request.person,
    };
    blocking(node, move |node| {
        let done = node.sharing().unlock(&order, &caller, node.accounts())?;
        let (people, state) = match done {
            Unlocking::Unlocked(people) => (people, UnlockState::Unlocked),
            Unlocking::Proposed(people) => (people, UnlockState::Proposed),
        };
        if state == UnlockState::Unlocked {
            node.epoch().raise();
        }
        Ok::<_, Problem>(Unlock {
            collection: order.collection,
            people,
            state,
        })
    })
    .await
}
