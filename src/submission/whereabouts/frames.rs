//! Tracebacks of Python, PHP and Node in a log or on a page: the newest one's innermost line of the submission's own code.

use std::cell::OnceCell;
use std::sync::LazyLock;

use regex::Regex;

use super::own::{OwnFiles, Which};
use super::{LookAt, View, shown};
use crate::text::Text;

/// More calls of a traceback are a recursion, or made up.
const MAX_FRAMES: usize = 50;

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
/// PHP goes on after a failure, and each use of what it did not give is said too: none of these is where it began.
static PHP_AFTER: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?i)for ?each\(\)|\bon (?:bool|boolean|null)\b|\b(?:bool|boolean|null|false) (?:given|returned)\b|array offset|undefined (?:variable|index|array key|offset|property)|no connection could be made|couldn't fetch",
    )
});
/// Where the connection itself failed.
static PHP_CONNECT: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?i)mysqli?_p?connect\(|mysqli::(?:__construct|mysqli|real_connect)\(|PDO::__construct\(|\(HY000/\d+\)|SQLSTATE\[",
    )
});
/// What follows a traceback and belongs to it: the message of Python, what Node and its tools say of the end.
static PYTHON_MESSAGE: LazyLock<Regex> = LazyLock::new(|| pattern(r"^[A-Za-z_][\w.]*(?:: .*)?$"));
static ENDS: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"^(?:\s|[{}]|\(Background on|\[SQL|\[parameters|Node\.js v|npm ERR!|npm error|\[nodemon\] app crashed|  thrown in )|^$",
    )
});
static TAG: LazyLock<Regex> = LazyLock::new(|| pattern(r"</?[A-Za-z][^<>]*>"));

fn pattern(text: &str) -> Regex {
    Regex::new(text).expect("a constant pattern, compiled in a test")
}

/// A traceback, its calls in the order in which they were printed.
#[derive(Default)]
struct Trace {
    frames: Vec<Frame>,
    /// It was raised while the one before it was handled.
    chained: bool,
    /// Python prints the innermost call last.
    innermost_last: bool,
    /// The number of its last line.
    to: usize,
}

impl Trace {
    fn innermost_first(self) -> Vec<Frame> {
        let mut frames = self.frames;
        if self.innermost_last {
            frames.reverse();
        }
        frames.truncate(MAX_FRAMES);
        frames
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Open {
    Nothing,
    Python,
    Node,
    Php,
}

/// The calls of the newest traceback, the innermost first, then those of what it was raised for; and the number of its last
/// line.
fn newest(text: &str) -> (Vec<Frame>, usize) {
    let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
    let mut traces: Vec<Trace> = Vec::new();
    let (mut open, mut chained) = (Open::Nothing, false);
    for (n, line) in lines.iter().enumerate() {
        let begins = |now: Open, traces: &mut Vec<Trace>| {
            if open != now {
                traces.push(Trace { chained, innermost_last: now == Open::Python, ..Trace::default() });
            }
            now
        };
        if let Some(frame) = PYTHON.captures(line).and_then(|c| frame(c.get(1)?.as_str(), c.get(2)?.as_str())) {
            let below = lines.get(n + 1).filter(|next| next.starts_with("    ") && !PYTHON.is_match(next));
            open = begins(Open::Python, &mut traces);
            let code = below.map(|code| code.trim().to_owned());
            add(&mut traces, Frame { code, ..frame }, n);
            chained = false;
        } else if let Some(frame) = NODE.captures(line).and_then(|c| frame(c.get(1)?.as_str(), c.get(2)?.as_str())) {
            open = begins(Open::Node, &mut traces);
            add(&mut traces, frame, n);
        } else if PHP.is_match(line) || (open == Open::Php && is_php_more(line)) {
            // Messages without anything between them are of one request; which of them counts is seen when all are there.
            if open != Open::Php {
                let run = lines[n..].iter().take_while(|line| PHP.is_match(line) || is_php_more(line)).count();
                let frames = php_cause(&lines[n..n + run]);
                traces.push(Trace { frames, to: n + run - 1, ..Trace::default() });
            }
            open = Open::Php;
        } else if line.contains("During handling of the above exception") || line.contains("was the direct cause of") {
            (open, chained) = (Open::Nothing, true);
        } else if !line.starts_with([' ', '\t']) && !line.is_empty() {
            open = Open::Nothing;
            chained &= line.starts_with("Traceback");
        } else if matches!(open, Open::Node | Open::Php) && !line.trim_start().starts_with("at ") {
            open = Open::Nothing;
        }
    }
    let mut newest = Vec::new();
    let to = traces.last().map_or(0, |trace| trace.to);
    while let Some(trace) = traces.pop() {
        let chained = trace.chained;
        newest.extend(trace.innermost_first());
        if !chained || newest.len() >= MAX_FRAMES {
            break;
        }
    }
    newest.truncate(MAX_FRAMES);
    (newest, to)
}

/// A line of the stack that follows a message of PHP.
fn is_php_more(line: &str) -> bool {
    line.is_empty()
        || line.starts_with('#')
        || line.contains("Stack trace:")
        || line.starts_with("  thrown in ")
        || line.starts_with("PHP  ")
}

/// Of the messages of one request, the calls of the one that the others come of: the connection that failed, else the first
/// that is no mere consequence.
fn php_cause(lines: &[&str]) -> Vec<Frame> {
    let is_cause = |n: &usize| PHP.is_match(lines[*n]) && !PHP_AFTER.is_match(lines[*n]);
    let mut causes = (0..lines.len()).filter(is_cause);
    let connects = (0..lines.len()).filter(is_cause).find(|n| PHP_CONNECT.is_match(lines[*n]));
    let Some(first) = connects.or_else(|| causes.next()) else { return Vec::new() };
    let stack = lines[first + 1..].iter().take_while(|line| !PHP.is_match(line));
    let mut frames = Vec::new();
    for line in std::iter::once(&lines[first]).chain(stack) {
        for c in PHP_PLACE.captures_iter(line) {
            let number = c.get(2).or(c.get(3)).or(c.get(4));
            frames.extend(c.get(1).zip(number).and_then(|(file, line)| frame(file.as_str(), line.as_str())));
        }
    }
    frames.truncate(MAX_FRAMES);
    frames
}

fn frame(file: &str, line: &str) -> Option<Frame> {
    Some(Frame { file: file.to_owned(), line: line.parse().ok()?, code: None })
}

fn add(traces: &mut [Trace], frame: Frame, n: usize) {
    let Some(trace) = traces.last_mut() else { return };
    trace.to = n + usize::from(frame.code.is_some());
    trace.frames.push(frame);
}

impl View<'_> {
    /// The innermost line of the service's own code in the newest traceback of what it printed.
    pub fn raised(self, service: &str, log: &str) -> Option<LookAt> {
        self.innermost(service, newest(log).0)
    }

    /// The same where that traceback is the last thing that it printed: what it ended for.
    pub fn raised_at_end(self, service: &str, log: &str) -> Option<LookAt> {
        let (frames, to) = newest(log);
        let (mut messages, mut after) = (0, log.lines().skip(to + 1).map(str::trim_end));
        let belongs = after.all(|line| {
            let message = !ENDS.is_match(line) && PYTHON_MESSAGE.is_match(line);
            messages += usize::from(message);
            (message && messages == 1) || ENDS.is_match(line)
        });
        if belongs { self.innermost(service, frames) } else { None }
    }

    /// The same of a page, whose markup is taken away first. PHP goes on printing after its first message: all of a page
    /// is of one request.
    pub fn raised_on_page(self, service: &str, page: &str) -> Option<LookAt> {
        let text = TAG.replace_all(page, "");
        let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
        if lines.iter().any(|line| PHP.is_match(line)) {
            return self.innermost(service, php_cause(&lines));
        }
        self.raised(service, &text)
    }

    fn innermost(self, service: &str, frames: Vec<Frame>) -> Option<LookAt> {
        let own = OnceCell::new();
        frames.into_iter().find_map(|frame| self.own_line(service, &frame, &own))
    }

    fn own_line(self, service: &str, frame: &Frame, own: &OnceCell<OwnFiles>) -> Option<LookAt> {
        let there = self.own_file(service, &frame.file);
        // A name alone tells which file it is only where the line below it says the same.
        let alike = || {
            frame.code.as_ref()?;
            own.get_or_init(|| self.own_files(service)).only_one(&frame.file)
        };
        let file = match there {
            Which::This(file) => file,
            Which::Unknown => alike()?,
            Which::None => return None,
        };
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
