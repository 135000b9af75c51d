//! A walk over the pages of a role: `/`, then, only while no row is shown, where it leads, then the paths that were named.

use tokio::time::Instant;
use url::Url;

use super::links::{self, Origins};
use super::rows::{self, Shown};
use super::text::{self, PageText};
use super::trouble;
use crate::agent::client::Agent;
use crate::docker::Container;
use crate::probe::ProbeError;
use crate::probe::common::{doors, published};
use crate::probe::visit::{Got, Response, Visitor};
use crate::stack::Stack;
use crate::stack::table::Table;

/// Scripts of a page's own that are read for what they fetch.
const MAX_SCRIPTS: usize = 3;

/// How far a walk goes.
#[derive(Clone, Debug, Default)]
pub struct Reach {
    pub redirects: bool,
    /// Links of the first page that are followed.
    pub links: usize,
    pub paths: Vec<String>,
}

/// A page that was looked at.
#[derive(Clone, Debug)]
pub struct Page {
    pub url: Url,
    pub status: u16,
    pub response: Response,
    pub text: PageText,
    pub shown: Vec<Shown>,
    /// A script asks for it, not the visitor.
    pub fetched: bool,
}

impl Page {
    /// Answered as a page with rows does.
    pub fn has_rows(&self) -> bool {
        (200..300).contains(&self.status) && !self.shown.is_empty()
    }

    /// The database's error that it prints instead of rows.
    pub fn database_error(&self) -> Option<String> {
        if self.shown.is_empty() { trouble::database_error(self.text.readings()) } else { None }
    }
}

/// What a walk came to.
#[derive(Clone, Debug, Default)]
pub struct Walked {
    /// The first page that showed a row, else the first that answered.
    pub page: Option<Page>,
    /// Why there was no answer, of the last URL that gave none.
    pub nothing: Option<String>,
    /// Every URL and what came of it.
    pub looked: Vec<String>,
    /// The pages that answered well, whatever they showed.
    pub answered: Vec<Url>,
}

/// A visitor at a role's doors.
pub struct Walk<'a> {
    visitor: Visitor<'a>,
    address: &'a str,
    ports: Vec<u16>,
    roots: Vec<Url>,
    /// What the caller names besides the scenario: `--page`.
    named: &'a [String],
    until: Instant,
}

impl<'a> Walk<'a> {
    /// `agent` stands where published ports are; none of the role's may be: then there are no roots.
    pub fn new(stack: &'a Stack, role: &str, containers: &[Container], agent: &'a Agent, until: Instant) -> Self {
        let roots = doors(stack, role, containers)
            .iter()
            .filter_map(|door| Url::parse(&format!("http://{}:{}/", door.address(stack), door.host)).ok())
            .collect();
        let ports = published(containers).iter().map(|p| p.host).collect();
        Self {
            visitor: Visitor::new(agent),
            address: stack.home.address.as_str(),
            ports,
            roots,
            named: &stack.submission.pages,
            until,
        }
    }

    pub fn has_doors(&self) -> bool {
        !self.roots.is_empty()
    }

    /// Walks until a row of these tables is shown.
    pub async fn walk(&mut self, tables: &[Table], reach: &Reach) -> Result<Walked, ProbeError> {
        let mut walked = Walked::default();
        for root in self.roots.clone() {
            let Some(page) = self.visit(&root, tables, reach.redirects, false, &mut walked).await? else { continue };
            if page.has_rows() {
                walked.page = Some(page);
                return Ok(walked);
            }
            let mut next: Vec<(Url, bool)> =
                self.leads(&page).await?.into_iter().take(reach.links).map(|l| (l.url, l.fetched)).collect();
            next.extend(reach.paths.iter().chain(self.named).filter_map(|path| Some((root.join(path).ok()?, false))));
            walked.page.get_or_insert(page);
            for (url, fetched) in next {
                let found = self.visit(&url, tables, reach.redirects, fetched, &mut walked).await?;
                if let Some(page) = found.filter(Page::has_rows) {
                    walked.page = Some(page);
                    return Ok(walked);
                }
            }
        }
        Ok(walked)
    }

    /// Looks at one page; what it came to is added to the walk.
    async fn visit(
        &mut self,
        url: &Url,
        tables: &[Table],
        redirects: bool,
        fetched: bool,
        walked: &mut Walked,
    ) -> Result<Option<Page>, ProbeError> {
        match self.get(url, redirects).await? {
            Got::Response(response) => {
                let text = PageText::read(&response.body, response.content_type());
                let shown = rows::shown(&text, tables);
                walked.looked.push(format!("{} {} rows: {}", response.status, response.url, shown.len()));
                let (url, status) = (response.url.clone(), response.status);
                if (200..300).contains(&status) {
                    walked.answered.push(url.clone());
                }
                Ok(Some(Page { url, status, response, text, shown, fetched }))
            }
            Got::Nothing { message, .. } => {
                walked.looked.push(format!("--- {url} {message}"));
                walked.nothing = Some(format!("{url}: {message}"));
                Ok(None)
            }
        }
    }

    /// A plain GET.
    pub async fn get(&mut self, url: &Url, redirects: bool) -> Result<Got, ProbeError> {
        let origins = Origins::beside(url, self.address, &self.ports);
        let own = url.origin();
        let reach = |to: &Url| {
            if !redirects {
                None
            } else if to.origin() == own {
                Some(to.clone())
            } else {
                origins.reach(to)
            }
        };
        self.visitor.get(url, reach, self.until).await
    }

    /// Goes on looking, with the same cookies, until another moment.
    pub fn until(&mut self, until: Instant) {
        self.until = until;
    }

    /// Where a page leads: its links, and what its scripts fetch, those in files of their own included.
    async fn leads(&mut self, page: &Page) -> Result<Vec<links::Link>, ProbeError> {
        let body = text::decode(&page.response.body, page.response.content_type());
        let ports = self.ports.clone();
        let origins = Origins::beside(&page.url, self.address, &ports);
        let mut found = links::links(&body, &page.url, &origins);
        for script in links::scripts(&body, &page.url, &origins).into_iter().take(MAX_SCRIPTS) {
            if let Got::Response(response) = self.get(&script, true).await? {
                let code = text::decode(&response.body, response.content_type());
                // What a script asks for is meant from the page's own place.
                let inline = format!("<script>{code}</script>");
                for link in links::links(&inline, &page.url, &origins) {
                    if !found.iter().any(|known| known.url == link.url) {
                        found.push(link);
                    }
                }
            }
        }
        Ok(found)
    }
}
