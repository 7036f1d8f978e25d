//! One visit to a token: open the module, log in, find or make the key, use it, leave.
//!
//! A module is one for the whole process (PKCS #11 v3.0, section 5.4: `C_Initialize`, `C_Finalize`), so visits take turns, and each
//! ends with the module closed: the daemon runs on without an open session to the token.

use std::sync::{Mutex, MutexGuard, PoisonError};

use cryptoki::{
    context::{CInitializeArgs, CInitializeFlags, Pkcs11},
    error::{Error, RvError},
    mechanism::Mechanism,
    object::{Attribute, AttributeType, KeyType, ObjectClass, ObjectHandle},
    session::{Session, UserType},
    slot::Slot,
    types::RawAuthPin,
};
use zeroize::Zeroizing;

use super::{TokenError, module::TrustedModule, place::TokenPlace};
use crate::keys::Secret;

/// Bytes of the key in the token, and of what it makes.
const KEY_LEN: u64 = 32;

/// What a visit may do in the token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    /// Nothing is made or changed.
    UseKey,
    /// A key that is not there is made.
    MakeKey,
}

/// HMAC-SHA256 over `message` by the key at `place`.
pub(super) fn hmac(
    place: &TokenPlace,
    pin: &Secret,
    access: Access,
    message: &[u8],
) -> Result<Zeroizing<Vec<u8>>, TokenError> {
    let module = Module::open(place)?;
    let made = module.slot(place).and_then(|slot| {
        let session = module.log_in(place, slot, pin, access)?;
        let key = find_or_make(&session, place, access)?;
        let code = session.sign(&Mechanism::Sha256Hmac, key, message);
        let code = Zeroizing::new(code.map_err(TokenError::failed(place, "use the key"))?);
        // The session is gone all the same when it is closed; not every module takes the log-out before.
        session.logout().ok();
        Ok(code)
    });
    module.close();
    let code = made?;
    if code.len() as u64 == KEY_LEN {
        Ok(code)
    } else {
        Err(TokenError::WrongLength {
            token: place.token.clone(),
            bytes: code.len(),
        })
    }
}

/// The module, open for this visit alone.
struct Module {
    library: Pkcs11,
    /// Whether this visit opened it; a program that embeds this one may have it open already.
    is_ours: bool,
    _turn: MutexGuard<'static, ()>,
}

/// Held during a visit.
static VISIT: Mutex<()> = Mutex::new(());

impl Module {
    fn open(place: &TokenPlace) -> Result<Self, TokenError> {
        let turn = VISIT.lock().unwrap_or_else(PoisonError::into_inner);
        let module = || place.module.clone();
        let trusted = TrustedModule::check(&place.module)?;
        let unusable = |source| TokenError::UnusableModule {
            module: module(),
            source,
        };
        let library = Pkcs11::new(trusted.path()).map_err(unusable)?;
        let is_ours = match library.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)) {
            Ok(()) => true,
            Err(Error::Pkcs11(RvError::CryptokiAlreadyInitialized, _)) => false,
            Err(source) => return Err(unusable(source)),
        };
        Ok(Self {
            library,
            is_ours,
            _turn: turn,
        })
    }

    /// The slot of the one token with the label.
    fn slot(&self, place: &TokenPlace) -> Result<Slot, TokenError> {
        let failed = TokenError::failed(place, "look for the token");
        let slots = self.library.get_slots_with_token().map_err(&failed)?;
        let mut found = Vec::new();
        let mut labels = Vec::new();
        for slot in slots {
            // A token that was pulled out since is not there.
            let Ok(info) = self.library.get_token_info(slot) else {
                continue;
            };
            match info.label().trim_end() {
                label if label == place.token => found.push(slot),
                "" => {}
                other => labels.push(other.to_owned()),
            }
        }
        match found.as_slice() {
            [slot] => Ok(*slot),
            [] => Err(TokenError::NoToken {
                token: place.token.clone(),
                module: place.module.clone(),
                others: labels,
            }),
            [_, _, ..] => Err(TokenError::SeveralTokens {
                token: place.token.clone(),
            }),
        }
    }

    /// Opens a session of the user whose PIN it is.
    fn log_in(&self, place: &TokenPlace, slot: Slot, pin: &Secret, access: Access) -> Result<Session, TokenError> {
        let session = match access {
            Access::UseKey => self.library.open_ro_session(slot),
            Access::MakeKey => self.library.open_rw_session(slot),
        };
        let session = session.map_err(TokenError::failed(place, "open a session"))?;
        let pin = RawAuthPin::new(Box::new(pin.expose().to_vec()));
        match session.login_with_raw(UserType::User, &pin) {
            Ok(()) | Err(Error::Pkcs11(RvError::UserAlreadyLoggedIn, _)) => Ok(session),
            Err(error) => Err(TokenError::of_login(place, error, self.is_last_try(slot))),
        }
    }

    /// Whether the token says that it locks itself after one more wrong PIN.
    fn is_last_try(&self, slot: Slot) -> bool {
        let info = self.library.get_token_info(slot);
        info.is_ok_and(|info| info.user_pin_final_try())
    }

    fn close(self) {
        if self.is_ours
            && let Err(error) = self.library.finalize()
        {
            tracing::warn!(%error, "the PKCS#11 module did not close");
        }
    }
}

fn find_or_make(session: &Session, place: &TokenPlace, access: Access) -> Result<ObjectHandle, TokenError> {
    let template = [
        Attribute::Class(ObjectClass::SECRET_KEY),
        Attribute::Label(place.key.as_bytes().to_vec()),
        Attribute::Token(true),
    ];
    let found = session.find_objects(&template);
    let found = found.map_err(TokenError::failed(place, "look for the key"))?;
    match found.as_slice() {
        [key] => is_kept(session, place, *key).map(|()| *key),
        [] if access == Access::MakeKey => make(session, place),
        [] => Err(TokenError::NoKey {
            token: place.token.clone(),
            key: place.key.clone(),
        }),
        [_, _, ..] => Err(TokenError::SeveralKeys {
            token: place.token.clone(),
            key: place.key.clone(),
        }),
    }
}

/// Refuses a key that the token would give away (PKCS #11 v3.0, section 4.10: `CKA_SENSITIVE`, `CKA_EXTRACTABLE`).
fn is_kept(session: &Session, place: &TokenPlace, key: ObjectHandle) -> Result<(), TokenError> {
    let asked = [AttributeType::Sensitive, AttributeType::Extractable];
    let told = session.get_attributes(key, &asked);
    let told = told.map_err(TokenError::failed(place, "inspect the key"))?;
    if told.contains(&Attribute::Sensitive(true)) && told.contains(&Attribute::Extractable(false)) {
        Ok(())
    } else {
        Err(TokenError::KeyCanLeave {
            token: place.token.clone(),
            key: place.key.clone(),
        })
    }
}

fn make(session: &Session, place: &TokenPlace) -> Result<ObjectHandle, TokenError> {
    let template = [
        Attribute::Class(ObjectClass::SECRET_KEY),
        Attribute::KeyType(KeyType::GENERIC_SECRET),
        Attribute::Label(place.key.as_bytes().to_vec()),
        Attribute::ValueLen(KEY_LEN.into()),
        Attribute::Token(true),
        Attribute::Private(true),
        Attribute::Sensitive(true),
        Attribute::Extractable(false),
        Attribute::Sign(true),
    ];
    let made = session.generate_key(&Mechanism::GenericSecretKeyGen, &template);
    let made = made.map_err(TokenError::failed(place, "make a key"))?;
    tracing::info!(token = %place.token, key = %place.key, "the token has made a key");
    Ok(made)
}

/// What the tests do in a token beside the provider.
#[cfg(test)]
pub(super) mod tests {
    use std::path::Path;

    use super::*;

    fn visit<T>(module: &Path, work: impl FnOnce(&Session) -> T) -> T {
        let place = TokenPlace {
            module: module.to_owned(),
            token: "vault".into(),
            key: String::new(),
        };
        let module = Module::open(&place).unwrap();
        let slot = module.slot(&place).unwrap();
        let pin = Secret::from("135790".to_owned());
        let session = module.log_in(&place, slot, &pin, Access::MakeKey).unwrap();
        let done = work(&session);
        drop(session);
        module.close();
        done
    }

    /// Makes a key with some attributes exchanged.
    pub(in super::super) fn put_key(module: &Path, label: &str, instead: &[Attribute]) {
        let template = [
            Attribute::KeyType(KeyType::GENERIC_SECRET),
            Attribute::Label(label.as_bytes().to_vec()),
            Attribute::ValueLen(KEY_LEN.into()),
            Attribute::Token(true),
            Attribute::Sensitive(true),
            Attribute::Extractable(false),
            Attribute::Sign(true),
        ];
        let kept = template.into_iter().filter(|one| {
            !instead
                .iter()
                .any(|other| other.attribute_type() == one.attribute_type())
        });
        let template: Vec<Attribute> = kept.chain(instead.iter().cloned()).collect();
        visit(module, |session| {
            session
                .generate_key(&Mechanism::GenericSecretKeyGen, &template)
                .unwrap();
        });
    }

    /// What the token tells of a key.
    pub(in super::super) fn attributes(module: &Path, label: &str) -> Vec<Attribute> {
        let asked = [
            AttributeType::Sensitive,
            AttributeType::AlwaysSensitive,
            AttributeType::Extractable,
            AttributeType::NeverExtractable,
            AttributeType::Private,
            AttributeType::Value,
        ];
        visit(module, |session| {
            let key = session
                .find_objects(&[Attribute::Label(label.as_bytes().to_vec())])
                .unwrap();
            session.get_attributes(key[0], &asked).unwrap()
        })
    }
}
