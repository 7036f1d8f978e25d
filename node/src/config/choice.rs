//! Settings with a few possible values.

/// Text that is not a valid value of a setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be one of {choices}")]
pub struct InvalidChoice {
    /// The values, for the message.
    pub(super) choices: &'static str,
}
