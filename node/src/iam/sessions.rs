//! Sessions: short-lived bearer tokens. They are kept in memory, so a restart ends all of them.

use std::{
    collections::{BTreeSet, HashMap},
    fmt,
    str::FromStr,
    sync::{Arc, Mutex},
};

use concordat_keys::Secret;
use concordat_protocol::{
    audit::EntryBody,
    ids::{ActorId, Digest32},
    query::Factor,
    time::Timestamp,
};
use concordat_storage::ledger::Attribution;
use data_encoding::HEXLOWER;
use zeroize::Zeroizing;

use super::{
    Accounts, Actor, FailedLogins, IamError,
    account::Account,
    actor::Proven,
    locked::lock,
    login_limit::LoginLimit,
    standing::{SessionEnd, Standing},
};
use crate::clock::Clock;

/// A session ends after this long without use: 15 minutes.
pub(crate) const IDLE_MS: i64 = 15 * 60 * 1000;
/// A session ends this long after the login even if it is in use: 8 hours, a working day.
pub(crate) const ABSOLUTE_MS: i64 = 8 * 60 * 60 * 1000;
/// Most sessions of one account; beyond this, its least recently used one ends, and none of another account. More than a person has open at the
/// same time.
const MAX_SESSIONS: usize = 32;
/// Domain of the hash by which a token is identified.
const TOKEN_HASH: &str = "concordat/session-token/1";

/// The proof of a session: 32 random bytes, written as 64 hexadecimal digits. Any holder of it acts as the person.
pub struct SessionToken(Zeroizing<[u8; 32]>);

impl SessionToken {
    fn random() -> Result<Self, IamError> {
        let mut bytes = Zeroizing::new([0; 32]);
        getrandom::fill(bytes.as_mut_slice()).map_err(|_| IamError::Random)?;
        Ok(Self(bytes))
    }

    /// The token as text; every call has to be reviewed.
    pub fn expose(&self) -> Zeroizing<String> {
        Zeroizing::new(HEXLOWER.encode(self.0.as_slice()))
    }

    fn hash(&self) -> Digest32 {
        Digest32::sha256(TOKEN_HASH, self.0.as_slice())
    }
}

impl FromStr for SessionToken {
    type Err = IamError;
    /// Parses the 64 digits; any other text does not belong to a session.
    fn from_str(text: &str) -> Result<Self, IamError> {
        let bytes = HEXLOWER
            .decode(text.as_bytes())
            .map(Zeroizing::new)
            .map_err(|_| IamError::NotLoggedIn)?;
        let bytes = <[u8; 32]>::try_from(bytes.as_slice()).map_err(|_| IamError::NotLoggedIn)?;
        Ok(Self(Zeroizing::new(bytes)))
    }
}

impl fmt::Debug for SessionToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionToken(..)")
    }
}

#[derive(Clone, Debug)]
struct Session {
    id: ActorId,
    epoch: u64,
    only_to_set_password: bool,
    /// The operating system account that logged in, if the login came through the socket.
    account: Option<u32>,
    factors: BTreeSet<Factor>,
    authenticated_at: Timestamp,
    began: Timestamp,
    used: Timestamp,
    /// Shared with the actors of this session.
    end: SessionEnd,
}

impl Session {
    fn alive(&self, now: Timestamp) -> bool {
        now.since(self.used) < IDLE_MS && now.since(self.began) < ABSOLUTE_MS
    }
}

/// The result of a login.
#[derive(Debug)]
pub struct Login {
    /// The proof of the session, for the person.
    pub token: SessionToken,
    /// The person.
    pub actor: Actor,
    /// When the session ends at the latest.
    pub until: Timestamp,
}

impl Login {
    /// The entry of the login in the ledger, for which the person has just been authenticated.
    pub fn entry(&self) -> (EntryBody, Attribution) {
        let one_time = self.actor.is_only_to_set_password();
        (EntryBody::LoginSucceeded { one_time }, self.actor.attribution())
    }
}

/// The open sessions; clones share them.
#[derive(Clone, Debug)]
pub struct Sessions {
    accounts: Accounts,
    failures: FailedLogins,
    limit: LoginLimit,
    open: Arc<Mutex<HashMap<Digest32, Session>>>,
    clock: Option<Clock>,
}

impl Sessions {
    /// Creates an empty session table for these accounts.
    pub fn new(accounts: Accounts) -> Self {
        Self {
            accounts,
            failures: FailedLogins::default(),
            limit: LoginLimit::default(),
            open: Arc::default(),
            clock: None,
        }
    }

    /// The same, whose sessions also end by `clock` while something goes on in them that began earlier.
    #[must_use]
    pub fn ending_by(self, clock: Clock) -> Self {
        let clock = Some(clock);
        Self { clock, ..self }
    }

    /// The failed logins of the last minute.
    pub(crate) fn failures(&self) -> &FailedLogins {
        &self.failures
    }

    /// Checks a password and opens a session; slow by design.
    ///
    /// # Errors
    /// [`IamError::WrongLogin`], [`IamError::LockedOut`] or [`IamError::Disabled`].
    pub fn login(&self, name: &str, password: &Secret, now: Timestamp) -> Result<Login, IamError> {
        let found = self.accounts.authenticate(name, password, None, now)?;
        self.open_for(found, None, now)
    }

    /// As [`Self::login`], for a login through the socket: the session is valid only for the operating system account `uid`.
    ///
    /// # Errors
    /// As for [`Self::login`]; [`IamError::LoggedInTooOften`].
    pub fn login_at(&self, name: &str, password: &Secret, uid: u32, now: Timestamp) -> Result<Login, IamError> {
        let (id, found) = self.accounts.authenticate(name, password, Some(uid), now)?;
        self.limit.count(&id, now)?;
        self.open_for((id, found), Some(uid), now)
    }

    /// Counts a change of the own password as a login, before it is entered; its session follows ([`Self::login_changed`]).
    ///
    /// # Errors
    /// [`IamError::LoggedInTooOften`].
    pub fn count_change(&self, person: &Actor, now: Timestamp) -> Result<(), IamError> {
        self.limit.count(person.id(), now)
    }

    /// As [`Self::login_at`], after a change of the own password, which was counted.
    ///
    /// # Errors
    /// As for [`Self::login`].
    pub fn login_changed(&self, name: &str, password: &Secret, uid: u32, now: Timestamp) -> Result<Login, IamError> {
        let found = self.accounts.authenticate(name, password, Some(uid), now)?;
        self.open_for(found, Some(uid), now)
    }

    fn open_for(
        &self,
        (id, found): (ActorId, Account),
        account: Option<u32>,
        now: Timestamp,
    ) -> Result<Login, IamError> {
        if found.one_time.is_some() {
            self.accounts.spend_one_time(id.name(), found.epoch)?;
        }
        let token = SessionToken::random()?;
        let factors = BTreeSet::from([Factor::Password]);
        let session = Session {
            id,
            epoch: found.epoch,
            only_to_set_password: found.one_time.is_some(),
            account,
            factors,
            authenticated_at: now,
            began: now,
            used: now,
            end: SessionEnd::default(),
        };
        let actor = self.prove(&session, found, token.hash());
        let mut open = lock(&self.open);
        let evicted = evict(&mut open, &session.id, now);
        open.insert(token.hash(), session);
        drop(open);
        if evicted {
            self.accounts.announce_change();
        }
        Ok(Login {
            token,
            actor,
            until: now.plus_millis(ABSOLUTE_MS),
        })
    }

    /// The person behind a token; counts as use of the session.
    ///
    /// # Errors
    /// [`IamError::NotLoggedIn`] if the session has ended or the account was changed since.
    pub fn lookup(&self, token: &SessionToken, now: Timestamp) -> Result<Actor, IamError> {
        self.resolve(token.hash(), now, true)
    }

    /// The person behind a token that came through the socket from the account `uid`; counts as use of the session. A token is not
    /// valid for any other account.
    ///
    /// # Errors
    /// [`IamError::NotLoggedIn`], also if the session was opened by another account or elsewhere.
    pub fn lookup_at(&self, token: &SessionToken, uid: u32, now: Timestamp) -> Result<Actor, IamError> {
        let bound = lock(&self.open).get(&token.hash()).and_then(|session| session.account);
        if bound == Some(uid) {
            self.lookup(token, now)
        } else {
            Err(IamError::NotLoggedIn)
        }
    }

    /// The current state of the same person; does not count as use. For long-running work, before each step.
    ///
    /// # Errors
    /// [`IamError::NotLoggedIn`] if the session has ended or the account was changed since.
    pub fn recheck(&self, actor: &Actor, now: Timestamp) -> Result<Actor, IamError> {
        self.resolve(actor.session(), now, false)
    }

    /// Counts the arrival of a part of a request as use of the session, so that a long upload is not the end of it.
    ///
    /// # Errors
    /// [`IamError::NotLoggedIn`] if the session has ended or the account was changed since.
    pub fn note_use(&self, actor: &Actor, now: Timestamp) -> Result<(), IamError> {
        self.resolve(actor.session(), now, true).map(drop)
    }

    /// Checks the password again within a session, for operations that need recent authentication.
    ///
    /// # Errors
    /// As for [`Self::lookup`] and [`Self::login`].
    pub fn reauthenticate(&self, token: &SessionToken, password: &Secret, now: Timestamp) -> Result<Actor, IamError> {
        let actor = self.lookup(token, now)?;
        let os_account = actor.os_account();
        self.accounts
            .authenticate(actor.id().name(), password, os_account, now)?;
        if let Some(session) = lock(&self.open).get_mut(&token.hash()) {
            session.authenticated_at = now;
        }
        self.lookup(token, now)
    }

    /// Ends a session, if there is one, and all that runs in it.
    pub fn logout(&self, token: &SessionToken) {
        let ended = lock(&self.open).remove(&token.hash());
        if let Some(session) = ended {
            session.end.set();
            self.accounts.announce_change();
        }
    }

    fn resolve(&self, hash: Digest32, now: Timestamp, is_use: bool) -> Result<Actor, IamError> {
        let mut open = lock(&self.open);
        let session = open
            .get_mut(&hash)
            .filter(|session| session.alive(now))
            .ok_or(IamError::NotLoggedIn)?;
        let account = self.accounts.get(session.id.name())?.ok_or(IamError::NotLoggedIn)?;
        if account.disabled || account.epoch != session.epoch {
            open.remove(&hash);
            return Err(IamError::NotLoggedIn);
        }
        if is_use {
            session.used = now;
        }
        Ok(self.prove(session, account, hash))
    }

    fn prove(&self, session: &Session, account: Account, hash: Digest32) -> Actor {
        Actor::from_session(Proven {
            passwords_set: account.passwords_set(),
            reset_at: account.resets.last().map(|reset| reset.at),
            id: session.id.clone(),
            roles: account.roles,
            factors: session.factors.clone(),
            authenticated_at: session.authenticated_at,
            training: account.training,
            only_to_set_password: session.only_to_set_password,
            session: hash,
            standing: Standing {
                accounts: self.accounts.clone(),
                name: session.id.name().to_owned(),
                os_account: session.account,
                epoch: session.epoch,
                until: session.began.plus_millis(ABSOLUTE_MS),
                end: session.end.clone(),
                clock: self.clock.clone(),
            },
        })
    }
}

/// Removes the sessions that are over, and one of the account `id` if it has as many as it may have. Returns whether that one ended.
fn evict(open: &mut HashMap<Digest32, Session>, id: &ActorId, now: Timestamp) -> bool {
    open.retain(|_, session| session.alive(now));
    let of_account = open.iter().filter(|(_, session)| session.id == *id);
    let own: Vec<(Timestamp, Digest32)> = of_account.map(|(hash, session)| (session.used, *hash)).collect();
    if own.len() < MAX_SESSIONS {
        return false;
    }
    let oldest = own.into_iter().min_by_key(|(used, _)| *used);
    let evicted = oldest.and_then(|(_, hash)| open.remove(&hash));
    if let Some(evicted) = &evicted {
        evicted.end.set();
    }
    evicted.is_some()
}
