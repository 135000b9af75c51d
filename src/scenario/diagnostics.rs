//! Problems as their author reads them: file, line and column, the line itself with a caret, and what to do.

use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};

use super::tree::{Problem, sorted};

/// Renders all problems, in the order of their places, with the source's lines; ends with a newline. `color` adds ANSI styles.
pub fn render(problems: &[Problem], source: &str, color: bool) -> String {
    let source = source.strip_prefix('\u{feff}').unwrap_or(source);
    let renderer = if color { Renderer::styled() } else { Renderer::plain() };
    let problems = sorted(problems.to_vec());
    let mut out = String::new();
    for problem in &problems {
        for group in groups(problem, source) {
            out.push_str(&renderer.render(&[group]));
            out.push('\n');
        }
        out.push('\n');
    }
    let count = problems.len();
    out.push_str(&format!("{count} {}\n", if count == 1 { "problem" } else { "problems" }));
    out
}

fn groups<'a>(problem: &'a Problem, source: &'a str) -> Vec<Group<'a>> {
    let title = Level::ERROR.primary_title(problem.message.as_str());
    let group = match line(source, problem.at.line) {
        Some(text) => {
            let column = usize::try_from(problem.at.column).unwrap_or(1).saturating_sub(1);
            let snippet = Snippet::source(text)
                .line_start(usize::try_from(problem.at.line).unwrap_or(1))
                .path(problem.at.file.as_str())
                .annotation(AnnotationKind::Primary.span(span(text, column)));
            title.element(snippet)
        }
        // Of the command line: there is nothing to point at, and a hint stands by itself.
        None if problem.at.file.is_empty() => {
            let hint = problem.hint.iter().map(|hint| Group::with_title(Level::HELP.secondary_title(hint.as_str())));
            return std::iter::once(Group::with_title(title)).chain(hint).collect();
        }
        // Of the file as a whole.
        None => title.element(Origin::path(problem.at.file.as_str())),
    };
    vec![match &problem.hint {
        Some(hint) => group.element(Level::HELP.message(hint.as_str())),
        None => group,
    }]
}

/// A line of the source without its end; lines count from 1.
fn line(source: &str, line: u32) -> Option<&str> {
    let index = usize::try_from(line).ok()?.checked_sub(1)?;
    source.lines().nth(index)
}

/// The bytes of the word at a column (in characters, from 0): what a caret should underline.
fn span(text: &str, column: usize) -> std::ops::Range<usize> {
    let start = text.char_indices().nth(column).map_or(text.len(), |(at, _)| at);
    let rest = &text[start..];
    let quoted = rest.chars().next().filter(|c| *c == '"' || *c == '\'');
    let len = match quoted {
        Some(quote) => rest[1..].find(quote).map_or(rest.len(), |end| end + 2),
        None => rest.find([' ', ',', ':', '}', ']', '{', '[']).unwrap_or(rest.len()),
    };
    let first = rest.chars().next().map_or(0, char::len_utf8);
    start..start + len.max(first)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expect::Place;

    fn at(line: u32, column: u32) -> Place {
        Place { file: "s.yaml".to_owned(), line, column }
    }

    #[test]
    fn the_line_is_shown_with_a_caret_and_what_to_do() {
        let source = "a: 1\r\nñandú: {wrong: 2}\r\n";
        let problems = [
            Problem::new(&at(2, 9), "unknown key `wrong`").hint("did you mean `right`?"),
            Problem::new(&at(1, 4), "not one"),
        ];
        let shown = render(&problems, source, false);
        let want = "\
error: not one
 --> s.yaml:1:4
  |
1 | a: 1
  |    ^

error: unknown key `wrong`
 --> s.yaml:2:9
  |
2 | ñandú: {wrong: 2}
  |         ^^^^^
  |
  = help: did you mean `right`?

2 problems
";
        assert_eq!(shown, want);
    }

    #[test]
    fn a_problem_without_a_line_shows_the_file_or_nothing() {
        let shown = render(&[Problem::new(&at(0, 0), "cannot be read")], "", false);
        assert_eq!(shown, "error: cannot be read\n--> s.yaml\n\n1 problem\n");
        let shown = render(&[Problem::new(&Place::default(), "--only x").hint("y")], "a\n", false);
        assert_eq!(shown, "error: --only x\nhelp: y\n\n1 problem\n");
    }

    #[test]
    fn places_past_the_end_do_no_harm() {
        for (line, column) in [(1, 99), (99, 1), (2, 1), (u32::MAX, u32::MAX), (1, 0)] {
            let shown = render(&[Problem::new(&at(line, column), "x")], "a: \"ñ\n", true);
            assert!(shown.contains('x'));
        }
    }

    #[test]
    fn colour_is_optional() {
        let problems = [Problem::new(&at(1, 1), "x")];
        assert!(!render(&problems, "a", false).contains('\u{1b}'));
        assert!(render(&problems, "a", true).contains('\u{1b}'));
    }
}
