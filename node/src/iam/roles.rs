//! The permission matrix: what each role may do at its own node. Everything not named here is forbidden.

use std::fmt;

use concordat_protocol::query::Role;

macro_rules! actions {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)*) => {
        /// An operation at one's own node.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Action {
            $($(#[$doc])* $name,)*
        }

        impl Action {
            /// All operations, in the order of their declaration.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// The operation's name.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                }
            }
        }
    };
}

actions! {
    /// Bring a dataset in, or a new version of one.
    ImportDataset = "import-dataset",
    /// Say of what class each column is.
    ClassifyDataset = "classify-dataset",
    /// Show a dataset to the consortium, or withdraw it.
    PublishDataset = "publish-dataset",
    /// Destroy a dataset's key.
    EraseDataset = "erase-dataset",
    /// List one's own datasets.
    ReadDatasets = "read-datasets",
    /// List what other members publish.
    ReadCatalog = "read-catalog",
    /// Offer, agree to or reject what another member asks.
    AnswerRequests = "answer-requests",
    /// Ask another member for access.
    RequestGrant = "request-grant",
    /// Accept or decline an offer.
    AcceptOffer = "accept-offer",
    /// List grants and read their transcripts.
    ReadGrants = "read-grants",
    /// Query under a grant, or one's own datasets.
    Query = "query",
    /// End a grant for good.
    RevokeGrant = "revoke-grant",
    /// Suspend a grant, or resume it.
    SuspendGrant = "suspend-grant",
    /// Give back a grant that this institution holds.
    RelinquishGrant = "relinquish-grant",
    /// Add, change and disable accounts.
    ManageUsers = "manage-users",
    /// Found, enrol, admit, remove, join; change the roster.
    ManageConsortium = "manage-consortium",
    /// Acknowledge that a ledger, one's own or a peer's, goes on from an older copy.
    AcknowledgeLedger = "acknowledge-ledger",
    /// Read the roster.
    ReadRoster = "read-roster",
    /// Change the policy set.
    ManagePolicy = "manage-policy",
    /// Read the policy set and try it.
    ReadPolicy = "read-policy",
    /// Have a decision explained.
    ExplainDecision = "explain-decision",
    /// Read entries of the ledger.
    ReadLedger = "read-ledger",
    /// Verify the ledger and prove entries.
    VerifyLedger = "verify-ledger",
    /// Read what queries asked, and take their evidence or the whole ledger away.
    ReadEvidence = "read-evidence",
    /// Rotate and back up keys.
    ManageKeys = "manage-keys",
    /// Accept a configuration that was changed.
    AcceptConfiguration = "accept-settings",
    /// Take a snapshot of the node.
    MakeBackup = "make-backup",
    /// See what runs and who is connected.
    ReadStatus = "read-status",
    /// Stop the node.
    StopNode = "stop-node",
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The roles that permit `action`. Duties stay apart: who manages people or the consortium reads no data.
pub const fn permitted_roles(action: Action) -> &'static [Role] {
    use Role::{Administrator, Auditor, Coordinator, Researcher, SecurityOfficer, Steward};
    match action {
        Action::ImportDataset => &[Steward],
        Action::ClassifyDataset => &[Steward],
        Action::PublishDataset => &[Steward],
        Action::EraseDataset => &[Steward],
        Action::ReadDatasets => &[Researcher, Steward, SecurityOfficer, Auditor],
        Action::ReadCatalog => &[Researcher, Steward],
        Action::AnswerRequests => &[Steward],
        Action::RequestGrant => &[Researcher, Steward],
        Action::AcceptOffer => &[Researcher, Steward],
        Action::ReadGrants => &[Researcher, Steward, SecurityOfficer, Auditor],
        Action::Query => &[Researcher],
        Action::RevokeGrant => &[Steward, SecurityOfficer],
        Action::SuspendGrant => &[Steward, SecurityOfficer],
        Action::RelinquishGrant => &[Researcher, Steward],
        Action::ManageUsers => &[Administrator],
        Action::ManageConsortium => &[Coordinator, Administrator],
        Action::AcknowledgeLedger => &[Administrator],
        Action::ReadRoster => &Role::ALL,
        Action::ManagePolicy => &[Steward],
        Action::ReadPolicy => &[Researcher, Steward, SecurityOfficer, Auditor],
        Action::ExplainDecision => &[Researcher, Steward, SecurityOfficer, Auditor],
        Action::ReadLedger => &[SecurityOfficer, Auditor],
        Action::VerifyLedger => &[Steward, SecurityOfficer, Auditor, Administrator],
        Action::ReadEvidence => &[Auditor],
        Action::ManageKeys => &[SecurityOfficer],
        Action::AcceptConfiguration => &[SecurityOfficer, Administrator],
        Action::MakeBackup => &[SecurityOfficer, Administrator],
        Action::ReadStatus => &Role::ALL,
        Action::StopNode => &[SecurityOfficer, Administrator],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The matrix as people review it: a change of permissions shows as a change of this file.
    #[test]
    fn the_matrix_is_the_one_that_was_reviewed() {
        let mut table = format!("{:<18}", "");
        table.extend(Role::ALL.map(|role| format!(" {role}")));
        for action in Action::ALL {
            table.push_str(&format!("\n{action:<18}"));
            for role in Role::ALL {
                let mark = if permitted_roles(*action).contains(&role) {
                    "yes"
                } else {
                    "-"
                };
                table.push_str(&format!(" {mark:<width$}", width = role.as_str().len()));
            }
        }
        let table: String = table.lines().map(|line| format!("{}\n", line.trim_end())).collect();
        assert_eq!(table, include_str!("roles.golden"), "the matrix now reads\n{table}");
    }

    #[test]
    fn nobody_who_manages_people_or_members_may_query() {
        for action in [Action::ManageUsers, Action::ManageConsortium, Action::ManageKeys] {
            for role in permitted_roles(action) {
                assert!(
                    !permitted_roles(Action::Query).contains(role),
                    "{role} may {action} and query"
                );
            }
        }
    }
}
