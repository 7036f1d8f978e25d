//! The permission matrix: what each role may do at its own node. Everything not named here is forbidden.

use std::fmt;

use concordat_protocol::query::Role;

macro_rules! actions {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)*) => {
        /// An operation at a person's own node.
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
    /// Import a dataset, or a new version of one.
    ImportDataset = "import-dataset",
    /// Set the class of each column.
    ClassifyDataset = "classify-dataset",
    /// Publish a dataset to the consortium, or withdraw it.
    PublishDataset = "publish-dataset",
    /// Destroy a dataset's key.
    EraseDataset = "erase-dataset",
    /// List the datasets of the own institution.
    ReadDatasets = "read-datasets",
    /// List what other members publish.
    ReadCatalog = "read-catalog",
    /// Answer requests of other members with an offer, an agreement or a rejection.
    AnswerRequests = "answer-requests",
    /// Request access from another member.
    RequestGrant = "request-grant",
    /// Accept or decline an offer.
    AcceptOffer = "accept-offer",
    /// List grants and read their transcripts.
    ReadGrants = "read-grants",
    /// Query under a grant, or query the datasets of the own institution.
    Query = "query",
    /// End a grant permanently.
    RevokeGrant = "revoke-grant",
    /// Suspend a grant, or resume it.
    SuspendGrant = "suspend-grant",
    /// Relinquish a grant that this institution holds.
    RelinquishGrant = "relinquish-grant",
    /// Add, change and disable accounts.
    ManageUsers = "manage-users",
    /// Found, enroll, admit, remove, join; change the roster.
    ManageConsortium = "manage-consortium",
    /// Acknowledge that a ledger, the node's own or a peer's, continues from an older copy.
    AcknowledgeLedger = "acknowledge-ledger",
    /// Read the roster.
    ReadRoster = "read-roster",
    /// Change the policy set.
    ManagePolicy = "manage-policy",
    /// Read the policy set and test it.
    ReadPolicy = "read-policy",
    /// Have a decision explained.
    ExplainDecision = "explain-decision",
    /// Read entries of the ledger.
    ReadLedger = "read-ledger",
    /// Verify the ledger and prove entries.
    VerifyLedger = "verify-ledger",
    /// Read the texts of queries, and export their evidence or the whole ledger.
    ReadEvidence = "read-evidence",
    /// Write off a receipt that another institution cannot countersign.
    WriteOffReceipt = "write-off-receipt",
    /// Rotate and back up keys.
    ManageKeys = "manage-keys",
    /// Accept a configuration that was changed.
    AcceptConfiguration = "accept-settings",
    /// Create a backup of the node.
    MakeBackup = "make-backup",
    /// Read the status of the node and its connections.
    ReadStatus = "read-status",
    /// Stop the node.
    StopNode = "stop-node",
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The roles that permit `action`. Duties are separated: a role that manages people or the consortium cannot read data.
pub(crate) const fn permitted_roles(action: Action) -> &'static [Role] {
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
        Action::WriteOffReceipt => &[Steward],
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

    /// The matrix for review: a change of permissions appears as a change of the golden file.
    #[test]
    fn role_matrix_is_the_reviewed_one() {
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
        assert_eq!(table, include_str!("roles.golden"), "the matrix is now\n{table}");
    }

    #[test]
    fn role_that_manages_people_or_members_may_not_query() {
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
