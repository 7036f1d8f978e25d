//! Generated people: tables like those of the census ("Adult") and of a hospital.
//!
//! An attacker has the [`Register`]: who is in the data, with the columns by which people are found. What the attacks are after is the
//! `secret`, a value that about a quarter of the people have, and `hidden`, a number. Columns depend on each other as in real tables, and
//! the secret on some of them.

use super::numbers::Numbers;
use super::register::{Column, Register};

/// Values of the secret: no, yes, and missing.
pub(super) const SECRETS: u32 = 3;

/// The secret of a person of whom it is not known.
pub(super) const MISSING: u32 = 2;

/// How many numbers an attacker knows of each person.
pub(super) const KNOWN: usize = 12;

/// The names and the numbers of values of the columns of a table.
type Names = &'static [(&'static str, u32)];

const ADULT: Names = &[
    ("age", 15),
    ("sex", 2),
    ("race", 5),
    ("education", 16),
    ("marital", 7),
    ("occupation", 14),
    ("hours", 8),
    ("country", 12),
];

const CLINICAL: Names = &[
    ("age", 18),
    ("sex", 2),
    ("region", 20),
    ("year", 10),
    ("ward", 8),
    ("diagnosis", 25),
    ("treatment", 6),
];

/// A table with all that is in it.
#[derive(Clone, Debug)]
pub(super) struct People {
    names: Names,
    /// By column.
    pub(super) values: Vec<Vec<u32>>,
    /// Numbers that are known to the attacker, by column.
    known: Vec<Vec<u32>>,
    pub(super) secret: Vec<u32>,
    pub(super) hidden: Vec<u32>,
}

impl People {
    /// Like the census for even seeds, and like a hospital for odd ones.
    pub(super) fn generated(size: u32, seed: u64) -> Self {
        let mut numbers = Numbers::new(seed.wrapping_mul(0x2545_f491_4f6c_dd1d) ^ 0x5eed);
        if seed.is_multiple_of(2) {
            Self::adult(size, &mut numbers)
        } else {
            Self::clinical(size, &mut numbers)
        }
    }

    fn adult(size: u32, numbers: &mut Numbers) -> Self {
        let mut people = Self::of(ADULT);
        for _ in 0..size {
            let age = numbers.position(&[
                6.0, 9.0, 10.0, 10.0, 10.0, 9.0, 8.0, 7.0, 6.0, 5.0, 3.0, 2.0, 1.0, 0.6, 0.3,
            ]);
            let sex = u32::from(numbers.chance(0.34));
            let education =
                (numbers.position(&[1.0, 2.0, 6.0, 9.0, 7.0, 4.0, 2.0, 1.0]) * 2 + numbers.below(2)).min(15);
            let marital = if age < 3 {
                numbers.position(&[7.0, 2.0, 1.0])
            } else {
                numbers.position(&[2.0, 6.0, 2.0, 1.0, 0.5, 0.4, 0.2])
            };
            let occupation = (education / 2 + numbers.position(&[4.0, 3.0, 2.0, 2.0, 1.0, 1.0, 1.0])).min(13);
            let row = [
                age,
                sex,
                numbers.position(&[85.0, 9.0, 3.0, 2.0, 1.0]),
                education,
                marital,
                occupation,
                numbers.position(&[1.0, 2.0, 3.0, 10.0, 4.0, 3.0, 2.0, 1.0]),
                numbers.position(&[80.0, 6.0, 3.0, 2.0, 2.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0]),
            ];
            let married = if marital == 1 { 0.16 } else { 0.0 };
            let secret = numbers.chance(0.02 + f64::from(education) * 0.02 + married);
            people.add(&row, secret, numbers);
        }
        people
    }

    fn clinical(size: u32, numbers: &mut Numbers) -> Self {
        let mut people = Self::of(CLINICAL);
        let rare: Vec<f64> = (0..25_u32).map(|at| 1.0 / f64::from(at + 1)).collect();
        for _ in 0..size {
            let diagnosis = numbers.position(&rare);
            let age = (numbers.position(&[1.0, 2.0, 3.0, 4.0, 4.0, 3.0, 2.0]) * 2
                + numbers.below(4)
                + u32::from(diagnosis > 10))
            .min(17);
            let ward = (diagnosis / 5 + numbers.position(&[5.0, 2.0, 1.0, 1.0])).min(7);
            let row = [
                age,
                numbers.below(2),
                numbers.position(&rare[..20]),
                numbers.below(10),
                ward,
                diagnosis,
                (diagnosis + numbers.position(&[6.0, 2.0, 1.0])) % 6,
            ];
            let secret = numbers.chance(if diagnosis < 3 { 0.16 } else { 0.3 });
            people.add(&row, secret, numbers);
        }
        people
    }

    const fn of(names: Names) -> Self {
        Self {
            names,
            values: Vec::new(),
            known: Vec::new(),
            secret: Vec::new(),
            hidden: Vec::new(),
        }
    }

    fn add(&mut self, row: &[u32], has_secret: bool, numbers: &mut Numbers) {
        self.values.resize(row.len(), Vec::new());
        self.known.resize(KNOWN, Vec::new());
        self.values
            .iter_mut()
            .zip(row)
            .for_each(|(column, value)| column.push(*value));
        self.known
            .iter_mut()
            .for_each(|column| column.push(1 + numbers.below(9)));
        self.secret.push(u32::from(has_secret));
        self.hidden.push(200 + numbers.below(800));
    }

    pub(super) fn size(&self) -> u32 {
        u32::try_from(self.secret.len()).unwrap()
    }

    /// The part of these people who have the secret.
    pub(super) fn prevalence(&self, among: &[u32]) -> f64 {
        let have = among
            .iter()
            .filter(|person| self.secret[**person as usize] == 1)
            .count();
        have as f64 / among.len() as f64
    }

    /// What an attacker knows.
    pub(super) fn register(&self) -> Register {
        let columns = self.names.iter().zip(&self.values);
        Register {
            size: self.size(),
            columns: columns
                .map(|((name, atoms), values)| Column::new(name, *atoms, values.clone()))
                .collect(),
            known: self.known.clone(),
        }
    }

    /// Gives one person the columns of another, so that there is none with the first one's columns.
    pub(super) fn replace(&mut self, person: u32, by: u32) {
        for column in &mut self.values {
            column[person as usize] = column[by as usize];
        }
    }

    /// Gives a person the columns that a person of another table has.
    pub(super) fn insert(&mut self, person: u32, of: &Self, other: u32) {
        for (column, values) in self.values.iter_mut().zip(&of.values) {
            column[person as usize] = values[other as usize];
        }
    }
}
