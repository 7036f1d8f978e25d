//! Who belongs to the consortium.
//!
//! 1. The founder creates a [`Roster`] and signs it with its institution key, which thereby becomes the charter key.
//! 2. An institution that wants to join sends an [`Enrollment`], signed with its own institution key. The two compare key
//!    fingerprints by telephone; then the coordinator [`admit`]s it, which creates the roster with the next number.
//! 3. Every node accepts a roster only as [`ValidRoster`]: signed by the charter key that was pinned when it joined, not
//!    expired, not older than the one it has, and not another one under the same number.
//! 4. The roster pins each institution's key; that key signs a [`NodeCertificate`] for each node. A peer shows it, and
//!    [`ValidCertificate::check`] compares it with the roster and with the key of the connection.
//! 5. A node whose addresses differ from those on the roster signs an [`AddressRecord`], which members pass on.
//! 6. Each node counts its starts ([`NodeStart`]): peers serve only the newest start that they have seen of it.

mod address_record;
mod armor;
mod certificate;
mod changes;
mod charter;
mod enrollment;
mod key_succession;
mod member_node;
mod node_start;
mod roster;

pub use address_record::{AddressRecord, AddressRecordError, MAX_ADDRESS_RECORD, ValidAddressRecord};
pub use armor::{ArmorError, Armored, SignedFile, from_file, to_armor};
pub use certificate::{CertificateError, NodeCertificate, ValidCertificate};
pub use changes::{ChangeError, admit, reinstate, remove, renew, replace_key, suspend};
pub use charter::{Charter, CharterChange, CharterError, MAX_CHARTER_CHANGES, MAX_CHARTER_KEYS, PinnedCharter};
pub use enrollment::{Enrollment, EnrollmentError, MAX_ENROLLMENT_AGE_MS, ValidEnrollment};
pub use key_succession::{
    ConfirmedKeys, EarlierKey, Follows, KeySuccession, KeySuccessionError, MAX_EARLIER_KEYS, key_after, keys_before,
};
pub use member_node::{MAX_ADDRESSES, MAX_MEMBERS, MAX_NODES, MemberNode};
pub use node_start::{NodeStart, StartOrder};
pub use roster::{Member, MemberStatus, Roster, RosterError, ValidRoster};

#[cfg(test)]
mod tests;
