//! What a catalogue of boxes answered, and what there is of a box for virtual machines in a lab. Pure.

use serde::Deserialize;
use serde_json::{Value, json};
use url::Url;

use super::version::{self, Version};
use super::{Missing, Real, Wanted};
use crate::sanitize;

/// How a box is called that a hypervisor of a lab can have.
pub(super) const PROVIDER: &str = "libvirt";
/// `curl`'s word for more than it was to fetch.
const TOO_LARGE: i32 = 63;

/// An answer as `curl` has it.
#[derive(Clone, Debug, Default)]
pub(super) struct Answer {
    /// Of the program: 0 where anything answered.
    pub(super) status: i32,
    /// What it printed: the body, and in a line of its own the status of HTTP.
    pub(super) printed: Vec<u8>,
    pub(super) complaint: String,
}

#[derive(Deserialize)]
struct Metadata {
    versions: Vec<Versioned>,
}

#[derive(Deserialize)]
struct Versioned {
    version: String,
    #[serde(default)]
    status: Option<String>,
    #[serde(default)]
    providers: Vec<Provided>,
}

#[derive(Deserialize)]
struct Provided {
    name: String,
    #[serde(default)]
    url: String,
    #[serde(default)]
    architecture: Option<String>,
    #[serde(default)]
    checksum: Option<String>,
    #[serde(default)]
    checksum_type: Option<String>,
}

impl Provided {
    /// How well it fits a lab, which is of this architecture: a box of before there were several does not say.
    fn fits(&self) -> Option<u8> {
        let architecture = self.architecture.as_deref().unwrap_or_default();
        match architecture {
            _ if self.name != PROVIDER => None,
            "amd64" | "x86_64" => Some(0),
            "" | "unknown" => Some(1),
            _ => None,
        }
    }
}

/// The box that is to be taken, or why there is none.
pub(super) fn decide(wanted: &Wanted, asked: &str, answer: &Answer) -> Result<Real, Missing> {
    if answer.status == TOO_LARGE {
        return direct(wanted, asked);
    }
    if answer.status != 0 {
        return Err(Missing::Silent(sanitize::line(answer.complaint.trim(), 160)));
    }
    let at = answer.printed.iter().rposition(|byte| *byte == b'\n').unwrap_or(0);
    let (body, http) = answer.printed.split_at(at);
    match String::from_utf8_lossy(http).trim() {
        "200" => {}
        "404" | "410" => return Err(Missing::Unknown),
        other => return Err(Missing::Silent(format!("HTTP {}", sanitize::line(other, 20)))),
    }
    // A box is a tar, packed or not.
    if body.starts_with(&[0x1f, 0x8b]) || body.get(257..262) == Some(b"ustar") {
        return direct(wanted, asked);
    }
    match serde_json::from_slice::<Metadata>(body) {
        Ok(metadata) => choose(wanted, metadata.versions),
        Err(_) => Err(Missing::Silent("something that is no catalogue's answer".to_owned())),
    }
}

/// The address is a box's own: which version it has, and for what it is, is known when it is there.
fn direct(wanted: &Wanted, asked: &str) -> Result<Real, Missing> {
    if wanted.version.is_some() {
        return Err(Missing::NoVersion(wanted.version.clone().unwrap_or_default()));
    }
    Ok(Real { name: wanted.name.clone(), version: None, url: asked.to_owned(), checksum: None })
}

/// The newest version that was asked for and can be had.
fn choose(wanted: &Wanted, versions: Vec<Versioned>) -> Result<Real, Missing> {
    let released = |it: &Versioned| it.status.as_deref().is_none_or(|status| status == "active");
    let asked = wanted.version.as_deref().unwrap_or(">= 0");
    let read = versions.into_iter().filter(released).filter_map(|it| Some((Version::read(&it.version)?, it)));
    let mut met: Vec<_> = read.filter(|(version, _)| version::meets(version, asked)).collect();
    met.sort_by(|(one, _), (two, _)| two.cmp(one));
    if met.is_empty() {
        return Err(Missing::NoVersion(asked.to_owned()));
    }
    let best = met.iter().find_map(|(_, it)| {
        let fitting = it.providers.iter().filter(|provided| is_address(&provided.url));
        let best = fitting.filter_map(|provided| Some((provided.fits()?, provided))).min_by_key(|(rank, _)| *rank);
        best.map(|(_, provided)| (it, provided))
    });
    let Some((version, provided)) = best else {
        let all = met.iter().flat_map(|(_, it)| &it.providers);
        let mut others: Vec<String> = all.map(|provided| sanitize::line(&provided.name, 30)).collect();
        others.sort();
        others.dedup();
        return Err(Missing::OtherProviders(others));
    };
    Ok(Real {
        name: wanted.name.clone(),
        version: Some(version.version.clone()),
        url: provided.url.clone(),
        checksum: provided.checksum_type.clone().zip(provided.checksum.clone()),
    })
}

pub(super) fn is_address(text: &str) -> bool {
    Url::parse(text).is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
}

/// What Vagrant is told of a box: the one that was chosen, and nothing to choose from.
pub(super) fn metadata(real: &Real) -> Value {
    let mut provided = json!({"name": PROVIDER, "url": real.url});
    if let Some((kind, sum)) = &real.checksum {
        provided["checksum_type"] = json!(kind);
        provided["checksum"] = json!(sum);
    }
    json!({"name": real.name, "versions": [{"version": real.version, "providers": [provided]}]})
}

#[cfg(test)]
mod tests {
    use super::*;

    const CENTOS: &str = r#"{"name": "centos/7", "versions": [
        {"version": "1905.1", "status": "active", "providers": [
            {"name": "virtualbox", "url": "https://boxes.example/1905/virtualbox.box"},
            {"name": "libvirt", "url": "https://boxes.example/1905/libvirt.box", "checksum": "ab", "checksum_type": "sha256"}]},
        {"version": "2004.01", "status": "active", "providers": [
            {"name": "libvirt", "url": "https://boxes.example/arm.box", "architecture": "arm64"},
            {"name": "libvirt", "url": "https://boxes.example/any.box", "architecture": "unknown"},
            {"name": "libvirt", "url": "https://boxes.example/2004/libvirt.box", "architecture": "amd64"}]},
        {"version": "2104.01", "status": "active", "providers": [{"name": "virtualbox", "url": "https://boxes.example/v.box"}]},
        {"version": "2204.01", "status": "revoked", "providers": [{"name": "libvirt", "url": "https://boxes.example/r.box"}]}]}"#;

    fn wanted(version: Option<&str>) -> Wanted {
        Wanted { name: "centos/7".into(), urls: Vec::new(), version: version.map(str::to_owned) }
    }

    fn said(body: &str, http: &str, version: Option<&str>) -> Result<Real, Missing> {
        let answer = Answer { printed: format!("{body}\n{http}").into_bytes(), ..Answer::default() };
        decide(&wanted(version), "https://boxes.example/7", &answer)
    }

    #[test]
    fn the_newest_version_for_a_hypervisor_is_taken_and_what_was_asked_for_counts() {
        let newest = said(CENTOS, "200", None).unwrap();
        assert_eq!(
            (newest.version.as_deref(), newest.url.as_str()),
            (Some("2004.01"), "https://boxes.example/2004/libvirt.box")
        );
        let asked = said(CENTOS, "200", Some("~> 1905.0")).unwrap();
        assert_eq!(asked.version.as_deref(), Some("1905.1"));
        assert_eq!(asked.checksum, Some(("sha256".to_owned(), "ab".to_owned())));
        let told = metadata(&asked).to_string();
        assert!(told.contains(r#""name":"centos/7""#) && told.contains(r#""checksum":"ab""#), "{told}");
    }

    #[test]
    fn why_there_is_none_is_told_apart() {
        assert_eq!(said(CENTOS, "200", Some("2104.01")), Err(Missing::OtherProviders(vec!["virtualbox".into()])));
        assert_eq!(said(CENTOS, "200", Some("9")), Err(Missing::NoVersion("9".into())));
        assert_eq!(said("{}", "404", None), Err(Missing::Unknown));
        assert!(matches!(said("no", "503", None), Err(Missing::Silent(why)) if why == "HTTP 503"));
        assert!(matches!(said("<html>", "200", None), Err(Missing::Silent(_))), "a portal's page is no answer");
        let away = Answer { status: 6, complaint: "curl: (6) Could not resolve host".into(), ..Answer::default() };
        assert!(matches!(decide(&wanted(None), "x", &away), Err(Missing::Silent(why)) if why.contains("resolve")));
    }

    #[test]
    fn an_address_may_be_a_boxs_own() {
        let large = Answer { status: TOO_LARGE, ..Answer::default() };
        let real = decide(&wanted(None), "https://boxes.example/x.box", &large).unwrap();
        assert_eq!((real.version, real.url.as_str()), (None, "https://boxes.example/x.box"));
        let small = Answer { printed: b"\x1f\x8b\x08 packed\n200".to_vec(), ..Answer::default() };
        assert!(decide(&wanted(None), "https://boxes.example/x.box", &small).is_ok());
        assert_eq!(decide(&wanted(Some("1")), "https://x.example/x.box", &small), Err(Missing::NoVersion("1".into())));
        assert!(!is_address("file:///etc/passwd") && !is_address("./x.box") && is_address("http://x/y"));
    }
}
