//! The consortium: founding, enrollment, admitting, removing, joining, the roster and its charter, and ledgers that contradict what
//! their nodes have signed.

use concordat_documents::consortium::{
    Admitted, Application, ConfirmedKey, DocumentReview, FileContent, IssuedChange, KeyConfirmation, LedgerConflicts,
    LedgerGeneration, NewCharter, NewConsortium, NewMember, OwnLedgerHead, PeerLedgerConflict, PeerLedgerHead, Roster,
    SignatureRequest,
};
use concordat_documents::problem::Problem;
use concordat_protocol::ids::InstitutionId;
use concordat_protocol::membership::from_file;
use data_encoding::BASE64;

use super::run::blocking;
use crate::iam::{Action, Actor};
use crate::membership::{Admission, MembershipError};
use crate::node::Node;

mod view;

/// Founds a consortium with this institution as its only member.
///
/// # Errors
/// `denied` without the role, as for all functions of this file; `usage` if the node belongs to a consortium.
pub(crate) async fn found(node: &Node, caller: &Actor, new: NewConsortium) -> Result<Roster, Problem> {
    let by = caller.authorize(Action::ManageConsortium)?;
    let roster = node.membership().found(new.name, &by).await?;
    Ok(view::roster(node, &roster))
}

/// The application of this node, or the newer statement of its institution.
///
/// # Errors
/// `usage` if the node has no address that can be announced.
pub(crate) fn application(node: &Node, caller: &Actor) -> Result<Application, Problem> {
    caller.require(Action::ManageConsortium)?;
    let armor = node.membership().enroll(None)?;
    Ok(Application { armor })
}

/// The application of a further node of a member, which is not on the roster yet.
///
/// # Errors
/// `usage` if the file is not a roster that lists the institution; `unverified` if the institution has not signed its entry.
pub(crate) fn application_of_further_node(
    node: &Node,
    caller: &Actor,
    roster: &FileContent,
) -> Result<Application, Problem> {
    caller.require(Action::ManageConsortium)?;
    let armor = node.membership().enroll(Some(&content(&roster.file)?))?;
    Ok(Application { armor })
}

/// Admits an applicant, or proposes it to the other holders of the charter.
///
/// # Errors
/// `unverified` if the application is not valid; `usage` if it names an address that this node does not dial.
pub(crate) async fn admit(node: &Node, caller: &Actor, new: NewMember) -> Result<Admitted, Problem> {
    let by = caller.authorize(Action::ManageConsortium)?;
    let admission = Admission {
        allow_hosts: new.allow_hosts,
        replace_key: new.replace_key,
    };
    let application = content(&new.file)?;
    let admitted = node.membership().admit_with(&application, &admission, &by).await?;
    Ok(view::admitted(admitted, admission.allow_hosts))
}

/// Removes a member, or proposes it to the other holders of the charter.
///
/// # Errors
/// `usage` if there is no such member.
pub(crate) async fn remove(node: &Node, caller: &Actor, institution: &str) -> Result<IssuedChange, Problem> {
    let by = caller.authorize(Action::ManageConsortium)?;
    let institution: InstitutionId = institution.parse()?;
    let issued = node.membership().remove(&institution, &by).await?;
    Ok(view::issued(node, issued))
}

/// Confirms the key of a member that the holders of the charter replaced.
///
/// # Errors
/// `usage` if there is no unconfirmed key with this fingerprint.
pub(crate) async fn confirm_key(
    node: &Node,
    caller: &Actor,
    institution: &str,
    confirmation: KeyConfirmation,
) -> Result<ConfirmedKey, Problem> {
    let by = caller.authorize(Action::ManageConsortium)?;
    let institution: InstitutionId = institution.parse()?;
    let membership = node.membership();
    let key = membership
        .confirm_key(&institution, &confirmation.fingerprint, &by)
        .await?;
    Ok(ConfirmedKey {
        institution,
        fingerprint: key.fingerprint(),
    })
}

/// Joins the consortium whose roster is in a file.
///
/// # Errors
/// `usage` if the roster does not list this node; `unverified` if it is not valid.
pub(crate) async fn join(node: &Node, caller: &Actor, roster: FileContent) -> Result<Roster, Problem> {
    let by = caller.authorize(Action::ManageConsortium)?;
    let roster = node.membership().join(&content(&roster.file)?, &by).await?;
    Ok(view::roster(node, &roster))
}

/// The newest roster, with the text that can be mailed.
///
/// # Errors
/// `usage` without a consortium.
pub(crate) fn roster(node: &Node, caller: &Actor) -> Result<Roster, Problem> {
    caller.require(Action::ReadRoster)?;
    let membership = node.membership();
    let newest = membership.newest().ok_or(MembershipError::NoConsortium)?;
    Ok(Roster {
        armor: Some(membership.export()?),
        ..view::roster(node, &newest)
    })
}

/// Imports a newer roster.
///
/// # Errors
/// `unverified` if it is not valid, or older than the present one.
pub(crate) async fn import(node: &Node, caller: &Actor, roster: FileContent) -> Result<Roster, Problem> {
    let by = caller.authorize(Action::ManageConsortium)?;
    let signed = from_file(&content(&roster.file)?).map_err(MembershipError::from)?;
    let roster = node.membership().import(signed, &by).await?;
    Ok(view::roster(node, &roster))
}

/// What a proposed roster would change.
///
/// # Errors
/// `unverified` if it would be refused.
pub(crate) async fn review_roster(
    node: &Node,
    caller: &Actor,
    proposal: FileContent,
) -> Result<DocumentReview, Problem> {
    caller.require(Action::ManageConsortium)?;
    let file = content(&proposal.file)?;
    let review = blocking(node, move |node| node.membership().review_roster(&file)).await?;
    Ok(view::review(review))
}

/// Signs a proposed roster as a holder of its charter.
///
/// # Errors
/// `usage` if it is not the document that was reviewed; `unverified` if it would be refused; `denied` if this institution is not a holder.
pub(crate) async fn sign_roster(
    node: &Node,
    caller: &Actor,
    request: SignatureRequest,
) -> Result<IssuedChange, Problem> {
    let by = caller.authorize(Action::ManageConsortium)?;
    let file = content(&request.file)?;
    let issued = node.membership().sign_roster(&file, request.expect, &by).await?;
    Ok(view::issued(node, issued))
}

/// Changes the charter, or proposes it to its other holders.
///
/// # Errors
/// `usage` if a holder is not an active member or the charter is not valid.
pub(crate) async fn change_charter(node: &Node, caller: &Actor, new: NewCharter) -> Result<IssuedChange, Problem> {
    let by = caller.authorize(Action::ManageConsortium)?;
    let membership = node.membership();
    let issued = membership.change_charter(new.threshold, &new.holders, &by).await?;
    Ok(view::issued(node, issued))
}

/// What a proposed change of the charter would change.
///
/// # Errors
/// `usage` if it changes another charter than the present one; `unverified` if it is malformed.
pub(crate) async fn review_charter(
    node: &Node,
    caller: &Actor,
    proposal: FileContent,
) -> Result<DocumentReview, Problem> {
    caller.require(Action::ManageConsortium)?;
    let file = content(&proposal.file)?;
    let review = blocking(node, move |node| node.membership().review_charter(&file)).await?;
    Ok(view::review(review))
}

/// Signs a proposed change of the charter as one of its holders.
///
/// # Errors
/// As for [`sign_roster`].
pub(crate) async fn sign_charter(
    node: &Node,
    caller: &Actor,
    request: SignatureRequest,
) -> Result<IssuedChange, Problem> {
    let by = caller.authorize(Action::ManageConsortium)?;
    let file = content(&request.file)?;
    let issued = node.membership().sign_charter(&file, request.expect, &by).await?;
    Ok(view::issued(node, issued))
}

/// Ledgers that contradict what their nodes have signed.
///
/// # Errors
/// `denied` without the role.
pub(crate) fn ledger_conflicts(node: &Node, caller: &Actor) -> Result<LedgerConflicts, Problem> {
    caller.require(Action::ReadStatus)?;
    let heads = node.membership().heads();
    Ok(LedgerConflicts {
        own: heads.own_conflict().map(|conflict| view::own_conflict(&conflict)),
        own_start: heads
            .own_start_conflict()
            .map(|conflict| view::own_start(&conflict, heads.start())),
        items: heads.conflicts().into_iter().map(view::peer_conflict).collect(),
        refused_starts: heads.refused_starts().into_iter().map(view::refused_start).collect(),
    })
}

/// Acknowledges the ledger of a member that was replaced by another.
///
/// # Errors
/// `not_found` if no such head was shown.
pub(crate) async fn acknowledge_peer(
    node: &Node,
    caller: &Actor,
    shown: PeerLedgerHead,
) -> Result<PeerLedgerConflict, Problem> {
    let by = caller.authorize(Action::AcknowledgeLedger)?;
    let heads = node.membership().heads();
    let acknowledged = heads.acknowledge_peer(shown.institution, shown.head, by).await?;
    Ok(view::peer_conflict(acknowledged))
}

/// Acknowledges that this node continues although it is a copy, or an older copy, of itself.
///
/// # Errors
/// `not_found` if no peer has shown that head or statement.
pub(crate) async fn acknowledge_own(
    node: &Node,
    caller: &Actor,
    signed: OwnLedgerHead,
) -> Result<LedgerGeneration, Problem> {
    let by = caller.authorize(Action::AcknowledgeLedger)?;
    let generation = node.membership().heads().acknowledge_own(signed.head, by).await?;
    Ok(LedgerGeneration { generation })
}

/// The bytes of a file of a request.
fn content(file: &str) -> Result<Vec<u8>, Problem> {
    let decoded = BASE64.decode(file.as_bytes());
    decoded.map_err(|_| Problem::usage("the file did not arrive as base64"))
}
