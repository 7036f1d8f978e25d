//! One of this institution's own people who may query.

use concordat_storage::ledger::Attribution;

use crate::iam::{Action, Actor, IamError};

/// A person who may query ([`Action::Query`]), with the attribution of what is entered in the ledger about their queries.
#[derive(Clone, Debug)]
pub struct Requester {
    actor: Actor,
    by: Attribution,
}

impl Requester {
    /// The person as a requester.
    ///
    /// # Errors
    /// [`IamError::NotPermitted`] without the role.
    pub fn authorize(actor: &Actor) -> Result<Self, IamError> {
        Ok(Self {
            by: actor.authorize(Action::Query)?,
            actor: actor.clone(),
        })
    }

    /// The person.
    pub fn actor(&self) -> &Actor {
        &self.actor
    }

    /// The attribution of the person's queries.
    pub fn by(&self) -> &Attribution {
        &self.by
    }
}
