//! The system tests, in one binary so that the dependencies are linked once.

#[cfg(test)]
mod adversary;
#[cfg(test)]
mod contracts;
#[cfg(test)]
mod scenarios;
