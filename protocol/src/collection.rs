//! What a steward declares about a collection: how its rows lead to subjects, which datasets join, and what statistics may distinguish.
//!
//! 1. The kind of a dataset states how its rows lead to a subject ([`DatasetKind`]), and the role of a column what it is for joins
//!    ([`ColumnRole`]).
//! 2. The levels of a column ([`Levels`]) divide its values into atoms. A condition becomes the set of atoms for which it is true
//!    ([`AtomSet`]), or is refused: below records nothing finer than an atom is ever compared.
//! 3. A measured column has a [`Range`], to which contributions are clipped.
//! 4. All of it together is [`CollectionRules`], which exists only if it is valid as a whole ([`CollectionRules::check`]).
//! 5. A [`Template`] declares datasets and columns by name or pattern; [`Template::apply`] returns the rules of columns that exist.
//!
//! All of it has one encoding, and decoding reserves no memory for a length that is only stated (`lists.rs`).

mod kind;
mod levels;
mod lists;
mod measure;
mod rules;
mod template;

pub use kind::{ColumnRole, CountLevels, DatasetKind, DayLevels, InvalidSteps, KeyDomain, KeyLink, OwnerLinks};
pub use levels::{
    ANCESTORS_LEVEL, AncestorGroups, AtomId, AtomSet, AtomTest, Axis, CodeKind, CodeNames, CodeSet, Codes, Comparison,
    Contents, Datum, DifferentLevels, Edges, Hierarchy, InvalidCodes, LISTED_LEVEL, Levels, LevelsError, Listed,
    ListedValues, MAX_CODES, MAX_DATE_EDGES, MAX_EDGES, MAX_TEXT, MAX_VALUES, NAMED_LEVEL, RawLevels, Reading,
    Undecided, ValueLabel,
};
pub use measure::{InvalidRange, Range, RawRange};
pub use rules::{
    CollectionRules, ColumnRules, DatasetRules, EffectiveColumn, KnownColumns, MAX_COLUMNS, MAX_DATASETS,
    RawCollectionRules, RawColumnRules, RawDatasetRules, RuleProblem, RulesError, ValueNames,
};
pub use template::{
    CalendarPart, EdgeSpec, HeaderSpelling, InvalidPattern, Origin, Pattern, Template, TemplateColumn, TemplateDataset,
    TemplateEdges, TemplateError, TemplateKind, TemplateLevels, TemplateProblem, TemplateRole,
};
#[cfg(test)]
mod tests;
