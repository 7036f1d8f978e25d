//! The requirement for passwords is length. Composition rules make passwords worse (NIST SP 800-63B, section 3.1.1.2).

use concordat_keys::Secret;
use zeroize::Zeroizing;

use super::IamError;

/// Fewest characters of a password, not counting the account's name.
pub(crate) const MIN_PASSWORD_CHARS: usize = 12;
/// Most bytes of a password, so that long input cannot make hashing slow.
const MAX_PASSWORD_BYTES: usize = 1024;

/// Checks a new password of `name`.
pub(crate) fn check(name: &str, password: &Secret) -> Result<(), IamError> {
    let too_long = IamError::LongPassword {
        max: MAX_PASSWORD_BYTES,
    };
    if password.expose().len() > MAX_PASSWORD_BYTES {
        return Err(too_long);
    }
    let form = password.normalized();
    let Ok(text) = std::str::from_utf8(form.as_ref().unwrap_or(password).expose()) else {
        return Err(too_long);
    };
    let lower = Zeroizing::new(text.to_lowercase());
    let rest = Zeroizing::new(lower.replace(name, ""));
    if rest.chars().count() < MIN_PASSWORD_CHARS {
        return Err(IamError::ShortPassword {
            min: MIN_PASSWORD_CHARS,
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accepts(name: &str, password: &str) -> bool {
        check(name, &Secret::from(password.to_owned())).is_ok()
    }

    #[test]
    fn password_length_does_not_count_the_name() {
        assert!(accepts("eva", "correct horse"));
        assert!(accepts("eva", "éééééééééééé"));
        // Six characters, each in two parts.
        assert!(!accepts("eva", &"e\u{301}".repeat(6)));
        assert!(!accepts("eva", "elevenchars"));
        assert!(!accepts("maximilian.mustermann", "maximilian.mustermann"));
        assert!(!accepts("maximilian", "MaximilianMaximilian1234"));
        assert!(!accepts("eva", &"x".repeat(MAX_PASSWORD_BYTES + 1)));
    }
}
