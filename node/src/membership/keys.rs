//! Succession of institution keys: this institution's own key, and the keys of other members.
//!
//! **This institution's.** A next key is created and sealed beside the present one, and the resulting application goes to the
//! coordinator. Nothing changes until a roster names the next key. Then the old key's statement is written to the ledger, the next key
//! replaces the old one ([`Identities::replace_institution`]), and the old private key is destroyed. If the node stops in between, the next
//! start completes the remaining steps: the roster is in the sealed state before any of this.
//!
//! **Other members'.** If the old key itself has signed for the new one, grants continue. If the holders of the charter have
//! replaced a key, grants are suspended until a person here has verified the new key with the institution and confirmed it; the
//! confirmation is written to the ledger, then to the sealed state.
//!
//! [`Identities::replace_institution`]: concordat_keys::Identities::replace_institution

use std::sync::Arc;

use concordat_protocol::audit::{EntryBody, KeyChange};
use concordat_protocol::identity::{InstitutionKey, InstitutionPublicKey, PrivateKey as _, Side};
use concordat_protocol::ids::InstitutionId;
use concordat_protocol::membership::{Follows, Member, ValidRoster, to_armor};
use concordat_protocol::text::Label;
use concordat_storage::ledger::{Attribution, LedgerError};
use zeroize::Zeroizing;

use super::error::MembershipError;
use super::handle::Membership;

/// The outcome of creating a new key for this institution.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NextKey {
    /// The consortium has to accept it: the application goes to the coordinator.
    Pending {
        /// The application, as text that can be mailed.
        application: String,
        /// The next key.
        key: InstitutionPublicKey,
    },
    /// It is the institution's key now: no consortium knows the previous one.
    Replaced {
        /// The key.
        key: InstitutionPublicKey,
    },
}

/// A key with which the holders of the charter replaced another one, and which no one here has confirmed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnconfirmedKey {
    /// The institution.
    pub institution: InstitutionId,
    /// The key.
    pub key: InstitutionPublicKey,
    /// The previous key.
    pub before: InstitutionPublicKey,
}

impl Membership {
    /// The active member that `side` is now: with the same key, or with a successor of that key.
    ///
    /// # Errors
    /// The reason why there is none, as a sentence.
    pub fn active_side<'a>(&self, roster: &'a ValidRoster, side: &Side) -> Result<&'a Member, String> {
        let institution = &side.institution;
        let member = roster
            .active_member(institution)
            .ok_or_else(|| format!("`{institution}` is not an active member of the consortium"))?;
        if self.recognized_keys(member).contains(&side.key) {
            Ok(member)
        } else if member.had(&side.key) {
            Err(format!(
                "`{institution}` has another key, for which its old one has not signed; verify the new key with it by telephone, then run \
                 `concordat consortium confirm-key {institution} --fingerprint FINGERPRINT`"
            ))
        } else {
            Err(format!("`{institution}` has another key"))
        }
    }

    /// The keys whose rights `member` has at this node, its present key first.
    pub fn recognized_keys(&self, member: &Member) -> Vec<InstitutionPublicKey> {
        self.0.confirmations.recognized_keys(member)
    }

    /// The keys of active members that have to be confirmed here.
    pub fn unconfirmed_keys(&self, roster: &ValidRoster) -> Vec<UnconfirmedKey> {
        let confirmed = &self.0.confirmations;
        let replaced = roster.active_members().flat_map(replaced_by_holders);
        replaced
            .filter(|found| !confirmed.contains(&found.institution, &found.key))
            .collect()
    }

    /// Confirms the key of `institution` with this fingerprint, with which the holders of the charter replaced another one. Grants
    /// to the previous key can be resumed afterwards.
    ///
    /// # Errors
    /// [`MembershipError::NotReplaced`] when there is no unconfirmed key with this fingerprint.
    pub async fn confirm_key(
        &self,
        institution: &InstitutionId,
        fingerprint: &str,
        by: &Attribution,
    ) -> Result<InstitutionPublicKey, MembershipError> {
        let _changing = self.0.changing.lock().await;
        let roster = self.newest().ok_or(MembershipError::NoConsortium)?;
        let is_named = |found: &UnconfirmedKey| {
            found.institution == *institution && found.key.fingerprint().eq_ignore_ascii_case(fingerprint.trim())
        };
        let found = self.unconfirmed_keys(&roster).into_iter().find(is_named);
        let UnconfirmedKey { key, .. } = found.ok_or_else(|| MembershipError::NotReplaced {
            institution: institution.clone(),
        })?;
        let entry = EntryBody::PeerKeyConfirmed {
            institution: institution.clone(),
            key,
        };
        drop(self.0.ledger.append_async(entry, by, self.0.clock.now()).await?);
        let inner = self.0.clone();
        let member = institution.clone();
        tokio::task::spawn_blocking(move || inner.confirmations.add(&member, key)).await??;
        // The member's nodes were checked against the keys that were recognized at the time: they have to connect again.
        for node in roster.member(institution).into_iter().flat_map(|member| &member.nodes) {
            self.0.network.disconnect(node.node).await?;
        }
        self.0.epoch.raise();
        Ok(key)
    }

    /// Creates this institution's next key, if there is none yet, and signs a statement for it with the present one.
    ///
    /// # Errors
    /// [`MembershipError::HolderKey`] while the present key is a key of the charter; [`MembershipError::NoAddress`] if there is none to
    /// state in the application. No key is created then.
    pub async fn make_next_key(&self, by: &Attribution) -> Result<NextKey, MembershipError> {
        let _changing = self.0.changing.lock().await;
        let roster = self.newest();
        let ours = self.0.identity.institution_public();
        if roster
            .as_ref()
            .is_some_and(|roster| roster.roster().charter.holds(&ours))
        {
            return Err(MembershipError::HolderKey);
        }
        if roster.is_some() {
            // The application states them: without one, no key is created and the ledger does not claim it.
            drop(self.addresses()?);
        }
        let next = match self.0.identity.next_key() {
            Some(next) => next,
            None => self.create_next_key(by).await?,
        };
        let key = next.public();
        if roster.is_none() {
            self.replace_own_key(by).await?;
            return Ok(NextKey::Replaced { key });
        }
        let succession = self
            .0
            .identities()
            .succession(&self.0.identity.institution, self.0.clock.now())?;
        let application = to_armor(&self.stated_by(&next, None, succession)?);
        Ok(NextKey::Pending { application, key })
    }

    async fn create_next_key(&self, by: &Attribution) -> Result<Arc<InstitutionKey>, MembershipError> {
        let mut seed = Zeroizing::new([0; 32]);
        getrandom::fill(seed.as_mut())?;
        let next = InstitutionKey::from_seed(&seed);
        let entry = EntryBody::KeyChanged {
            key: Label::sanitized("next institution key"),
            change: KeyChange::Created,
        };
        drop(self.0.ledger.append_async(entry, by, self.0.clock.now()).await?);
        let inner = self.0.clone();
        tokio::task::spawn_blocking(move || {
            inner.identities().put_next_institution(&next)?;
            Ok::<_, MembershipError>(inner.identity.set_next_key(next))
        })
        .await?
    }

    /// Takes the next key into use once `roster` names it.
    pub(super) async fn follow_own_key(&self, roster: &ValidRoster, by: &Attribution) -> Result<(), MembershipError> {
        let Some(next) = self.0.identity.next_key() else {
            return Ok(());
        };
        let ours = roster.member(&self.0.identity.institution);
        if ours.is_some_and(|member| member.key == next.public()) {
            self.replace_own_key(by).await?;
        }
        Ok(())
    }

    /// Writes the statement of the present key to the ledger, then replaces the key by the next one. The old private key is destroyed.
    async fn replace_own_key(&self, by: &Attribution) -> Result<(), MembershipError> {
        let inner = self.0.clone();
        let by = by.clone();
        let replaced = move || {
            let now = inner.clock.now();
            let identities = inner.identities();
            let Some(succession) = identities.succession(&inner.identity.institution, now)? else {
                return Ok(());
            };
            let entry = EntryBody::InstitutionKeyReplaced {
                succession: succession.clone(),
            };
            drop(inner.ledger.append(entry, &by, now)?);
            inner.identity.replace_key(identities.replace_institution(&succession)?);
            tracing::warn!(key = %inner.identity.institution_public().fingerprint(), "this institution has a new key");
            match inner.ledger.checkpoint(&inner.identity.institution_key(), now) {
                Err(LedgerError::Verifying { .. } | LedgerError::Unverified { .. }) => Ok(()),
                signed => signed.map(drop).map_err(MembershipError::from),
            }
        };
        tokio::task::spawn_blocking(replaced).await?
    }
}

fn replaced_by_holders(member: &Member) -> impl Iterator<Item = UnconfirmedKey> {
    let next = member.earlier.iter().skip(1).map(|next| next.key).chain([member.key]);
    let steps = member.earlier.iter().zip(next);
    steps.filter_map(|(earlier, key)| match earlier.followed_by {
        Follows::OldKey(_) => None,
        Follows::Holders { .. } => Some(UnconfirmedKey {
            institution: member.institution.clone(),
            key,
            before: earlier.key,
        }),
    })
}
