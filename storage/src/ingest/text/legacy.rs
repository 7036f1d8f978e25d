//! Which encoding text that is not UTF-8 is likely to have, judged by the characters that its bytes would be.
//!
//! Only the bytes that UTF-8 does not allow are judged, in the five encodings that Western European files have. A letter beside letters speaks
//! for an encoding; a control character, a frame, or a sign or capital within a word speaks against it.

use encoding_rs::{Encoding, ISO_8859_15, MACINTOSH, WINDOWS_1252};

/// Most bytes that are judged.
const LOOKED_AT: usize = 256 * 1024;
/// The bytes above ASCII.
const HIGH: usize = 128;

/// What to do about text whose encoding is not known.
pub(in crate::ingest) const UNKNOWN: &str =
    "state its encoding, such as `--encoding windows-1252` if it is a Western European one, or save it as UTF-8";

/// The characters of DOS code page 437 above ASCII.
const CP437: &str = "ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜ¢£¥₧ƒáíóúñÑªº¿⌐¬½¼¡«»░▒▓│┤╡╢╖╕╣║╗╝╜╛┐└┴┬├─┼╞╟╚╔╩╦╠═╬╧╨╤╥╙╘╒╓╫╪┘┌█▄▌▐▀αßΓπΣσµτΦΘΩδ∞φε∩≡±≥≤⌠⌡÷≈°∙·√ⁿ²■\u{a0}";
/// The characters of DOS code page 850 above ASCII.
const CP850: &str = "ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜø£Ø×ƒáíóúñÑªº¿®¬½¼¡«»░▒▓│┤ÁÂÀ©╣║╗╝¢¥┐└┴┬├─┼ãÃ╚╔╩╦╠═╬¤ðÐÊËÈıÍÎÏ┘┌█▄¦Ì▀ÓßÔÒõÕµþÞÚÛÙýÝ¯´\u{ad}±‗¾¶§÷¸°¨·¹³²■\u{a0}";

/// Where the characters of an encoding come from.
#[derive(Clone, Copy)]
enum Table {
    /// An encoding that files are read in.
    Standard(&'static Encoding),
    /// One that has to be converted.
    Listed(&'static str),
}

impl Table {
    /// The characters of the bytes above ASCII.
    fn characters(self) -> Vec<char> {
        match self {
            Self::Listed(characters) => characters.chars().collect(),
            Self::Standard(encoding) => {
                let bytes: Vec<u8> = (0x80..=u8::MAX).collect();
                let (text, _) = encoding.decode_without_bom_handling(&bytes);
                text.chars().collect()
            }
        }
    }
}

/// The encodings, the most common first, with what to do.
fn candidates() -> [(Table, &'static str); 5] {
    [
        (
            Table::Standard(WINDOWS_1252),
            "it looks like windows-1252: import it with `--encoding windows-1252`",
        ),
        (
            Table::Standard(ISO_8859_15),
            "it looks like ISO-8859-15: import it with `--encoding iso-8859-15`",
        ),
        (
            Table::Listed(CP850),
            "it looks like DOS code page 850: convert it, such as with `iconv -f CP850 -t UTF-8 FILE > NEW`, and import the new file",
        ),
        (
            Table::Listed(CP437),
            "it looks like DOS code page 437: convert it, such as with `iconv -f CP437 -t UTF-8 FILE > NEW`, and import the new file",
        ),
        (
            Table::Standard(MACINTOSH),
            "it looks like the encoding of older Macs: import it with `--encoding macintosh`",
        ),
    ]
}

/// What to do about text that is not UTF-8, by the encoding that it is likely to have.
pub(in crate::ingest) fn remedy(bytes: &[u8]) -> &'static str {
    let bytes = bytes.get(..LOOKED_AT).unwrap_or(bytes);
    let invalid = invalid_positions(bytes);
    let letters = bytes.iter().filter(|byte| byte.is_ascii_alphabetic()).count();
    if invalid.is_empty() || invalid.len() > letters {
        // Western European text has more letters without accents than with them.
        return UNKNOWN;
    }
    let mut best = (0, UNKNOWN);
    for (table, remedy) in candidates() {
        let score = score(bytes, &invalid, &table.characters());
        if score > best.0 {
            best = (score, remedy);
        }
    }
    best.1
}

/// Where the bytes are that UTF-8 does not allow.
fn invalid_positions(bytes: &[u8]) -> Vec<usize> {
    let mut positions = Vec::new();
    let mut at = 0;
    for chunk in bytes.utf8_chunks() {
        at += chunk.valid().len();
        positions.extend(at..at + chunk.invalid().len());
        at += chunk.invalid().len();
    }
    positions
}

/// How plausible the characters at `positions` are together.
fn score(bytes: &[u8], positions: &[usize], characters: &[char]) -> i64 {
    let character = |at: Option<usize>| {
        let byte = at.and_then(|at| bytes.get(at)).copied().unwrap_or(b' ');
        let high = usize::from(byte).checked_sub(HIGH);
        high.map_or(char::from(byte), |high| characters.get(high).copied().unwrap_or('\0'))
    };
    let of = |at: &usize| {
        let before = character(at.checked_sub(1));
        plausibility(before, character(Some(*at)), character(Some(at + 1)))
    };
    positions.iter().map(of).sum()
}

/// How plausible a character is between two others.
fn plausibility(before: char, character: char, after: char) -> i64 {
    let is_in_word = before.is_alphabetic() || after.is_alphabetic();
    if character.is_control() {
        -8
    } else if is_western_letter(character) {
        let is_within = before.is_lowercase() || (before.is_alphabetic() && after.is_lowercase());
        let breaks_case = (character.is_uppercase() && is_within)
            || (character.is_lowercase() && character != 'ß' && before.is_uppercase() && after.is_uppercase());
        match (breaks_case, is_in_word) {
            (true, _) => -3,
            (false, true) => 3,
            (false, false) => 0,
        }
    } else if before.is_alphabetic() && after.is_alphabetic() {
        match character {
            '’' | '‘' | '´' | '·' | '–' | '\u{a0}' | '\u{ad}' => 0,
            _ => -4,
        }
    } else {
        match character {
            '°' | 'µ' | '±' | '²' | '³' | '§' | '€' | '„' | '“' | '”' | '«' | '»' | '–' | '’' | '\u{a0}' => {
                1
            }
            '½' | '¼' | '×' | '®' | '·' | '…' | '™' | '•' | '´' => 0,
            _ => -2,
        }
    }
}

fn is_western_letter(character: char) -> bool {
    matches!(
        character,
        '\u{c0}'..='\u{d6}' | '\u{d8}'..='\u{f6}' | '\u{f8}'..='\u{ff}' | 'Œ' | 'œ' | 'Š' | 'š' | 'Ž' | 'ž' | 'Ÿ'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str =
        "Patient;Name\n1;Müller\n2;Strauß\n3;Jäger\n4;Özdemir\n5;José\n6;Françoise\n7;Ängström\n8;MÜLLER\n";

    fn encoded(text: &str, table: Table) -> Vec<u8> {
        let characters = table.characters();
        let byte = |character: char| {
            let high = || characters.iter().position(|known| *known == character).unwrap();
            u8::try_from(character)
                .ok()
                .filter(u8::is_ascii)
                .unwrap_or_else(|| u8::try_from(HIGH + high()).unwrap())
        };
        text.chars().map(byte).collect()
    }

    #[test]
    fn every_table_has_a_character_for_each_byte() {
        for (table, remedy) in candidates() {
            assert_eq!(table.characters().len(), HIGH, "{remedy}");
        }
    }

    #[test]
    fn likely_encoding_is_the_one_in_which_words_are_words() {
        for (index, part) in [
            (0, "--encoding windows-1252"),
            (2, "CP850"),
            (4, "--encoding macintosh"),
        ] {
            let found = remedy(&encoded(TEXT, candidates()[index].0));
            assert!(found.contains(part), "{found}");
        }
        let czech = encoded("name\nŠkoda\nDvořák\nž\n".replace('ř', "r").as_str(), candidates()[1].0);
        assert!(remedy(&czech).contains("--encoding iso-8859-15"), "{}", remedy(&czech));
        let greek = encoded(
            "dose\n5 µg\nα2 and β1 in Müller\n".replace('β', "ß").as_str(),
            candidates()[3].0,
        );
        assert!(remedy(&greek).contains("iconv"), "{}", remedy(&greek));
    }

    #[test]
    fn only_bytes_that_are_not_utf_8_are_judged() {
        let mut mixed = "Müller, Jäger, Strauß, Ödön\n".repeat(20).into_bytes();
        mixed.extend(b"Jos\xe9,1\n");
        assert!(remedy(&mixed).contains("windows-1252: import"));
    }

    #[test]
    fn other_scripts_and_binary_data_get_no_guess() {
        let cyrillic: Vec<u8> = (0xc0..=0xff).cycle().take(400).collect();
        assert_eq!(remedy(&cyrillic), UNKNOWN);
        assert_eq!(remedy(b"\x81\x8d\x8f"), UNKNOWN);
        assert_eq!(remedy(b"plain"), UNKNOWN);
    }
}
