//! The second pass over what junit-report wrote: adds the attributes and properties that it has no words for.

use quick_xml::events::{BytesEnd, BytesStart, Event};
use quick_xml::{Reader, Writer};

use super::Counts;

/// What is added to the document, in its order.
#[derive(Default)]
pub(super) struct Extras {
    pub(super) counts: Counts,
    /// Of the whole run, in seconds.
    pub(super) time: String,
    pub(super) timestamp: String,
    pub(super) properties: Vec<(String, String)>,
    pub(super) cases: Vec<CaseExtra>,
}

pub(super) struct CaseExtra {
    pub(super) line: u32,
    pub(super) time: String,
    pub(super) timestamp: String,
    pub(super) properties: Vec<(String, String)>,
}

/// What a start tag becomes: attributes replaced or added, and properties as its first child.
struct Change<'a> {
    attributes: Vec<(&'static str, String)>,
    properties: &'a [(String, String)],
}

/// Reads the document and writes it again, indented, with the extras in it.
pub(super) fn extend(plain: &str, extras: &Extras) -> Result<Vec<u8>, quick_xml::Error> {
    let mut reader = Reader::from_str(plain);
    let mut writer = Writer::new_with_indent(Vec::new(), b' ', 2);
    let mut cases = extras.cases.iter();
    loop {
        match reader.read_event()? {
            Event::Eof => break,
            Event::Start(start) => {
                let change = change(&start, extras, &mut cases);
                writer.write_event(Event::Start(with(&start, &change)?))?;
                write_properties(&mut writer, change.properties)?;
            }
            Event::Empty(start) => {
                let change = change(&start, extras, &mut cases);
                let changed = with(&start, &change)?;
                if change.properties.is_empty() {
                    writer.write_event(Event::Empty(changed))?;
                } else {
                    let end: BytesEnd<'static> = changed.to_end().into_owned();
                    writer.write_event(Event::Start(changed))?;
                    write_properties(&mut writer, change.properties)?;
                    writer.write_event(Event::End(end))?;
                }
            }
            other => writer.write_event(other)?,
        }
    }
    let mut bytes = writer.into_inner();
    bytes.push(b'\n');
    Ok(bytes)
}

fn change<'a>(start: &BytesStart<'_>, extras: &'a Extras, cases: &mut std::slice::Iter<'a, CaseExtra>) -> Change<'a> {
    let none = Change { attributes: Vec::new(), properties: &[] };
    match start.name().as_ref() {
        b"testsuites" => Change {
            attributes: std::iter::once(("name", "imparcial".to_owned()))
                .chain(extras.counts.attributes())
                .chain([("time", extras.time.clone())])
                .collect(),
            properties: &[],
        },
        b"testsuite" => Change {
            attributes: extras
                .counts
                .attributes()
                .into_iter()
                .chain([("timestamp", extras.timestamp.clone()), ("time", extras.time.clone())])
                .collect(),
            properties: &extras.properties,
        },
        b"testcase" => cases.next().map_or(none, |case| Change {
            attributes: vec![
                ("line", case.line.to_string()),
                ("timestamp", case.timestamp.clone()),
                ("time", case.time.clone()),
            ],
            properties: &case.properties,
        }),
        _ => none,
    }
}

/// The tag with attributes replaced where it has them, added where it has not.
fn with(start: &BytesStart<'_>, change: &Change<'_>) -> Result<BytesStart<'static>, quick_xml::Error> {
    let name = String::from_utf8_lossy(start.name().as_ref()).into_owned();
    let mut changed = BytesStart::new(name);
    for attribute in start.attributes() {
        let attribute = attribute?;
        if !change.attributes.iter().any(|(name, _)| name.as_bytes() == attribute.key.as_ref()) {
            changed.push_attribute(attribute);
        }
    }
    for (name, value) in &change.attributes {
        changed.push_attribute((*name, value.as_str()));
    }
    Ok(changed)
}

fn write_properties(writer: &mut Writer<Vec<u8>>, properties: &[(String, String)]) -> Result<(), quick_xml::Error> {
    if properties.is_empty() {
        return Ok(());
    }
    writer.write_event(Event::Start(BytesStart::new("properties")))?;
    for (name, value) in properties {
        let property =
            BytesStart::new("property").with_attributes([("name", name.as_str()), ("value", value.as_str())]);
        writer.write_event(Event::Empty(property))?;
    }
    writer.write_event(Event::End(BytesEnd::new("properties")))?;
    Ok(())
}
