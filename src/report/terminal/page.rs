//! Lines of a page: wrapped to a width by what characters really take, with a hanging indent, coloured where asked.
//!
//! Every text goes through `sanitize` here, so that no caller can forget it; and what is told to the terminal itself
//! (colour) is added after that.

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use crate::grade::Grade;
use crate::sanitize;

/// How a page looks.
#[derive(Clone, Copy, Debug)]
pub struct Style {
    /// In columns; less than 40 is taken as 40.
    pub width: usize,
    /// The caller has looked at `NO_COLOR` and at whether this is a terminal.
    pub color: bool,
}

impl Default for Style {
    fn default() -> Self {
        Self { width: 100, color: false }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Color {
    Bold,
    Dim,
    Red,
    Green,
    Yellow,
}

/// The longest value that is shown; the record and the evidence have the whole.
const LONGEST: usize = 1000;
/// Where a field's text begins.
const FIELD: usize = 14;
/// Where what stands under an item begins.
const DETAIL: usize = 6;

pub(super) struct Page {
    style: Style,
    out: String,
}

impl Page {
    pub(super) fn new(style: Style) -> Self {
        Self { style: Style { width: style.width.max(40), ..style }, out: String::new() }
    }

    pub(super) fn finish(self) -> String {
        self.out
    }

    pub(super) fn title(&mut self, text: &str) {
        self.block("", text, 0, Some(Color::Bold));
    }

    pub(super) fn heading(&mut self, text: &str) {
        self.out.push('\n');
        self.block("", text, 0, Some(Color::Bold));
    }

    pub(super) fn headline(&mut self, text: &str, grade: &Grade) {
        let color = match grade {
            Grade { lost: 1.., .. } => Color::Red,
            Grade { is_final: true, .. } => Color::Green,
            _ => Color::Yellow,
        };
        self.last(text, color);
    }

    /// What it comes to, on a line apart.
    pub(super) fn last(&mut self, text: &str, color: Color) {
        self.out.push('\n');
        self.block("", text, 0, Some(color));
    }

    /// `name        text`, the text wrapped beside the name.
    pub(super) fn field(&mut self, name: &str, text: &str) {
        self.block(&pad(name, FIELD), text, 0, None);
    }

    /// A row of a short table.
    pub(super) fn row(&mut self, name: &str, text: &str) {
        let name = pad(&sanitize::line(name, 40), FIELD);
        self.block(&name, text.trim_end(), 2, None);
    }

    /// A path on a line of its own, never wrapped, so that it can be copied.
    pub(super) fn path(&mut self, path: &str) {
        self.out.push_str("  ");
        self.out.push_str(&sanitize::line(path, 4096));
        self.out.push('\n');
    }

    /// A marked line: `✗ init-applied  -15  init.sql was applied`.
    pub(super) fn item(&mut self, mark: &str, color: Color, name: &str, text: &str) {
        let name = sanitize::line(name, 80);
        let mark = self.paint(mark, color);
        let name_painted = self.paint(&name, Color::Bold);
        let lead = 4 + width(&name) + 2;
        let lines = wrap(&sanitize::text(text), self.style.width.saturating_sub(lead).max(20));
        self.out.push_str(&format!("  {mark} {name_painted}"));
        for (n, line) in lines.iter().enumerate() {
            self.out.push_str(if n == 0 { "  " } else { "\n      " });
            self.out.push_str(line);
        }
        self.trim_end();
        self.out.push('\n');
    }

    /// Under an item: a label and its text, or a text alone where the label is empty.
    pub(super) fn detail(&mut self, label: &str, text: &str) {
        if text.is_empty() {
            return;
        }
        let label = if label.is_empty() { String::new() } else { pad(label, 11) };
        self.block(&label, text, DETAIL, None);
    }

    /// Under an item: what nobody may pass over.
    pub(super) fn alarm(&mut self, text: &str) {
        self.block("", text, DETAIL, Some(Color::Red));
    }

    /// How many columns there are for what stands under an item.
    pub(super) fn beside(&self) -> usize {
        self.style.width - DETAIL
    }

    /// Under an item: one line of signs of ours, each in its colour and its column. Nothing of a submission's goes this way.
    pub(super) fn cells(&mut self, cells: &[(char, Option<Color>)]) {
        let used = cells.iter().rposition(|(c, _)| *c != ' ').map_or(0, |last| last + 1);
        self.out.push_str(&" ".repeat(DETAIL));
        for alike in cells[..used].chunk_by(|a, b| a.1 == b.1) {
            let text: String = alike.iter().map(|(c, _)| *c).collect();
            self.out.push_str(&alike[0].1.map_or_else(|| text.clone(), |color| self.paint(&text, color)));
        }
        self.trim_end();
        self.out.push('\n');
    }

    /// Under an item: a place that can be copied, and what is there beside it.
    pub(super) fn place(&mut self, label: &str, place: &str, what: &str) {
        let label = pad(label, 11);
        let place = sanitize::line(place, 200);
        let margin = DETAIL + width(&label);
        let painted = if label.trim().is_empty() { label } else { self.paint(&label, Color::Dim) };
        self.out.push_str(&format!("{}{painted}{place}", " ".repeat(DETAIL)));
        let what = sanitize::line(what, LONGEST);
        let beside = margin + width(&place) + 2;
        if beside + width(&what) <= self.style.width {
            self.out.push_str(&format!("  {what}"));
        } else {
            for line in wrap(&what, self.style.width.saturating_sub(margin).max(20)) {
                self.out.push_str(&format!("\n{}{line}", " ".repeat(margin)));
            }
        }
        self.trim_end();
        self.out.push('\n');
    }

    /// One step deeper: expected and observed under their fact.
    pub(super) fn compared(&mut self, label: &str, text: &str) {
        self.block(&pad(label, 11), text, 8, None);
    }

    /// Short texts one after the other, wrapped between them, each kept whole.
    pub(super) fn run(&mut self, indent: usize, texts: &[String]) {
        let texts: Vec<String> = texts.iter().map(|t| sanitize::line(t, 120)).collect();
        let mut used = 0;
        for (n, text) in texts.iter().enumerate() {
            let last = n + 1 == texts.len();
            let needed = width(text) + usize::from(!last);
            if n == 0 {
                self.out.push_str(&" ".repeat(indent));
                used = indent;
            } else if used + 1 + needed > self.style.width {
                self.out.push('\n');
                self.out.push_str(&" ".repeat(indent));
                used = indent;
            } else {
                self.out.push(' ');
                used += 1;
            }
            self.out.push_str(text);
            if !last {
                self.out.push(',');
            }
            used += needed;
        }
        self.out.push('\n');
    }

    /// `label` then the text, wrapped under its own beginning.
    fn block(&mut self, label: &str, text: &str, indent: usize, color: Option<Color>) {
        let margin = indent + width(label);
        let text = sanitize::text(&sanitize::cap(text, LONGEST));
        let lines = wrap(text.trim_end(), self.style.width.saturating_sub(margin).max(20));
        for (n, line) in lines.iter().enumerate() {
            if n == 0 {
                self.out.push_str(&" ".repeat(indent));
                let label = if label.trim().is_empty() { label.to_owned() } else { self.paint(label, Color::Dim) };
                self.out.push_str(&label);
            } else if !line.is_empty() {
                self.out.push_str(&" ".repeat(margin));
            }
            let line = color.map_or_else(|| line.clone(), |color| self.paint(line, color));
            self.out.push_str(&line);
            self.trim_end();
            self.out.push('\n');
        }
    }

    fn trim_end(&mut self) {
        let end = self.out.trim_end_matches(' ').len();
        self.out.truncate(end);
    }

    fn paint(&self, text: &str, color: Color) -> String {
        if !self.style.color || text.is_empty() {
            return text.to_owned();
        }
        let code = match color {
            Color::Bold => "1",
            Color::Dim => "2",
            Color::Red => "31",
            Color::Green => "32",
            Color::Yellow => "33",
        };
        format!("\u{1b}[{code}m{text}\u{1b}[0m")
    }
}

fn width(text: &str) -> usize {
    UnicodeWidthStr::width(text)
}

/// The label and spaces to `columns`, one at least.
fn pad(label: &str, columns: usize) -> String {
    let missing = columns.saturating_sub(width(label)).max(1);
    format!("{label}{}", " ".repeat(missing))
}

/// Lines of at most `columns`, broken at spaces; a word that is longer stands on a line of its own. Line breaks and the
/// indentation of the text's own lines are kept.
fn wrap(text: &str, columns: usize) -> Vec<String> {
    let mut lines = Vec::new();
    for paragraph in text.split('\n') {
        let indent: String = paragraph.chars().take_while(|c| *c == ' ').take(columns / 2).collect();
        let (mut line, mut used) = (indent.clone(), indent.len());
        let mut begun = false;
        for word in paragraph.split_whitespace() {
            let needed = width(word);
            if begun && used + 1 + needed > columns {
                lines.push(std::mem::replace(&mut line, indent.clone()));
                (used, begun) = (indent.len(), false);
            }
            if begun {
                line.push(' ');
                used += 1;
            }
            for c in word.chars() {
                // A word without end (base64, a body on one line) is cut where the line ends.
                let columns_of_c = c.width().unwrap_or(0);
                if needed > 4 * columns && used + columns_of_c > columns {
                    lines.push(std::mem::replace(&mut line, indent.clone()));
                    used = indent.len();
                }
                line.push(c);
                used += columns_of_c;
            }
            begun = true;
        }
        lines.push(line);
    }
    lines
}
