//! Tracebacks of Python, PHP and Node in a log or on a page: the newest one's innermost line of the submission's own code.

use std::sync::LazyLock;

use regex::Regex;

use super::{LookAt, View, shown};
use crate::text::Text;

/// A call of a traceback.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Frame {
    pub(super) file: String,
    pub(super) line: u32,
    /// The line of code as it was printed below it.
    pub(super) code: Option<String>,
}

static PYTHON: LazyLock<Regex> = LazyLock::new(|| pattern(r#"^\s+File "([^"]+)", line (\d+)"#));
static NODE: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"^\s+at (?:.*\()?(?:file://)?(/[^():]+\.[cm]?[jt]sx?):(\d+)(?::\d+)?\)?$"));
/// Its message, in the log of any server or on the page.
static PHP: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"\b(?:PHP )?(?:Fatal error|Parse error|Warning|Recoverable fatal error): .* in (/\S+?\.\w+)(?:(?::| on line )\d+|\b)",
    )
});
static PHP_PLACE: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"(?: in |#\d+ )(/[^\s:()]+\.\w+)(?:\((\d+)\)|:(\d+)| on line (\d+))"));
static TAG: LazyLock<Regex> = LazyLock::new(|| pattern(r"</?[A-Za-z][^<>]*>"));

fn pattern(text: &str) -> Regex {
    Regex::new(text).expect("a constant pattern, compiled in a test")
}

/// A traceback, the innermost call first.
#[derive(Default)]
struct Trace {
    frames: Vec<Frame>,
    /// It was raised while the one before it was handled.
    chained: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Open {
    Nothing,
    Python,
    Node,
    Php,
}

/// The calls of the newest traceback, the innermost first, then those of what it was raised for.
pub(super) fn newest(text: &str) -> Vec<Frame> {
    let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
    let mut traces: Vec<Trace> = Vec::new();
    let (mut open, mut chained) = (Open::Nothing, false);
    for (n, line) in lines.iter().enumerate() {
        let begins = |now: Open, traces: &mut Vec<Trace>| {
            if open != now {
                traces.push(Trace { frames: Vec::new(), chained });
            }
            now
        };
        if let Some(frame) = PYTHON.captures(line).and_then(|c| frame(c.get(1)?.as_str(), c.get(2)?.as_str())) {
            let below = lines.get(n + 1).filter(|next| next.starts_with("    ") && !PYTHON.is_match(next));
            open = begins(Open::Python, &mut traces);
            let code = below.map(|code| code.trim().to_owned());
            add(&mut traces, Frame { code, ..frame }, true);
            chained = false;
        } else if let Some(frame) = NODE.captures(line).and_then(|c| frame(c.get(1)?.as_str(), c.get(2)?.as_str())) {
            open = begins(Open::Node, &mut traces);
            add(&mut traces, frame, false);
        } else if PHP.is_match(line) || (open == Open::Php && PHP_PLACE.is_match(line)) {
            if PHP.is_match(line) {
                traces.push(Trace::default());
            }
            open = Open::Php;
            for c in PHP_PLACE.captures_iter(line) {
                let number = c.get(2).or(c.get(3)).or(c.get(4));
                let found = c.get(1).zip(number).and_then(|(file, line)| frame(file.as_str(), line.as_str()));
                found.into_iter().for_each(|frame| add(&mut traces, frame, false));
            }
        } else if open == Open::Php && (line.starts_with('#') || line.contains("Stack trace:")) {
        } else if line.contains("During handling of the above exception") || line.contains("was the direct cause of") {
            (open, chained) = (Open::Nothing, true);
        } else if !line.starts_with([' ', '\t']) && !line.is_empty() {
            open = Open::Nothing;
            chained &= line.starts_with("Traceback");
        } else if open == Open::Node && !line.trim_start().starts_with("at ") {
            open = Open::Nothing;
        }
    }
    let mut newest = Vec::new();
    while let Some(trace) = traces.pop() {
        newest.extend(trace.frames);
        if !trace.chained {
            break;
        }
    }
    newest
}

fn frame(file: &str, line: &str) -> Option<Frame> {
    Some(Frame { file: file.to_owned(), line: line.parse().ok()?, code: None })
}

fn add(traces: &mut [Trace], frame: Frame, innermost: bool) {
    let Some(trace) = traces.last_mut() else { return };
    if innermost { trace.frames.insert(0, frame) } else { trace.frames.push(frame) }
}

impl View<'_> {
    /// The innermost line of the service's own code in the newest traceback of what it printed.
    pub fn raised(self, service: &str, log: &str) -> Option<LookAt> {
        newest(log).into_iter().find_map(|frame| self.own_line(service, &frame))
    }

    /// The same of a page, whose markup is taken away first.
    pub fn raised_on_page(self, service: &str, page: &str) -> Option<LookAt> {
        self.raised(service, &TAG.replace_all(page, ""))
    }

    fn own_line(self, service: &str, frame: &Frame) -> Option<LookAt> {
        let file = self.own_file(service, &frame.file)?;
        let line = self.line(&file, frame.line)?;
        // Another file of that name says something else there.
        if frame.code.as_ref().is_some_and(|code| code != line.trim()) {
            return None;
        }
        let said = shown(&line);
        let what =
            Text::new(format!("the error comes from here: `{said}`"), format!("el error sale de aquí: `{said}`"));
        Some(LookAt::new(&file, usize::try_from(frame.line).ok()?, what))
    }
}
