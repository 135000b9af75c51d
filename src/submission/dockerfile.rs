//! A minimal reading of Dockerfiles: enough to say what a build stands on, what it serves and what it copies where.

mod lines;

use std::collections::BTreeMap;

use self::lines::{Instruction, directives, instructions};

/// Every instruction that a builder knows.
pub const INSTRUCTIONS: &[&str] = &[
    "ADD",
    "ARG",
    "CMD",
    "COPY",
    "ENTRYPOINT",
    "ENV",
    "EXPOSE",
    "FROM",
    "HEALTHCHECK",
    "LABEL",
    "MAINTAINER",
    "ONBUILD",
    "RUN",
    "SHELL",
    "STOPSIGNAL",
    "USER",
    "VOLUME",
    "WORKDIR",
];

/// A range of ports is read so far.
const MOST_PORTS: u16 = 1024;

/// A Dockerfile's stages, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dockerfile {
    pub stages: Vec<Stage>,
    /// `# syntax=`, which asks for a builder that must be fetched.
    pub syntax: Option<String>,
    /// Needs a builder newer than the classic one: here-documents, `RUN --mount`.
    pub needs_buildkit: bool,
    /// How many instructions, of all stages and before them.
    pub instructions: usize,
    /// Words that are no instruction, with their lines.
    pub unknown: Vec<(usize, String)>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stage {
    /// As written, build arguments with a known value replaced.
    pub from: String,
    /// `AS name`.
    pub name: Option<String>,
    pub expose: Vec<u16>,
    pub workdir: Option<String>,
    /// As written: the JSON form or a shell line.
    pub cmd: Option<String>,
    pub entrypoint: Option<String>,
    pub user: Option<String>,
    /// The lines of `RUN`, as written.
    pub runs: Vec<String>,
    pub copies: Vec<Copied>,
    /// `COPY --from=`, as written: a stage's name or number, or another image.
    pub copied_from: Vec<String>,
    /// Set by `ENV`: a stage that stands on this one has them too.
    env: BTreeMap<String, String>,
    /// Of `ARG`.
    args: BTreeMap<String, String>,
}

/// A `COPY` or `ADD` from the build context.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Copied {
    pub sources: Vec<String>,
    /// Absolute where the work folder is known.
    pub target: String,
}

/// Reads a Dockerfile; what it does not know is skipped. `args` are the build arguments given from outside.
pub fn parse(text: &str, args: &BTreeMap<String, Option<String>>) -> Dockerfile {
    let mut file = Dockerfile::default();
    let (escape, syntax) = directives(text);
    file.syntax = syntax;
    let mut globals: BTreeMap<String, String> = BTreeMap::new();
    let mut stage_args: Vec<(String, String)> = Vec::new();
    for Instruction { line, word, rest, heredoc } in instructions(text, escape) {
        if !INSTRUCTIONS.contains(&word.as_str()) {
            file.unknown.push((line, word));
            continue;
        }
        file.instructions += 1;
        file.needs_buildkit |= heredoc || (word == "RUN" && rest.starts_with("--mount"));
        match (word.as_str(), file.stages.last_mut()) {
            ("FROM", _) => {
                let mut stage = from(&rest, &globals);
                let below = file.stages.iter().find(|below| below.is(&stage.from));
                stage.env = below.map(|below| below.env.clone()).unwrap_or_default();
                file.stages.push(stage);
            }
            ("ARG", stage) => {
                for part in rest.split_whitespace() {
                    let (name, default) = part.split_once('=').unwrap_or((part, ""));
                    let given = args.get(name).cloned().flatten();
                    let default = if default.is_empty() { globals.get(name).cloned() } else { None }
                        .unwrap_or_else(|| unquoted(default).to_owned());
                    let value = given.unwrap_or(default);
                    match &stage {
                        Some(_) => stage_args.push((name.to_owned(), value)),
                        None => {
                            globals.insert(name.to_owned(), value);
                        }
                    }
                }
                if let Some(stage) = stage {
                    stage.args.extend(stage_args.drain(..));
                }
            }
            (_, Some(stage)) => stage.instruction(&word, &rest),
            _ => {}
        }
    }
    file
}

/// Every instruction as written, its lines joined, with the line that it begins at.
pub fn steps(text: &str) -> Vec<(usize, String)> {
    let steps = instructions(text, directives(text).0).into_iter();
    steps.map(|step| (step.line, format!("{} {}", step.word, step.rest))).collect()
}

impl Dockerfile {
    /// Every image that a build of it may pull: what it stands on or copies from, and is no stage of its own.
    pub fn bases(&self) -> Vec<String> {
        let own = |name: &str| name.parse::<usize>().is_ok() || self.stages.iter().any(|stage| stage.is(name));
        let all = self.stages.iter().flat_map(|s| std::iter::once(&s.from).chain(&s.copied_from));
        all.filter(|from| *from != "scratch" && !own(from)).cloned().collect()
    }

    /// The stage that is built: the one of this name, else the last.
    pub fn stage(&self, target: Option<&str>) -> Option<&Stage> {
        let wanted = target.and_then(|target| self.stages.iter().find(|stage| stage.is(target)));
        wanted.or(self.stages.last())
    }

    /// The stage that is built and the stages that it stands on, the built one first.
    pub fn chain(&self, target: Option<&str>) -> Vec<&Stage> {
        let mut chain: Vec<&Stage> = self.stage(target).into_iter().collect();
        while let Some(last) = chain.last() {
            let below = self.stages.iter().take_while(|stage| !std::ptr::eq(*stage, *last)).find(|s| s.is(&last.from));
            match below {
                Some(stage) => chain.push(stage),
                None => break,
            }
        }
        chain
    }

    /// The image that the build stands on.
    pub fn base(&self, target: Option<&str>) -> Option<&str> {
        self.chain(target).last().map(|stage| stage.from.as_str())
    }
}

impl Stage {
    fn is(&self, name: &str) -> bool {
        self.name.as_deref().is_some_and(|own| own.eq_ignore_ascii_case(name))
    }

    fn instruction(&mut self, word: &str, rest: &str) {
        match word {
            "EXPOSE" => {
                let filled = self.filled(rest);
                self.expose.extend(filled.split_whitespace().filter_map(|port| ports(unquoted(port))).flatten());
            }
            "WORKDIR" => self.workdir = Some(self.absolute(unquoted(&self.filled(rest)))),
            "USER" => self.user = Some(unquoted(&self.filled(rest)).to_owned()),
            "RUN" => self.runs.push(rest.to_owned()),
            "ENV" => self.env.extend(pairs(rest)),
            "CMD" => self.cmd = Some(rest.to_owned()),
            "ENTRYPOINT" => self.entrypoint = Some(rest.to_owned()),
            "COPY" | "ADD" => {
                let flags = rest.split_whitespace().take_while(|word| word.starts_with("--"));
                self.copied_from.extend(flags.filter_map(|flag| flag.strip_prefix("--from=")).map(str::to_owned));
                self.copies.extend(self.copied(rest));
            }
            _ => {}
        }
    }

    /// Its variables put in their places; what is set by `ENV` counts before an argument of the same name.
    fn filled(&self, text: &str) -> String {
        let known = self.args.iter().chain(&self.env).map(|(name, value)| (name.clone(), value.clone())).collect();
        expand(text, &known)
    }

    fn copied(&self, rest: &str) -> Option<Copied> {
        let mut rest = rest.trim();
        while let Some(flag) = rest.strip_prefix("--") {
            let (flag, after) = flag.split_once(char::is_whitespace)?;
            if flag.starts_with("from=") {
                return None;
            }
            rest = after.trim_start();
        }
        let mut words: Vec<String> = if rest.starts_with('[') {
            serde_json::from_str(rest).ok()?
        } else {
            rest.split_whitespace().map(|word| unquoted(word).to_owned()).collect()
        };
        let target = words.pop()?;
        (!words.is_empty()).then(|| Copied { sources: words, target: self.absolute(&target) })
    }

    fn absolute(&self, path: &str) -> String {
        if path.starts_with('/') {
            return path.to_owned();
        }
        let folder = self.workdir.as_deref().unwrap_or("/").trim_end_matches('/');
        let path = path.strip_prefix("./").unwrap_or(path);
        if path.is_empty() || path == "." { format!("{folder}/") } else { format!("{folder}/{path}") }
    }
}

fn from(rest: &str, globals: &BTreeMap<String, String>) -> Stage {
    let mut words = rest.split_whitespace().filter(|word| !word.starts_with("--"));
    let from = expand(words.next().unwrap_or_default(), globals);
    let name = match (words.next(), words.next()) {
        (Some(word), Some(name)) if word.eq_ignore_ascii_case("as") => Some(name.to_owned()),
        _ => None,
    };
    Stage { from, name, ..Stage::default() }
}

/// `$NAME`, `${NAME}`, `${NAME:-default}` of build arguments.
fn expand(text: &str, args: &BTreeMap<String, String>) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(i) = rest.find('$') {
        out.push_str(&rest[..i]);
        rest = &rest[i + 1..];
        let (inner, after) = match rest.strip_prefix('{').and_then(|braced| braced.split_once('}')) {
            Some(pair) => pair,
            None => {
                let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(rest.len());
                rest.split_at(end)
            }
        };
        let (name, default) = inner.split_once(":-").unwrap_or((inner, ""));
        let value = args.get(name).map(String::as_str).filter(|value| !value.is_empty());
        out.push_str(value.unwrap_or(default));
        rest = after;
    }
    out + rest
}

/// `5000`, `5000/tcp`, `8000-8010`.
fn ports(text: &str) -> Option<std::ops::RangeInclusive<u16>> {
    let text = text.split('/').next()?;
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (first.parse::<u16>().ok()?, last.parse::<u16>().ok()?);
    Some(first..=last.min(first.saturating_add(MOST_PORTS)))
}

/// `NAME=value OTHER="a b"`, or the old form `NAME a b`.
fn pairs(rest: &str) -> Vec<(String, String)> {
    let first = rest.split_whitespace().next().unwrap_or_default();
    if !first.contains('=') {
        let value = rest.trim_start().strip_prefix(first).unwrap_or_default().trim();
        return vec![(first.to_owned(), value.to_owned())];
    }
    let mut words = vec![String::new()];
    let mut quote = None;
    for c in rest.chars() {
        match quote {
            None if c == '"' || c == '\'' => quote = Some(c),
            Some(open) if c == open => quote = None,
            None if c.is_whitespace() => words.push(String::new()),
            _ => words.last_mut().into_iter().for_each(|word| word.push(c)),
        }
    }
    words.iter().filter_map(|word| word.split_once('=')).map(|(k, v)| (k.to_owned(), v.to_owned())).collect()
}

fn unquoted(text: &str) -> &str {
    let text = text.trim();
    let inner = |quote: char| text.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote));
    inner('"').or_else(|| inner('\'')).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Dockerfile {
        parse(text, &BTreeMap::new())
    }

    #[test]
    fn images_that_are_copied_from_are_pulled_too() {
        let text = "FROM node AS build\nFROM python\nCOPY --from=build /a /a\nCOPY --chown=1:1 --from=0 /b /b\nCOPY --from=composer:2 /c /c\n";
        assert_eq!(parse(text, &BTreeMap::new()).bases(), ["node", "python", "composer:2"]);
    }

    #[test]
    fn the_seed_file() {
        let file = read(
            "# comment\nFROM python:3.6\nEXPOSE 5000\nWORKDIR /app\nCOPY requirements.txt /app\nRUN pip install -r requirements.txt\nCOPY app.py .\nCMD python app.py\n",
        );
        assert_eq!(file.base(None), Some("python:3.6"));
        let stage = file.stage(None).expect("a stage");
        assert_eq!(stage.expose, [5000]);
        assert_eq!(stage.copies[1], Copied { sources: vec!["app.py".to_owned()], target: "/app/".to_owned() });
        assert_eq!(stage.cmd.as_deref(), Some("python app.py"));
    }

    #[test]
    fn arguments_stages_and_continuations() {
        let text = "ARG VERSION=3.6\nARG BASE=\"python\"\nfrom --platform=linux/amd64 ${BASE}:$VERSION AS build\nRUN a \\\n  # in between\n\n  && b\nEXPOSE 80/tcp \\\n 443\nFROM build\nCOPY --from=build /x /y\nCOPY --chown=1:1 [\"a b\", \"/c/\"]\nENTRYPOINT [\"x\"]\n";
        let file = read(text);
        assert_eq!(file.stages.len(), 2);
        assert_eq!(file.base(None), Some("python:3.6"));
        assert_eq!(file.stages[0].expose, [80, 443]);
        assert_eq!(file.stages[1].copies, [Copied { sources: vec!["a b".to_owned()], target: "/c/".to_owned() }]);
        let given = BTreeMap::from([("VERSION".to_owned(), Some("3.9".to_owned()))]);
        assert_eq!(parse(text, &given).base(Some("build")), Some("python:3.9"));
        assert_eq!(read("FROM ${X:-mysql:5.7}\n").base(None), Some("mysql:5.7"));
    }

    #[test]
    fn variables_are_filled_in_where_ports_folders_and_users_are_named() {
        let file = read(
            "ARG TOP=/srv\nFROM a AS base\nARG TOP\nENV PORT=5000 NAME=\"ana gil\"\nENV OLD x y\nFROM base\nARG PORT=80\nARG MORE=90\n\
             EXPOSE ${PORT}/tcp $MORE 8000-8002\nWORKDIR $TOP/x\nUSER $OLD\nRUNN x\n",
        );
        let last = file.stage(None).expect("a stage");
        assert_eq!(last.expose, [5000, 90, 8000, 8001, 8002]);
        assert_eq!(
            (last.workdir.as_deref(), last.user.as_deref()),
            (Some("/x"), Some("x y")),
            "an argument ends with its stage"
        );
        assert_eq!(file.unknown, [(12, "RUNN".to_owned())]);
        assert_eq!(file.instructions, 11);
    }

    #[test]
    fn heredocs_and_directives() {
        let file = read(
            "# syntax=docker/dockerfile:1\n# escape=`\nFROM a\nRUN <<EOF\nFROM nobody\nEOF\nCOPY <<-\"X\" /x\nFROM none\n\tX\nRUN b `\n c\nEXPOSE 1\n",
        );
        assert_eq!(file.stages.len(), 1);
        assert_eq!(file.syntax.as_deref(), Some("docker/dockerfile:1"));
        assert!(file.needs_buildkit);
        assert_eq!(file.stages[0].expose, [1]);
        assert!(read("FROM a\nRUN --mount=type=cache,target=/x b\n").needs_buildkit);
        assert!(!read("FROM a\nRUN cat <<1 x << y\n").needs_buildkit);
    }

    #[test]
    fn nonsense_is_read_without_stages() {
        for text in [
            "",
            "\\",
            "FROM",
            "COPY",
            "hola\nmundo\n",
            "FROM a AS",
            "FROM a\nCOPY --from=x\nCOPY [\nCOPY x\nADD --a\nRUN <<EOF\nnever ended",
        ] {
            let _ = read(text).chain(Some("x"));
        }
        assert_eq!(read("FROM a AS a\n").base(None), Some("a"));
        assert_eq!(read("").base(None), None);
    }

    #[test]
    fn crlf_and_bom() {
        let (text, _) = crate::submission::decode::decode(b"\xEF\xBB\xBFFROM python:3.6\r\nEXPOSE 5000\r\n");
        assert_eq!(read(&text).base(None), Some("python:3.6"));
        assert_eq!(read(&text).stages[0].expose, [5000]);
    }
}
