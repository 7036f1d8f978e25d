//! The output of the demonstration: colored on a terminal, plain text elsewhere.

use std::io::{IsTerminal, Write};
use std::time::Duration;

use anstyle::{AnsiColor, Style};
use indicatif::{ProgressBar, ProgressStyle};

/// Width of the text in characters: a terminal of 80 columns with an indent.
const WIDTH: usize = 76;

/// Writes the demonstration's text to standard output.
#[derive(Debug)]
pub(crate) struct Narrator {
    color: bool,
    bar: ProgressBar,
}

impl Narrator {
    /// A narrator with a progress bar of `steps` steps.
    pub(crate) fn new(color: bool, steps: u64) -> Self {
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
            color: color && terminal,
            bar,
        }
    }

    /// A new chapter.
    pub(crate) fn chapter(&self, title: &str) {
        self.bar.inc(1);
        self.bar.set_message(title.to_owned());
        self.line("");
        self.line(&self.painted(title, Style::new().bold().fg_color(Some(AnsiColor::Cyan.into()))));
    }

    /// A paragraph.
    pub(crate) fn narrate(&self, text: &str) {
        for line in wrapped(text) {
            self.line(&format!("  {line}"));
        }
    }

    /// A command as its user would type it.
    pub(crate) fn command(&self, who: &str, command: &str) {
        let prompt = self.painted(&format!("  {who} $"), Style::new().dimmed());
        self.line(&format!("{prompt} {command}"));
    }

    /// What a command printed.
    pub(crate) fn output(&self, text: &str) {
        for line in text.lines() {
            self.line(&format!("    {line}"));
        }
    }

    /// A fact that went well.
    pub(crate) fn good(&self, text: &str) {
        self.marked("+", AnsiColor::Green, text);
    }

    /// A refusal, which is the expected result.
    pub(crate) fn refused(&self, text: &str) {
        self.marked("-", AnsiColor::Yellow, text);
    }

    /// The end of the demonstration.
    pub(crate) fn finish(&self) {
        self.bar.finish_and_clear();
    }

    fn marked(&self, mark: &str, color: AnsiColor, text: &str) {
        let mark = self.painted(mark, Style::new().bold().fg_color(Some(color.into())));
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
        if self.color {
            format!("{style}{text}{style:#}")
        } else {
            text.to_owned()
        }
    }

    fn line(&self, text: &str) {
        self.bar.suspend(|| {
            // A reader that closes the pipe, as `head` does, ends the output but not the demonstration.
            let _closed = writeln!(std::io::stdout(), "{text}");
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
    fn paragraphs_are_wrapped_between_words() {
        let lines = wrapped(&"word ".repeat(40));
        assert!(lines.iter().all(|line| line.chars().count() <= WIDTH) && lines.len() > 1);
        assert_eq!(lines.join(" "), "word ".repeat(40).trim());
    }
}
