//! Tables of synthetic patients, the same in every run.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

/// The columns and their classes.
pub(crate) const CLASSES: [(&str, &str); 6] = [
    ("record_number", "direct-identifier"),
    ("age", "quasi-identifier"),
    ("sex", "ordinary"),
    ("chol", "sensitive"),
    ("bp", "sensitive"),
    ("day", "ordinary"),
];

/// Writes a table of `rows` patients, one row each.
pub(crate) fn write(path: &Path, rows: usize) {
    let mut file = BufWriter::new(File::create(path).unwrap());
    let names: Vec<_> = CLASSES.iter().map(|(name, _)| *name).collect();
    writeln!(file, "{}", names.join(",")).unwrap();
    let mut random = 0x2545_f491_4f6c_dd1d_u64;
    for row in 0..rows {
        // xorshift64*: values that do not compress away, without a library.
        random ^= random >> 12;
        random ^= random << 25;
        random ^= random >> 27;
        let age = 20 + random % 75;
        let sex = (random >> 8) & 1;
        let chol = (random >> 16) % 40_000;
        let bp = (random >> 32) % 15_000;
        writeln!(
            file,
            "R{row:08},{age},{sex},{}.{:02},{}.{:02},{}",
            chol / 100,
            chol % 100,
            bp / 100,
            bp % 100,
            random % 10_000
        )
        .unwrap();
    }
    file.flush().unwrap();
}
