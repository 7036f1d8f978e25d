//! A table of visits: 12 columns of mixed types, some values missing, ordered by time only.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use super::dice::Dice;

const NOTE_VOCABULARY: [&str; 24] = [
    "patient",
    "reports",
    "mild",
    "chest",
    "pain",
    "on",
    "exertion",
    "no",
    "fever",
    "referred",
    "to",
    "cardiology",
    "follow",
    "up",
    "in",
    "six",
    "weeks",
    "blood",
    "pressure",
    "stable",
    "medication",
    "unchanged",
    "advised",
    "rest",
];

const CHAPTERS: [char; 10] = ['A', 'B', 'C', 'D', 'E', 'F', 'G', 'H', 'I', 'J'];

/// Writes `rows` visits of about a fifth as many patients.
pub(crate) fn write(file: &Path, rows: u64) {
    let mut out = BufWriter::with_capacity(1 << 20, File::create(file).unwrap());
    let columns = "patient_id,visit_date,site,sex,age,diagnosis,systolic,chol,hba1c,smoker,recorded_at,note";
    writeln!(out, "{columns}").unwrap();
    let mut dice = Dice::new(7);
    let mut note = String::new();
    for row in 0..rows {
        let patient = dice.below(rows / 5 + 1);
        let day = row * 3650 / rows.max(1);
        let year = 2014 + day / 365;
        let month = day % 365 / 31 + 1;
        let date = day % 28 + 1;
        let site = dice.below(12);
        let sex = if patient.is_multiple_of(2) { "F" } else { "M" };
        let age = 18 + patient % 80;
        let chapter = dice.one_of(&CHAPTERS);
        let code = dice.below(50);
        let systolic = 95 + dice.below(90);
        let second = dice.below(86_400);
        let chol = (dice.below(20) != 0).then(|| 1200 + dice.below(2200));
        let hba1c = (dice.below(10) != 0).then(|| 40 + dice.below(80));
        let tenth = |value: Option<u64>| value.map_or_else(String::new, |v| format!("{}.{}", v / 10, v % 10));
        note.clear();
        for _ in 0..14 + dice.below(12) {
            note.push_str(dice.one_of(&NOTE_VOCABULARY));
            note.push(' ');
        }
        writeln!(
            out,
            "{patient},{year}-{month:02}-{date:02},site-{site:02},{sex},{age},{chapter}{code:02},{systolic},{},{},{},\
             {year}-{month:02}-{date:02}T{:02}:{:02}:{:02},{}",
            tenth(chol),
            tenth(hba1c),
            patient.is_multiple_of(3),
            second / 3600,
            second / 60 % 60,
            second % 60,
            note.trim_end(),
        )
        .unwrap();
    }
    out.flush().unwrap();
}
