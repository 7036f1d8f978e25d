//! How the demonstration tells its story: colours on a terminal, plain text elsewhere.

use std::io::{IsTerminal, Write};
use std::time::Duration;

use anstyle::{AnsiColor, Style};
use indicatif::{ProgressBar, ProgressStyle};

/// Width of the text in characters: a terminal of 80 columns with an indent.
const WIDTH: usize = 76;

/// Writes the story to standard output.
#[derive(Debug)]
pub(super) struct Teller {
    colour: bool,
    bar: ProgressBar,
}

impl Teller {
    /// A teller of `steps` steps.
    pub(super) fn new(colour: bool, steps: u64) -> Self {
        let terminal = std::io::stdout().is_terminal();
        let bar = if terminal && std::io::stderr().is_terminal() {
            ProgressBar::new(steps)
        } else {
            ProgressBar::hidden()
        };
        if let Ok(style) = ProgressStyle::with_template("{bar:30} {pos}/{len} {msg}") {
            bar.set_style(style);
        }
        bar.enable_steady_tick(Duration::from_millis(200));
        Self {
            colour: colour && terminal,
            bar,
        }
    }

    /// A new chapter.
    pub(super) fn chapter(&self, title: &str) {
        self.bar.inc(1);
        self.bar.set_message(title.to_owned());
        self.line("");
        self.line(&self.painted(title, Style::new().bold().fg_color(Some(AnsiColor::Cyan.into()))));
    }

    /// A paragraph.
    pub(super) fn say(&self, text: &str) {
        for line in wrapped(text) {
            self.line(&format!("  {line}"));
        }
    }

    /// A command as its user would type it.
    pub(super) fn command(&self, who: &str, command: &str) {
        let prompt = self.painted(&format!("  {who} $"), Style::new().dimmed());
        self.line(&format!("{prompt} {command}"));
    }

    /// What a command printed.
    pub(super) fn output(&self, text: &str) {
        for line in text.lines() {
            self.line(&format!("    {line}"));
        }
    }

    /// A fact that went well.
    pub(super) fn good(&self, text: &str) {
        self.marked("+", AnsiColor::Green, text);
    }

    /// A refusal, which is what was hoped for.
    pub(super) fn refused(&self, text: &str) {
        self.marked("-", AnsiColor::Yellow, text);
    }

    /// The end of the story.
    pub(super) fn finish(&self) {
        self.bar.finish_and_clear();
    }

    fn marked(&self, mark: &str, colour: AnsiColor, text: &str) {
        let mark = self.painted(mark, Style::new().bold().fg_color(Some(colour.into())));
        for (number, line) in wrapped(text).into_iter().enumerate() {
            let lead = if number == 0 {
                format!("  {mark}")
            } else {
                "   ".to_owned()
            };
            self.line(&format!("{lead} {line}"));
        }
    }

    fn painted(&self, text: &str, style: Style) -> String {
        if self.colour {
            format!("{style}{text}{style:#}")
        } else {
            text.to_owned()
        }
    }

    fn line(&self, text: &str) {
        self.bar.suspend(|| {
            // A reader that has gone away, as `head` does, ends the telling and not the demonstration.
            let _gone = writeln!(std::io::stdout(), "{text}");
        });
    }
}

fn wrapped(text: &str) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let fits = lines
            .last()
            .is_none_or(|line| line.is_empty() || line.chars().count() + 1 + word.chars().count() <= WIDTH);
        if !fits {
            lines.push(String::new());
        }
        if let Some(line) = lines.last_mut() {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paragraphs_are_broken_between_words() {
        let lines = wrapped(&"word ".repeat(40));
        assert!(lines.iter().all(|line| line.chars().count() <= WIDTH) && lines.len() > 1);
        assert_eq!(lines.join(" "), "word ".repeat(40).trim());
    }
}
