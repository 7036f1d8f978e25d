//! Which files of a folder are tables, by their names: the same for a client that sends them and for the node that unpacks an archive.

/// The ends of the names of tables.
const TABLES: [&str; 8] = [".csv", ".tsv", ".txt", ".ndjson", ".jsonl", ".parquet", ".xlsx", ".ods"];
/// The ends of the names of compressed files.
const COMPRESSED: [&str; 5] = [".gz", ".zst", ".xz", ".bz2", ".zip"];

/// The name of a file without what states that it is a table, in lower case, which names its dataset. `None` for other files, and for
/// hidden ones.
#[must_use]
pub fn table_of(file: &str) -> Option<String> {
    let name = file.to_lowercase();
    let packed = COMPRESSED.iter().find_map(|end| name.strip_suffix(end));
    let name = packed.unwrap_or(&name);
    let table = TABLES.iter().find_map(|end| name.strip_suffix(end))?;
    (!table.is_empty() && !table.starts_with('.')).then(|| table.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_known_by_the_ends_of_their_names() {
        for (file, expected) in [
            ("person.csv", Some("person")),
            ("PERSON.CSV.GZ", Some("person")),
            ("drug_exposure.parquet", Some("drug_exposure")),
            ("visit.2020.tsv.zst", Some("visit.2020")),
            ("LICENSE", None),
            ("README.md", None),
            ("person.gz", None),
            ("person.csv.gz.gpg", None),
            (".csv", None),
            (".person.csv", None),
            ("._person.csv", None),
            ("", None),
        ] {
            assert_eq!(table_of(file).as_deref(), expected, "{file}");
        }
    }
}
