//! Who is attacked, and by whom.

use super::figure::Figure;
use super::numbers::Numbers;
use super::register::Register;
use super::system::Answering;

/// A person, with what the attacker knows.
pub(super) struct Target<'a> {
    pub(super) register: &'a Register,
    pub(super) person: u32,
    /// The part of the people who have the secret, of those who are unique: a number that statistics are for.
    pub(super) prevalence: f64,
    /// The attacker's own.
    pub(super) numbers: Numbers,
}

/// The node as two institutions see it, each with its own memory and budget. Two people of one institution have the same.
pub(super) struct Parties {
    pub(super) ours: Box<dyn Answering>,
    pub(super) theirs: Box<dyn Answering>,
}

/// What the attacker finds out of the target, as a number; `None` if there is no figure to compute it from. A value is 1 if the target
/// has it.
pub(super) type Attack = fn(&mut Target<'_>, &mut Parties) -> Option<Figure>;

impl Target<'_> {
    /// Others who are unique, in random order: at least `number`.
    pub(super) fn others(&mut self, number: usize) -> Vec<u32> {
        let mut others = self.register.others(self.person);
        self.numbers.draw(&mut others, number);
        assert!(others.len() >= number, "the table has too few people who are unique");
        others
    }
}
