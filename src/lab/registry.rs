//! The registry that gives labs their stand-ins under the original names, as a mirror of docker.io.
//!
//! A mirror knows no patterns: every tag that a plan asks for has to be there under its own name. An image is uploaded
//! once, as `imparcial/NAME:current`; each tag of it is then one small manifest, made in milliseconds.

use std::time::Duration;

use bollard::query_parameters::InspectContainerOptions;
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode};
use serde::{Deserialize, Serialize};
use url::Url;

use super::LabError;
use super::catalogue::{Catalogue, Reference};
use crate::docker::Engine;
use crate::stack::StandIn;

/// The container's name, and its host name on the labs' network.
pub const NAME: &str = "imparcial-registry";
/// What labs are given as their engine's mirror.
pub const MIRROR: &str = "http://imparcial-registry:5000";
/// The port inside its container that can be written to: it is published on this host's loopback. Labs read at another.
pub(crate) const PORT: &str = "5001/tcp";
/// The tag that stands for an image itself, whatever it is served as.
const CURRENT: &str = "current";

const MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
const CONFIG: &str = "application/vnd.docker.container.image.v1+json";

/// The registry, as it is reached from this host.
#[derive(Clone, Debug)]
pub struct Registry {
    base: Url,
    client: Client,
}

/// An image as a registry describes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Manifest {
    pub(crate) schema_version: u8,
    pub(crate) media_type: String,
    pub(crate) config: Blob,
    pub(crate) layers: Vec<Blob>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Blob {
    pub(crate) media_type: String,
    pub(crate) size: u64,
    pub(crate) digest: String,
}

impl Manifest {
    pub(crate) fn of(config: (u64, String), layers: Vec<Blob>) -> Self {
        let config = Blob { media_type: CONFIG.into(), size: config.0, digest: config.1 };
        Self { schema_version: 2, media_type: MANIFEST.into(), config, layers }
    }
}

/// Puts the stand-ins of image references into the registry under their own names; those that are there already cost a
/// look each. Gives what will serve; a reference without a stand-in is left out.
///
/// # Errors
/// Where set-up has not been run, or the registry does not answer.
pub async fn ensure_in_registry(engine: &Engine, references: &[String]) -> Result<Vec<StandIn>, LabError> {
    let catalogue = Catalogue::shipped();
    let wanted: Vec<&String> = references.iter().filter(|r| catalogue.entry_for(r).is_some()).collect();
    if wanted.is_empty() {
        return Ok(Vec::new());
    }
    let registry = Registry::of(engine).await?;
    let mut served = Vec::new();
    for reference in wanted {
        let Some(stand_in) = catalogue.stand_in_for(reference) else { continue };
        registry.serve(&stand_in).await?;
        served.push(stand_in);
    }
    Ok(served)
}

impl Registry {
    /// The one of this installation.
    ///
    /// # Errors
    /// Where there is none, or it is not running.
    pub async fn of(engine: &Engine) -> Result<Self, LabError> {
        let missing = || LabError::NotSetUp { what: "the registry of stand-ins".into() };
        let found = match engine.docker().inspect_container(NAME, None::<InspectContainerOptions>).await {
            Ok(found) => found,
            Err(error) => {
                let error = engine.explain("look at the registry of stand-ins", &error);
                return Err(if error.is_missing() { missing() } else { error.into() });
            }
        };
        let ports = found.network_settings.and_then(|n| n.ports).unwrap_or_default();
        let bound = ports.get(PORT).cloned().flatten().unwrap_or_default();
        let port = bound.into_iter().find_map(|b| b.host_port).filter(|p| !p.is_empty()).ok_or_else(missing)?;
        Self::at(&format!("http://127.0.0.1:{port}/"))
    }

    pub(crate) fn at(base: &str) -> Result<Self, LabError> {
        let base = Url::parse(base).map_err(|e| failed("read the registry's address", base, &e))?;
        // It is on this host: a proxy of the environment knows nothing of it.
        let client = Client::builder().no_proxy().connect_timeout(Duration::from_secs(3)).build();
        Ok(Self { base, client: client.map_err(|e| failed("make an HTTP client", "", &e))? })
    }

    /// Its address, for people.
    pub fn address(&self) -> &str {
        self.base.as_str()
    }

    /// Whether it answers.
    pub async fn answers(&self) -> bool {
        self.send("look", self.request(Method::GET, "v2/")).await.is_ok_and(|r| r.status().is_success())
    }

    /// The id of the image that it has of a stand-in, if any.
    pub async fn current(&self, name: &str) -> Result<Option<String>, LabError> {
        let manifest = self.manifest(&format!("imparcial/{name}"), CURRENT).await?;
        Ok(manifest.map(|(_, manifest)| manifest.config.digest))
    }

    /// Sees to it that the reference that a stand-in serves leads to what the registry has of it now.
    async fn serve(&self, stand_in: &StandIn) -> Result<(), LabError> {
        let Some(reference) = Reference::parse(&stand_in.reference) else { return Ok(()) };
        let from = format!("imparcial/{}", stand_in.name);
        let (to, tag) = (reference.path(), reference.tag.as_str());
        let Some((text, manifest)) = self.manifest(&from, CURRENT).await? else {
            return Err(LabError::NotSetUp { what: format!("the stand-in {}", stand_in.name) });
        };
        if self.manifest(&to, tag).await?.is_some_and(|(_, there)| there == manifest) {
            return Ok(());
        }
        for blob in manifest.layers.iter().chain([&manifest.config]) {
            let path = format!("v2/{to}/blobs/uploads/?mount={}&from={from}", blob.digest);
            let tried = format!("share {} with {to}", blob.digest);
            self.expect(StatusCode::CREATED, &tried, self.request(Method::POST, &path)).await?;
        }
        self.put_manifest(&to, tag, text).await
    }

    async fn manifest(&self, repository: &str, tag: &str) -> Result<Option<(String, Manifest)>, LabError> {
        let tried = format!("look for {repository}:{tag}");
        let path = format!("v2/{repository}/manifests/{tag}");
        let answer = self.send(&tried, self.request(Method::GET, &path).header("Accept", MANIFEST)).await?;
        if answer.status() == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        let answer = good(&tried, answer).await?;
        let text = answer.text().await.map_err(|e| failed(&tried, "no whole answer", &e))?;
        let manifest = serde_json::from_str(&text).map_err(|e| failed(&tried, "its manifest", &e))?;
        Ok(Some((text, manifest)))
    }

    /// Makes `imparcial/NAME:current` of blobs that are there.
    pub(crate) async fn put_current(&self, name: &str, manifest: &Manifest) -> Result<(), LabError> {
        let text = serde_json::to_string(manifest).map_err(|e| failed("write a manifest", name, &e))?;
        self.put_manifest(&format!("imparcial/{name}"), CURRENT, text).await
    }

    async fn put_manifest(&self, repository: &str, tag: &str, text: String) -> Result<(), LabError> {
        let path = format!("v2/{repository}/manifests/{tag}");
        let request = self.request(Method::PUT, &path).header("Content-Type", MANIFEST).body(text);
        self.expect(StatusCode::CREATED, &format!("name {repository}:{tag}"), request).await.map(drop)
    }

    pub(crate) async fn has_blob(&self, repository: &str, digest: &str) -> Result<bool, LabError> {
        let path = format!("v2/{repository}/blobs/{digest}");
        let answer = self.send(&format!("look for {digest}"), self.request(Method::HEAD, &path)).await?;
        Ok(answer.status().is_success())
    }

    /// Begins an upload, or continues it: gives the address that the next part goes to.
    pub(crate) async fn begin_upload(&self, repository: &str) -> Result<Url, LabError> {
        let request = self.request(Method::POST, &format!("v2/{repository}/blobs/uploads/"));
        let answer = self.expect(StatusCode::ACCEPTED, "begin an upload", request).await?;
        self.location(&answer)
    }

    pub(crate) async fn send_part(&self, to: Url, from: u64, bytes: Vec<u8>) -> Result<Url, LabError> {
        let range = format!("{from}-{}", (from + bytes.len() as u64).saturating_sub(1));
        let request = self.client.patch(to).header("Content-Range", range);
        let request = request.header("Content-Type", "application/octet-stream").body(bytes);
        let answer = self.expect(StatusCode::ACCEPTED, "upload a part of a layer", request).await?;
        self.location(&answer)
    }

    pub(crate) async fn end_upload(&self, mut to: Url, digest: &str) -> Result<(), LabError> {
        to.query_pairs_mut().append_pair("digest", digest);
        let request = self.client.put(to).header("Content-Length", "0");
        self.expect(StatusCode::CREATED, &format!("end the upload of {digest}"), request).await.map(drop)
    }

    fn location(&self, answer: &Response) -> Result<Url, LabError> {
        let header = answer.headers().get("Location").and_then(|v| v.to_str().ok()).unwrap_or_default();
        self.base.join(header).map_err(|e| failed("follow an upload", header, &e))
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        // The paths are made of names that were checked: joining cannot fail in a way that a request would not show.
        let url = self.base.join(path).unwrap_or_else(|_| self.base.clone());
        self.client.request(method, url)
    }

    async fn expect(&self, status: StatusCode, tried: &str, request: RequestBuilder) -> Result<Response, LabError> {
        let answer = self.send(tried, request).await?;
        if answer.status() == status { Ok(answer) } else { Err(said(tried, answer).await) }
    }

    async fn send(&self, tried: &str, request: RequestBuilder) -> Result<Response, LabError> {
        request.send().await.map_err(|e| failed(tried, "no answer", &e))
    }
}

async fn good(tried: &str, answer: Response) -> Result<Response, LabError> {
    if answer.status().is_success() { Ok(answer) } else { Err(said(tried, answer).await) }
}

async fn said(tried: &str, answer: Response) -> LabError {
    let status = answer.status();
    let text = answer.text().await.unwrap_or_default();
    LabError::Registry { tried: tried.to_owned(), seen: format!("{status} {}", text.trim()) }
}

fn failed(tried: &str, what: &str, error: &dyn std::error::Error) -> LabError {
    let mut seen = if what.is_empty() { error.to_string() } else { format!("{what}: {error}") };
    let mut cause = error.source();
    while let Some(inner) = cause {
        seen = format!("{seen}: {inner}");
        cause = inner.source();
    }
    LabError::Registry { tried: tried.to_owned(), seen }
}
