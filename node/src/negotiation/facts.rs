//! What policies are evaluated on: a collection as the catalog records it, and institutions as the roster lists them.

use concordat_protocol::identity::Side;
use concordat_protocol::ids::{CollectionRef, InstitutionId};
use concordat_protocol::membership::{Member, ValidRoster};
use concordat_storage::data_dir::Storage;

use super::NegotiationError;
use super::bound_collection::BoundCollection;
use concordat_policy::{self, CollectionFacts};

/// What this node's catalog records about one of its collections; `None` if there is none with that name.
///
/// # Errors
/// [`NegotiationError::Catalog`] when the catalog cannot be read.
pub(crate) async fn collection_facts(
    storage: &Storage,
    collection: &CollectionRef,
) -> Result<Option<CollectionFacts>, NegotiationError> {
    let found = BoundCollection::named(storage, collection).await?;
    Ok(found.map(|(_, facts)| facts))
}

/// An institution as listed on the roster.
pub(crate) fn party(roster: &ValidRoster, institution: &InstitutionId) -> Option<concordat_policy::Party> {
    let Member {
        institution,
        jurisdiction,
        status,
        ..
    } = roster.member(institution)?;
    Some(concordat_policy::Party {
        institution: institution.clone(),
        jurisdiction: jurisdiction.clone(),
        status: Some(*status),
    })
}

/// Whether `who` is an active member of the roster with the key that it has presented.
pub(crate) fn is_active_side(roster: &ValidRoster, who: &Side) -> bool {
    roster
        .active_member(&who.institution)
        .is_some_and(|member| member.key == who.key)
}
