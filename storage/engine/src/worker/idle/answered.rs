//! What a process has computed, and what it may compute next.

use concordat_protocol::scope::Scope;

use crate::Holder;

/// What a process has computed, which decides what it may compute next.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Answered {
    /// Answers of our own datasets.
    Scope(Box<AnsweredScope>),
    /// Plans of the queries of this person.
    Person(String),
    /// Cells of canaries.
    Canary,
}

/// For whom a process has computed.
#[derive(Debug, PartialEq)]
pub(super) enum Served {
    Holder(Holder),
    Person(String),
    Prober,
}

/// The right and the scope of a process's answers.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct AnsweredScope {
    pub(super) holder: Holder,
    pub(super) scope: Scope,
}

impl Answered {
    /// Whether a process that has computed this may compute `next`.
    pub(super) fn allows(&self, next: &Self) -> bool {
        match (self, next) {
            (Self::Scope(before), Self::Scope(next)) => before.matches(next),
            (Self::Person(before), Self::Person(next)) => before == next,
            (Self::Canary, Self::Canary) => true,
            (Self::Scope(_), Self::Person(_) | Self::Canary)
            | (Self::Person(_), Self::Scope(_) | Self::Canary)
            | (Self::Canary, Self::Scope(_) | Self::Person(_)) => false,
        }
    }

    /// For whom that was.
    pub(super) fn served(&self) -> Served {
        match self {
            Self::Scope(scope) => Served::Holder(scope.holder),
            Self::Person(person) => Served::Person(person.clone()),
            Self::Canary => Served::Prober,
        }
    }
}

impl AnsweredScope {
    /// Whether a process that has answered within this scope may answer within the other one. The validity period of
    /// the permission does not matter, because it does not affect what is visible.
    fn matches(&self, other: &Self) -> bool {
        let scope = Scope {
            window: other.scope.window,
            ..self.scope.clone()
        };
        self.holder == other.holder && scope == other.scope
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn engine_process_of_a_person_serves_the_same_person_only() {
        let person = |name: &str| Answered::Person(name.to_owned());
        assert!(person("eva@alfa").allows(&person("eva@alfa")));
        assert!(!person("eva@alfa").allows(&person("max@alfa")));
    }

    /// What it reads is not secret, and no other process is influenced by what a canary contains.
    #[test]
    fn engine_process_of_a_canary_serves_canaries_only() {
        let person = Answered::Person("eva@alfa".to_owned());
        assert!(Answered::Canary.allows(&Answered::Canary));
        assert!(!Answered::Canary.allows(&person));
        assert!(!person.allows(&Answered::Canary));
    }
}
