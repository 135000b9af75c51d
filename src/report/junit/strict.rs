//! The flavour that schemas accept: Jenkins' `junit-10.xsd` and Surefire's, which between them allow neither `file`, `line`,
//! `timestamp` nor properties on a case, and have one `testsuite` as the root. A run is one suite, so one file.
//!
//! What is left says the same as [`super::FORMAT`]: verdicts, messages, bodies, attachments and output.

use junit_report::{TestCase, TestResult};
use quick_xml::events::{BytesCData, BytesDecl, BytesEnd, BytesStart, Event};
use quick_xml::{Error, Writer};

use super::{Case, Counts, cases, class_name};
use crate::grade::Grade;
use crate::record::RunRecord;
use crate::report::{Format, RenderError, words};
use crate::text::Lang;

pub static FORMAT: Format = Format {
    name: "junit-strict",
    file_name: None,
    summary: "JUnit XML that Jenkins' and Surefire's schemas accept: less in it",
    render,
};

fn render(record: &RunRecord, _grade: &Grade, lang: Lang) -> Result<Vec<u8>, RenderError> {
    let class = class_name(record);
    let cases = cases(record, &class, lang);
    document(&class, &words::seconds(record.elapsed_ms), &cases)
        .map_err(|error| RenderError { format: FORMAT.name, message: error.to_string() })
}

fn document(class: &str, time: &str, cases: &[Case]) -> Result<Vec<u8>, Error> {
    let mut writer = Writer::new_with_indent(Vec::new(), b' ', 2);
    writer.write_event(Event::Decl(BytesDecl::new("1.0", Some("utf-8"), None)))?;
    let mut suite = BytesStart::new("testsuite").with_attributes([("name", class)]);
    for (name, count) in Counts::of(cases).attributes() {
        suite.push_attribute((name, count.as_str()));
    }
    suite.push_attribute(("time", time));
    writer.write_event(Event::Start(suite))?;
    for Case { case, time, .. } in cases {
        write_case(&mut writer, case, class, time)?;
    }
    writer.write_event(Event::End(BytesEnd::new("testsuite")))?;
    let mut bytes = writer.into_inner();
    bytes.push(b'\n');
    Ok(bytes)
}

fn write_case(writer: &mut Writer<Vec<u8>>, case: &TestCase, class: &str, time: &str) -> Result<(), Error> {
    let attributes = [("name", case.name.as_str()), ("classname", class), ("time", time)];
    writer.write_event(Event::Start(BytesStart::new("testcase").with_attributes(attributes)))?;
    match &case.result {
        TestResult::Success => {}
        TestResult::Failure { type_, message, cause } => {
            write_text(writer, "failure", &[("message", message), ("type", type_)], cause.as_deref())?;
        }
        TestResult::Error { type_, message, cause } => {
            write_text(writer, "error", &[("message", message), ("type", type_)], cause.as_deref())?;
        }
        // Surefire knows no type of it.
        TestResult::SkippedWithCause { message, .. } => write_text(writer, "skipped", &[("message", message)], None)?,
        TestResult::Skipped => write_text(writer, "skipped", &[], None)?,
    }
    if let Some(out) = &case.system_out {
        write_text(writer, "system-out", &[], Some(out))?;
    }
    writer.write_event(Event::End(BytesEnd::new("testcase")))?;
    Ok(())
}

/// An element with text that is fit for a CDATA section already.
fn write_text(
    writer: &mut Writer<Vec<u8>>,
    name: &str,
    attributes: &[(&str, &String)],
    text: Option<&str>,
) -> Result<(), Error> {
    let start = BytesStart::new(name).with_attributes(attributes.iter().map(|(name, value)| (*name, value.as_str())));
    let Some(text) = text else { return Ok(writer.write_event(Event::Empty(start))?) };
    writer.write_event(Event::Start(start))?;
    writer.write_event(Event::CData(BytesCData::new(text)))?;
    writer.write_event(Event::End(BytesEnd::new(name)))?;
    Ok(())
}

#[cfg(test)]
mod tests;
