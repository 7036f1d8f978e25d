//! Finds characters that speak against the encoding in which a text was read: control characters, and signs within words.

use crate::ingest::note::Note;

/// What was seen of a text that is read in chunks.
#[derive(Debug)]
pub(super) struct Implausible {
    before: char,
    current: char,
    /// The line of `current`.
    line: u64,
    count: u64,
    first: Option<u64>,
}

impl Default for Implausible {
    fn default() -> Self {
        Self {
            before: ' ',
            current: ' ',
            line: 1,
            count: 0,
            first: None,
        }
    }
}

impl Implausible {
    /// The next part of the text.
    pub(super) fn observe(&mut self, text: &str) {
        if text.is_ascii() && text.len() > 1 {
            self.observe_ascii(text);
        } else {
            text.chars().for_each(|next| self.advance(next));
        }
    }

    /// No character of ASCII counts, so only those at the ends matter.
    fn observe_ascii(&mut self, text: &str) {
        let mut characters = text.chars();
        if let Some(first) = characters.next() {
            self.advance(first);
        }
        let ends = |character: &char| *character == '\n';
        let between = u64::from(self.current == '\n');
        let last = text.chars().next_back().unwrap_or(' ');
        let rest = characters.filter(ends).count() as u64;
        self.line += (rest + between).saturating_sub(u64::from(last == '\n'));
        self.before = ' ';
        self.current = last;
    }

    fn advance(&mut self, next: char) {
        if is_implausible(self.before, self.current, next) {
            self.count += 1;
            self.first.get_or_insert(self.line);
        }
        self.line += u64::from(self.current == '\n');
        self.before = self.current;
        self.current = next;
    }

    /// What the steward should know, at the end of the text.
    pub(super) fn note(mut self, encoding: &'static str) -> Option<Note> {
        self.advance(' ');
        self.first.map(|line| Note::ImplausibleCharacters {
            count: self.count,
            line,
            encoding,
        })
    }
}

fn is_implausible(before: char, character: char, after: char) -> bool {
    match character {
        '\u{80}'..='\u{9f}' => true,
        '\u{a1}'..='\u{a9}'
        | '\u{ab}'
        | '\u{ac}'
        | '\u{ae}'..='\u{b3}'
        | '\u{b6}'
        | '\u{b8}'
        | '\u{b9}'
        | '\u{bb}'..='\u{bf}'
        | '÷'
        | '˜'
        | '‚'
        | '“'..='„'
        | '†'..='•'
        | '‰'
        | '‹'
        | '›'
        | '€'
        | '™'
        | '\u{2200}'..='\u{23ff}'
        | '\u{2500}'..='\u{25ff}' => before.is_alphabetic() && after.is_alphabetic(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(parts: &[&str]) -> Option<(u64, u64)> {
        let mut seen = Implausible::default();
        parts.iter().for_each(|part| seen.observe(part));
        let Note::ImplausibleCharacters { count, line, .. } = seen.note("windows-1252")? else {
            return None;
        };
        Some((count, line))
    }

    #[test]
    fn control_characters_and_signs_within_words_are_found_wherever_the_text_is_cut() {
        let text = "id;name\n1;M\u{81}ller\n2;J„ger\n3;x\n4;Wei▀e\n";
        for cut in (0..=text.len()).filter(|cut| text.is_char_boundary(*cut)) {
            let (head, tail) = text.split_at(cut);
            assert_eq!(found(&[head, tail]), Some((3, 2)), "cut at {cut}");
        }
        assert_eq!(found(&["a\nb\n", "c\n", "d\u{90}"]), Some((1, 4)));
    }

    #[test]
    fn ordinary_text_has_none() {
        for text in [
            "Müller said: „yes“ – 5 µg, 37 °C, ½ l, 10 € (§ 5)",
            "O’Neil, L·l, 3×4 mg, …",
            "Győr, Łódź, 病历号, रोगी",
            "",
        ] {
            assert_eq!(found(&[text]), None, "{text}");
        }
    }
}
