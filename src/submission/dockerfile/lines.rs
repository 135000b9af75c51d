//! A Dockerfile's instructions, one by one: continued lines joined, comments and here-documents skipped.

/// Parser directives stand before anything else: the escape character and the syntax.
pub(super) fn directives(text: &str) -> (char, Option<String>) {
    let (mut escape, mut syntax) = ('\\', None);
    for line in text.lines() {
        let Some(comment) = line.trim().strip_prefix('#') else { break };
        let Some((name, value)) = comment.split_once('=') else { break };
        match name.trim().to_ascii_lowercase().as_str() {
            "escape" => escape = value.trim().chars().next().unwrap_or('\\'),
            "syntax" => syntax = Some(value.trim().to_owned()),
            "check" => {}
            _ => break,
        }
    }
    (escape, syntax)
}

/// An instruction, its continuation lines joined.
pub(super) struct Instruction {
    /// Where it begins.
    pub(super) line: usize,
    /// In capitals.
    pub(super) word: String,
    pub(super) rest: String,
    /// A here-document followed.
    pub(super) heredoc: bool,
}

pub(super) fn instructions(text: &str, escape: char) -> Vec<Instruction> {
    let mut found = Vec::new();
    let mut lines = text.lines().enumerate();
    let mut joined = String::new();
    let mut begins = 0;
    while let Some((number, line)) = lines.next() {
        let trimmed = line.trim();
        // Comments and empty lines inside an instruction are skipped, as the builder does.
        if trimmed.is_empty() || trimmed.starts_with('#') {
            continue;
        }
        if joined.is_empty() {
            begins = number + 1;
        }
        if let Some(begun) = trimmed.strip_suffix(escape) {
            joined.push_str(begun);
            joined.push(' ');
            continue;
        }
        joined.push_str(trimmed);
        let whole = std::mem::take(&mut joined);
        let (word, rest) = whole.split_once(char::is_whitespace).unwrap_or((&whole, ""));
        let word = word.to_ascii_uppercase();
        let ends = if matches!(word.as_str(), "RUN" | "COPY" | "ADD") { heredocs(rest) } else { Vec::new() };
        for end in &ends {
            for (_, line) in lines.by_ref() {
                if line.trim() == end {
                    break;
                }
            }
        }
        found.push(Instruction { line: begins, word, rest: rest.trim().to_owned(), heredoc: !ends.is_empty() });
    }
    found
}

/// The ends that here-documents of a line wait for: `<<EOF`, `<<-"EOF"`.
fn heredocs(line: &str) -> Vec<String> {
    line.split_whitespace()
        .filter_map(|word| word.strip_prefix("<<"))
        .map(|word| word.strip_prefix('-').unwrap_or(word))
        .map(|word| word.trim_matches(['"', '\'']))
        .filter(|word| word.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_'))
        .map(str::to_owned)
        .collect()
}
