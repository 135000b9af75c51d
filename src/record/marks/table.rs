//! A table as spreadsheets save it: RFC 4180, with a byte order mark or not, separated by commas, by semicolons (where a comma
//! is the decimal point) or by tabs, in UTF-8, UTF-16 or Windows' own letters; columns by their names, in any order.

use csv::{ReaderBuilder, StringRecord};

use super::Mistake;
use crate::nearest;
use crate::sanitize;

/// What a column is for. Others may stand beside them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Column {
    Submission,
    Criterion,
    Level,
    Comment,
}

impl Column {
    const ALL: [Self; 4] = [Self::Submission, Self::Criterion, Self::Level, Self::Comment];

    /// Its name in a header, in either language.
    const fn names(self) -> [&'static str; 2] {
        match self {
            Self::Submission => ["submission", "entrega"],
            Self::Criterion => ["criterion", "criterio"],
            Self::Level => ["level", "nivel"],
            Self::Comment => ["comment", "comentario"],
        }
    }
}

pub(super) struct Row {
    pub(super) line: u64,
    fields: [String; 4],
}

impl Row {
    /// Without the space around it; empty where there is nothing.
    pub(super) fn get(&self, column: Column) -> &str {
        &self.fields[column as usize]
    }
}

/// Stands behind the text: where it does not come out as a row of its own, a quote was never closed.
const END: &str = "\u{1}end";

/// The rows that could be read, and what is wrong with the rest.
pub(super) fn read(bytes: &[u8]) -> (Vec<Row>, Vec<Mistake>) {
    let text = decode(bytes);
    let (separator, text, skipped) = separator(&text);
    let whole = format!("{text}\n{END}\n");
    let mut reader =
        ReaderBuilder::new().has_headers(false).flexible(true).delimiter(separator).from_reader(whole.as_bytes());
    let mut records: Vec<(u64, StringRecord)> = Vec::new();
    for record in reader.records() {
        // Reading from memory, of text: nothing can fail but the machine.
        let Ok(record) = record else { continue };
        records.push((record.position().map_or(0, csv::Position::line) + skipped, record));
    }
    let mut mistakes = Vec::new();
    match records.pop() {
        Some((_, last)) if last.iter().eq([END]) => {}
        Some((line, _)) => mistakes.push(Mistake::new(
            line,
            "a quote (\") is opened in this row and never closed",
            "en esta fila se abre una comilla (\") que nunca se cierra",
        )),
        None => {}
    }
    let mut records = records.into_iter().filter(|(_, record)| record.iter().any(|field| !field.trim().is_empty()));
    let Some((line, header)) = records.next() else {
        if mistakes.is_empty() {
            mistakes.push(Mistake::new(0, "there is nothing in this file", "en este archivo no hay nada"));
        }
        return (Vec::new(), mistakes);
    };
    let before = mistakes.len();
    let places = columns(line, &header, &mut mistakes);
    if mistakes.len() > before {
        return (Vec::new(), mistakes);
    }
    let rows = records.filter_map(|(line, record)| row(line, &record, header.len(), &places, &mut mistakes)).collect();
    (rows, mistakes)
}

fn row(
    line: u64,
    record: &StringRecord,
    columns: usize,
    places: &[Option<usize>; 4],
    mistakes: &mut Vec<Mistake>,
) -> Option<Row> {
    if record.iter().skip(columns).any(|field| !field.trim().is_empty()) {
        let fields = record.len();
        mistakes.push(Mistake::new(
            line,
            format!("{fields} fields under a header of {columns}: put text that holds the separator between quotes (\")"),
            format!(
                "{fields} campos bajo un encabezado de {columns}: ponga entre comillas (\") el texto que contiene el separador"
            ),
        ));
        return None;
    }
    let field = |place: &Option<usize>| place.and_then(|at| record.get(at)).unwrap_or_default().trim().to_owned();
    Some(Row { line, fields: [0, 1, 2, 3].map(|n| field(&places[n])) })
}

/// Where each column is.
fn columns(line: u64, header: &StringRecord, mistakes: &mut Vec<Mistake>) -> [Option<usize>; 4] {
    let names: Vec<String> = header.iter().map(|name| name.trim().to_lowercase()).collect();
    let mut places = [None; 4];
    for column in Column::ALL {
        let [en, es] = column.names();
        let found: Vec<usize> =
            names.iter().enumerate().filter(|(_, n)| [en, es].contains(&n.as_str())).map(|(at, _)| at).collect();
        places[column as usize] = found.first().copied();
        if found.len() > 1 {
            mistakes.push(Mistake::new(
                line,
                format!("the header has the column `{en}` twice"),
                format!("el encabezado trae dos veces la columna `{es}`"),
            ));
        }
        if !found.is_empty() {
            continue;
        }
        // A name that is nearly this column's, and no other's.
        let free = names.iter().filter(|name| !Column::ALL.iter().any(|c| c.names().contains(&name.as_str())));
        let meant = free.filter(|name| !name.is_empty()).find(|name| nearest::nearest(name, [en, es]).is_some());
        let meant = meant.map(|name| sanitize::line(name, 40));
        match (meant, column) {
            (None, Column::Comment) => {}
            (None, _) => {
                let there = nearest::names(names.iter().map(|name| name.as_str()));
                let there = sanitize::line(&there, 200);
                mistakes.push(Mistake::new(
                    line,
                    format!("the header has no column `{en}` (there are {there})"),
                    format!("el encabezado no tiene la columna `{es}` (están {there})"),
                ));
            }
            (Some(name), _) => mistakes.push(Mistake::new(
                line,
                format!("the header has no column `{en}`: is it `{name}`?"),
                format!("el encabezado no tiene la columna `{es}`: ¿es `{name}`?"),
            )),
        }
    }
    places
}

/// Excel saves in Windows' letters where nobody asks it for UTF-8.
fn decode(bytes: &[u8]) -> String {
    if let Some((encoding, mark)) = encoding_rs::Encoding::for_bom(bytes) {
        return encoding.decode_without_bom_handling(&bytes[mark..]).0.into_owned();
    }
    match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => encoding_rs::WINDOWS_1252.decode_without_bom_handling(bytes).0.into_owned(),
    }
}

/// What separates the fields, the text behind a line that says so (`sep=;`, Excel's own), and how many lines that took.
fn separator(text: &str) -> (u8, &str, u64) {
    if let Some((first, rest)) = text.split_once('\n')
        && let Some([byte]) = first.trim_end().strip_prefix("sep=").map(str::as_bytes)
    {
        return (*byte, rest, 1);
    }
    let header = text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
    let most = [b',', b';', b'\t'].into_iter().rev().max_by_key(|s| header.bytes().filter(|b| b == s).count());
    (most.unwrap_or(b','), text, 0)
}
