//! A document read back, for tests of both flavours.

use std::collections::BTreeMap;

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

/// An element with what matters of it.
#[derive(Debug, Default)]
pub(super) struct Element {
    pub(super) name: String,
    pub(super) attributes: BTreeMap<String, String>,
    pub(super) children: Vec<Element>,
    pub(super) text: String,
}

impl Element {
    pub(super) fn get(&self, attribute: &str) -> &str {
        self.attributes.get(attribute).map_or("", String::as_str)
    }

    pub(super) fn child(&self, name: &str) -> Option<&Element> {
        self.children.iter().find(|c| c.name == name)
    }

    pub(super) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Element> {
        self.children.iter().filter(move |c| c.name == name)
    }
}

fn open(start: &BytesStart<'_>) -> Element {
    let attributes = start.attributes().map(|a| {
        let a = a.expect("an attribute that is well-formed");
        let value =
            a.normalized_value(quick_xml::XmlVersion::Implicit1_0).expect("entities that are known").into_owned();
        (String::from_utf8(a.key.as_ref().to_vec()).unwrap(), value)
    });
    Element {
        name: String::from_utf8(start.name().as_ref().to_vec()).unwrap(),
        attributes: attributes.collect(),
        ..Element::default()
    }
}

/// Reads a document, refusing what is not well-formed.
pub(super) fn parse(xml: &str) -> Element {
    let mut reader = Reader::from_str(xml);
    let mut stack = vec![Element::default()];
    loop {
        match reader.read_event().expect("well-formed") {
            Event::Start(start) => stack.push(open(&start)),
            Event::Empty(start) => stack.last_mut().unwrap().children.push(open(&start)),
            Event::End(_) => {
                let done = stack.pop().unwrap();
                stack.last_mut().unwrap().children.push(done);
            }
            Event::Text(text) => stack.last_mut().unwrap().text.push_str(&text.decode().unwrap()),
            Event::CData(data) => stack.last_mut().unwrap().text.push_str(&data.decode().unwrap()),
            Event::GeneralRef(entity) => panic!("an entity in text, where only CDATA is written: {entity:?}"),
            Event::Eof => break,
            Event::Decl(_) => {}
            other => panic!("not expected: {other:?}"),
        }
    }
    assert_eq!(stack.len(), 1, "every element is closed");
    stack.pop().unwrap().children.pop().expect("a root")
}
