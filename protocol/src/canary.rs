//! A generated collection whose facts are known: two nodes make the same one of a seed, and neither needs to send it.
//!
//! It is for checks of what a node releases: a node that has the seed knows each value, and which cells and differences have to be withheld.
//! The numbers are drawn in this order from SHA-256 over the label, the seed and a counter, eight bytes each:
//!
//! 1. The sizes of the sites: 1, 2, 4 and 9 subjects, and three of at least 50. No subject is at site `h`.
//! 2. Which site has which size, and which subjects are there.
//! 3. Sex, age and marker of each subject.
//! 4. A differencing pair: at one of the large sites, one subject is made older than all others ([`DifferencingPair`]).
//! 5. One to four visits of each subject with a common code, and 60 visits of three subjects with the code `rare`: a cell that is large in
//!    rows and small in subjects.

use std::fmt::{self, Write as _};

use crate::ids::Digest32;
use crate::labels;

/// The number of subjects.
pub const SUBJECTS: u8 = 200;
/// Subjects of the small sites: for each minimum of 2 to 50 subjects, one of them has fewer.
const SMALL: [u8; 4] = [1, 2, 4, 9];
/// The least number of subjects of a large site.
const LARGE: u8 = 50;
/// The subjects of the large sites beyond [`LARGE`] each, so that all sites together have [`SUBJECTS`].
const EXTRA: u16 = 34;
/// The sites that have subjects.
const SITES: [char; 7] = ['a', 'b', 'c', 'd', 'e', 'f', 'g'];
/// The site without subjects.
const EMPTY_SITE: char = 'h';
/// Visits of each of the three subjects with the rare code.
const RARE_VISITS: u8 = 20;

/// A canary collection: its two datasets, and what is true of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Canary {
    /// One row of each subject, in the order of their numbers.
    pub people: Vec<CanaryPerson>,
    /// Any number of rows of each subject.
    pub visits: Vec<CanaryVisit>,
    /// What was planted.
    pub facts: CanaryFacts,
}

/// A row of the first dataset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CanaryPerson {
    /// The subject, 0 to 199.
    pub subject: u8,
    /// Where it is treated.
    pub site: char,
    /// `f` or `m`.
    pub sex: char,
    /// In years.
    pub age: u8,
    /// What an attacker wants to know of the subject.
    pub marker: bool,
}

/// A row of the second dataset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CanaryVisit {
    /// The subject, 0 to 199.
    pub subject: u8,
    /// Why it came.
    pub code: CanaryCode,
    /// What it cost, 0 to 999.
    pub cost: u16,
}

/// The code of a visit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CanaryCode {
    /// One of four codes of many subjects each.
    Common(u8),
    /// The code of three subjects.
    Rare,
}

impl fmt::Display for CanaryCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Common(number) => write!(f, "common-{number}"),
            Self::Rare => f.pad("rare"),
        }
    }
}

/// What is true of a canary collection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CanaryFacts {
    /// Each small site and the number of its subjects, the smallest first.
    pub small_sites: [(char, u8); 4],
    /// Each large site and the number of its subjects.
    pub large_sites: [(char, u8); 3],
    /// A site without subjects, which nothing may distinguish from one whose cell is withheld.
    pub empty_site: char,
    /// Two sets of subjects that differ in one.
    pub pair: DifferencingPair,
    /// The subjects that have visits with the rare code.
    pub rare: [u8; 3],
}

/// Two large sets of subjects of which the larger one has exactly one subject more: all subjects of a site, and those up to an age.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DifferencingPair {
    /// The site.
    pub site: char,
    /// The age up to which the smaller set goes.
    pub up_to_age: u8,
    /// The one subject that is older.
    pub target: u8,
}

impl Canary {
    /// The collection of a seed.
    #[must_use]
    pub fn of(seed: [u8; 32]) -> Self {
        let mut numbers = Numbers::of(seed);
        let sizes = sizes(&mut numbers);
        let mut sites = SITES;
        shuffle(&mut sites, &mut numbers);
        let mut people = people(&sites, &sizes, &mut numbers);
        let [.., first, second, third] = sites;
        let site = match numbers.below(3) {
            0 => first,
            1 => second,
            _ => third,
        };
        let pair = plant_pair(&mut people, site, &mut numbers);
        let (visits, rare) = visits(&mut numbers);
        let [one, two, four, nine, rest @ ..] = zipped(sites, sizes);
        let facts = CanaryFacts {
            small_sites: [one, two, four, nine],
            large_sites: rest,
            empty_site: EMPTY_SITE,
            pair,
            rare,
        };
        Self { people, visits, facts }
    }

    /// The first dataset as CSV, with a header.
    #[must_use]
    pub fn people_csv(&self) -> String {
        let mut text = "subject,site,sex,age,marker\n".to_owned();
        for person in &self.people {
            let CanaryPerson {
                subject,
                site,
                sex,
                age,
                marker,
            } = person;
            // Writing to a text does not fail.
            writeln!(text, "s{subject:03},{site},{sex},{age},{}", u8::from(*marker)).ok();
        }
        text
    }

    /// The second dataset as CSV, with a header.
    #[must_use]
    pub fn visits_csv(&self) -> String {
        let mut text = "subject,code,cost\n".to_owned();
        for CanaryVisit { subject, code, cost } in &self.visits {
            writeln!(text, "s{subject:03},{code},{cost}").ok();
        }
        text
    }
}

/// The sizes of the sites: the small ones, then the large ones.
fn sizes(numbers: &mut Numbers) -> [u8; 7] {
    let first = numbers.below(EXTRA.saturating_add(1));
    let left = EXTRA.saturating_sub(first);
    let second = numbers.below(left.saturating_add(1));
    let third = left.saturating_sub(second);
    let [first, second, third] = [first, second, third].map(|extra| LARGE.saturating_add(small(extra)));
    let [one, two, four, nine] = SMALL;
    [one, two, four, nine, first, second, third]
}

fn people(sites: &[char; 7], sizes: &[u8; 7], numbers: &mut Numbers) -> Vec<CanaryPerson> {
    let mut order: Vec<u8> = (0..SUBJECTS).collect();
    shuffle(&mut order, numbers);
    let of_site = |(site, size): (&char, &u8)| std::iter::repeat_n(*site, usize::from(*size));
    let of_sites = sites.iter().zip(sizes).flat_map(of_site);
    let mut placed: Vec<(u8, char)> = order.into_iter().zip(of_sites).collect();
    placed.sort_unstable();
    let person = |(subject, site)| CanaryPerson {
        subject,
        site,
        sex: if numbers.below(2) == 0 { 'f' } else { 'm' },
        age: small(numbers.below(60)).saturating_add(20),
        marker: numbers.below(2) == 1,
    };
    placed.into_iter().map(person).collect()
}

/// Makes one subject of a large site older than all others, who are 79 at most.
fn plant_pair(people: &mut [CanaryPerson], site: char, numbers: &mut Numbers) -> DifferencingPair {
    let size = people.iter().filter(|person| person.site == site).count();
    let chosen = numbers.below(u16::try_from(size).unwrap_or(1));
    let up_to_age = small(numbers.below(10)).saturating_add(80);
    let age = small(numbers.below(5)).saturating_add(up_to_age).saturating_add(1);
    let mut of_site = people.iter_mut().filter(|person| person.site == site);
    let target = of_site.nth(usize::from(chosen)).map(|person| {
        person.age = age;
        person.subject
    });
    DifferencingPair {
        site,
        up_to_age,
        // INVARIANT: a large site has subjects.
        target: target.unwrap_or_default(),
    }
}

/// The visits, and the subjects with the rare code.
fn visits(numbers: &mut Numbers) -> (Vec<CanaryVisit>, [u8; 3]) {
    let mut visits = Vec::new();
    for subject in 0..SUBJECTS {
        for _ in 0..=numbers.below(4) {
            let code = CanaryCode::Common(small(numbers.below(4)));
            let cost = numbers.below(1000);
            visits.push(CanaryVisit { subject, code, cost });
        }
    }
    let begin = numbers.below(u16::from(SUBJECTS));
    let rare = [0, 1, 2].map(|step: u16| small(begin.saturating_add(step) % u16::from(SUBJECTS)));
    for subject in rare {
        for _ in 0..RARE_VISITS {
            let code = CanaryCode::Rare;
            let cost = numbers.below(1000);
            visits.push(CanaryVisit { subject, code, cost });
        }
    }
    (visits, rare)
}

fn zipped(sites: [char; 7], sizes: [u8; 7]) -> [(char, u8); 7] {
    let mut sizes = sizes.into_iter();
    sites.map(|site| (site, sizes.next().unwrap_or_default()))
}

/// A number that is known to be below 256.
fn small(number: u16) -> u8 {
    u8::try_from(number).unwrap_or(u8::MAX)
}

/// Puts items into an order that the numbers decide (Fisher and Yates).
fn shuffle<T>(items: &mut [T], numbers: &mut Numbers) {
    for last in (1..items.len()).rev() {
        let limit = u16::try_from(last.saturating_add(1)).unwrap_or(u16::MAX);
        items.swap(last, usize::from(numbers.below(limit)));
    }
}

/// Numbers that follow from a seed.
struct Numbers {
    seed: [u8; 32],
    block: u64,
    /// Those of the last block that were not used, the next one at the end.
    left: Vec<u64>,
}

impl Numbers {
    const fn of(seed: [u8; 32]) -> Self {
        Self {
            seed,
            block: 0,
            left: Vec::new(),
        }
    }

    /// The next number, below `limit`. The remainder of 64 bits prefers no number by more than 2^-48.
    fn below(&mut self, limit: u16) -> u16 {
        let number = self.draw() % u64::from(limit.max(1));
        u16::try_from(number).unwrap_or_default()
    }

    fn draw(&mut self) -> u64 {
        if self.left.is_empty() {
            let bytes = [self.seed.as_slice(), &self.block.to_be_bytes()].concat();
            let digest = Digest32::sha256(labels::CANARY, &bytes);
            let read = |bytes: &[u8]| bytes.try_into().map_or(0, u64::from_be_bytes);
            self.left = digest.as_bytes().chunks_exact(8).rev().map(read).collect();
            self.block = self.block.saturating_add(1);
        }
        self.left.pop().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests;
