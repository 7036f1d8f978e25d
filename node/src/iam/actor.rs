//! An authenticated person.

use std::collections::BTreeSet;
use std::sync::Arc;

use concordat_keys::Secret;
use concordat_protocol::{
    audit::Cause,
    ids::{ActorId, Digest32, InstitutionId, QueryId},
    query::{ActorAssertion, Factor, Role},
    time::Timestamp,
};
use concordat_storage::ledger::{Attribution, Authority};

use super::standing::Standing;
use super::{AccountChange, Accounts, Action, IamError, PasswordReset, PermittedPerson, Training, permitted_roles};

/// An authenticated person with roles, assurance and training. Only a session creates one, and it permits nothing any more once that session
/// has ended or the account was changed.
#[derive(Clone, Debug)]
pub struct Actor {
    id: ActorId,
    roles: BTreeSet<Role>,
    factors: BTreeSet<Factor>,
    authenticated_at: Timestamp,
    training: Option<Training>,
    passwords_set: Vec<PasswordReset>,
    reset_at: Option<Timestamp>,
    only_to_set_password: bool,
    session: Digest32,
    standing: Standing,
}

/// The fields of an [`Actor`].
pub(super) struct Proven {
    pub(super) id: ActorId,
    pub(super) roles: BTreeSet<Role>,
    pub(super) factors: BTreeSet<Factor>,
    pub(super) authenticated_at: Timestamp,
    pub(super) training: Option<Training>,
    /// Who has set the password for this person, the first one included.
    pub(super) passwords_set: Vec<PasswordReset>,
    /// When that was done last for the account that existed already.
    pub(super) reset_at: Option<Timestamp>,
    pub(super) only_to_set_password: bool,
    pub(super) session: Digest32,
    pub(super) standing: Standing,
}

impl Actor {
    /// The only constructor; its only caller is the session table.
    pub(super) fn from_session(proven: Proven) -> Self {
        let Proven {
            id,
            roles,
            factors,
            authenticated_at,
            training,
            passwords_set,
            reset_at,
            only_to_set_password,
            session,
            standing,
        } = proven;
        Self {
            id,
            roles,
            factors,
            authenticated_at,
            training,
            passwords_set,
            reset_at,
            only_to_set_password,
            session,
            standing,
        }
    }

    /// The person's id.
    pub fn id(&self) -> &ActorId {
        &self.id
    }

    /// What the person does for the institution.
    pub fn roles(&self) -> &BTreeSet<Role> {
        &self.roles
    }

    /// The factors checked at the last authentication.
    pub fn factors(&self) -> &BTreeSet<Factor> {
        &self.factors
    }

    /// When that was.
    pub fn authenticated_at(&self) -> Timestamp {
        self.authenticated_at
    }

    /// The person's training, valid or expired.
    pub fn training(&self) -> Option<&Training> {
        self.training.as_ref()
    }

    /// Who has set this person's password for them, and when; the newest last. The first one is that of the account, if another person
    /// created it.
    pub fn password_resets(&self) -> &[PasswordReset] {
        &self.passwords_set
    }

    /// Whether the session may only be used to set a password.
    pub fn is_only_to_set_password(&self) -> bool {
        self.only_to_set_password
    }

    /// Whether one of the person's roles permits `action`.
    pub fn may(&self, action: Action) -> bool {
        !self.only_to_set_password && permitted_roles(action).iter().any(|role| self.roles.contains(role))
    }

    /// The attribution of an action, for a person whose roles permit it.
    ///
    /// # Errors
    /// As for [`Self::require`].
    pub fn authorize(&self, action: Action) -> Result<Attribution, IamError> {
        self.require(action)?;
        Ok(self.attribution())
    }

    /// The attribution of an action that needs two people, of whom this one is the second. The first requested it at `requested`, in a
    /// session that may have ended since, as the sealed state and the ledger show, and is still permitted to. Blocks.
    ///
    /// # Errors
    /// As for [`Self::require`]; [`IamError::SamePerson`] if both are the same person; [`IamError::NotIndependent`] if this one has the role
    /// or the password only since then, or if one person may have used both accounts, as `accounts` show.
    pub fn authorize_second(
        &self,
        accounts: &Accounts,
        first: &PermittedPerson,
        (requested, now): (Timestamp, Timestamp),
    ) -> Result<Attribution, IamError> {
        self.require(first.action())?;
        let first = first.id();
        if self.id == *first {
            return Err(IamError::SamePerson {
                name: self.id.name().to_owned(),
            });
        }
        let people = accounts.people()?;
        people.check_independent(first, &self.id, (requested, now))?;
        let both = Attribution::vouch(Cause::TwoPeople {
            first: first.clone(),
            second: self.id.clone(),
        });
        Ok(both.resting_on(self.authority()))
    }

    /// The change of this person's own password from `current` to `password`, and its attribution. It needs no role, but the current
    /// password, also in a session; a wrong one counts as a failed login.
    ///
    /// # Errors
    /// [`IamError::WrongLogin`], or what is wrong with the new password; [`IamError::NotLoggedIn`] if the session has ended.
    pub fn authorize_own_password(
        &self,
        accounts: &Accounts,
        current: &Secret,
        password: &Secret,
        now: Timestamp,
    ) -> Result<(Attribution, AccountChange), IamError> {
        self.standing.check_account()?;
        let change = accounts.own_password(self.id.name(), current, password, (self.os_account(), now))?;
        Ok((self.attribution(), change))
    }

    /// The attribution of what this person does. Every caller has decided that the person may do it.
    pub(super) fn attribution(&self) -> Attribution {
        Attribution::vouch(Cause::Person { actor: self.id.clone() }).resting_on(self.authority())
    }

    /// The account of the operating system that logged in, if the login came through the socket.
    pub(super) fn os_account(&self) -> Option<u32> {
        self.standing.os_account
    }

    fn authority(&self) -> Arc<dyn Authority> {
        Arc::new(self.standing.clone())
    }

    /// Checks that the person may still act in this session at `now`. For what goes on after a decision was made, such as an answer.
    ///
    /// # Errors
    /// [`IamError::NotLoggedIn`] if the session has ended or the account was changed since.
    pub fn check_current(&self, now: Timestamp) -> Result<(), IamError> {
        Ok(self.standing.check(now)?)
    }

    /// Checks that one of the person's roles permits `action`, and that the session and the account are still those of the login.
    ///
    /// # Errors
    /// [`IamError::NotPermitted`] names the roles that do; [`IamError::NotLoggedIn`] if the session has ended or the account was changed.
    pub fn require(&self, action: Action) -> Result<(), IamError> {
        self.standing.check_account()?;
        if self.only_to_set_password {
            Err(IamError::PasswordNeeded)
        } else if self.may(action) {
            Ok(())
        } else {
            Err(IamError::NotPermitted {
                action,
                needed: permitted_roles(action),
            })
        }
    }

    /// Checks that one of the person's roles permits one of two actions, as for [`Self::require`].
    ///
    /// # Errors
    /// As for [`Self::require`]; [`IamError::NotPermitted`] names the roles that permit `one`.
    pub fn require_either(&self, one: Action, other: Action) -> Result<(), IamError> {
        self.require(if self.may(other) { other } else { one })
    }

    /// The assertion about this person that accompanies one query to one provider. It states what is the case now.
    ///
    /// # Errors
    /// [`IamError::NotLoggedIn`] if the session has ended or the account was changed since.
    pub fn assert_for(
        &self,
        audience: InstitutionId,
        query: QueryId,
        expires: Timestamp,
    ) -> Result<ActorAssertion, IamError> {
        self.standing.check_account()?;
        Ok(ActorAssertion {
            actor: self.id.clone(),
            roles: self.roles.clone(),
            factors: self.factors.clone(),
            authenticated_at: self.authenticated_at,
            password_reset_at: self.reset_at,
            training_until: self.training.as_ref().map(|training| training.until),
            training_course: self.training.as_ref().map(|training| training.name.clone()),
            audience,
            query,
            expires,
        })
    }

    pub(super) fn session(&self) -> Digest32 {
        self.session
    }
}
