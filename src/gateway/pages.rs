//! Pages for browser navigations in place of the gateway's own problem documents.

use alloc::string::String;

use super::Gateway;
use super::route::{Integration, Route};
use crate::http::page::{Page, Pages};
use crate::http::page_texts::label;
use crate::http::{Rendering, Reply, RequestHead, wants_page};
use crate::json::Document;
use crate::limits;
use crate::oidc::{ReturnTo, login_link, login_url};
use crate::text::concat;

impl Gateway {
    /// Returns a reply as its request gets it: a page for browser navigations. This is the last step, so that status and headers
    /// are those of the reply.
    pub(super) fn rendered(&self, reply: Reply, head: &RequestHead<'_>) -> Reply {
        rendered(reply, head, &self.pages, Some(self), &[])
    }

    /// Returns the address of a link on the page of a reply.
    fn link(&self, link: u16, document: &Document, head: &RequestHead<'_>) -> Option<String> {
        let member = |name: &str| document.root().get(name).and_then(crate::json::Value::as_str).map(String::from);
        let parts = head.url_parts();
        let here = return_to(head);
        let route = self.route_at(parts.path, "GET");
        let is_login_flow = route.is_some_and(|route| route.integration.is_login_flow());
        match link {
            label::CONTINUE => member("continue"),
            label::LOGOUT => member("logout").or_else(|| self.logout_path()),
            label::HOME => (parts.path != "/").then(|| "/".into()),
            label::BACK => {
                self.previous_page(head).filter(|path| here.as_ref().is_none_or(|here| here.as_str() != path))
            }
            label::RETRY => {
                here.filter(|_| matches!(head.method, "GET" | "HEAD") && !is_login_flow).map(ReturnTo::into_text)
            }
            label::LOGIN | label::NEW_TAB | label::SWITCH => {
                // The errors of a login name theirs, and so does a login that is not sufficient.
                if is_login_flow
                    || matches!(
                        member("code").as_deref(),
                        Some("return_to_too_long" | "insufficient_user_authentication")
                    )
                {
                    return member("login");
                }
                let path = self.login()?.login_path.as_deref().filter(|_| route.is_none_or(Route::accepts_session))?;
                if link == label::NEW_TAB {
                    return Some(path.into());
                }
                if link == label::LOGIN {
                    return Some(here.map_or_else(|| path.into(), |here| login_link(path, here.as_str())));
                }
                let login = login_url(path, &here.filter(ReturnTo::is_linkable).unwrap_or_default());
                // OpenID Connect Core §3.1.2.1: the provider asks for the account even if it has a session.
                Some(concat(&[&login, "&prompt=login"]))
            }
            _ => None,
        }
    }

    /// Returns the path of the logout that browsers can navigate to.
    fn logout_path(&self) -> Option<String> {
        let is_logout = |route: &&Route| route.integration == Integration::Logout && route.methods.answers("GET");
        self.routes.iter().filter(is_logout).find_map(|route| route.pattern.path())
    }

    /// Returns the page of this site that the request comes from.
    fn previous_page(&self, head: &RequestHead<'_>) -> Option<String> {
        let referrer = (head.header)("referer")?;
        let scheme = head.url.split("://").next().unwrap_or_default();
        let origin = concat(&[scheme, "://", head.url_parts().authority]);
        let page = ReturnTo::parse(referrer.strip_prefix(&origin)?)?;
        let path = page.as_str().split('?').next().unwrap_or_default();
        let is_login_flow = self.route_at(path, "GET").is_some_and(|route| route.integration.is_login_flow());
        (!is_login_flow).then(|| page.into_text())
    }
}

/// Returns the request's own path and query, as a link; `None` if no login can return there.
fn return_to(head: &RequestHead<'_>) -> Option<ReturnTo> {
    let parts = head.url_parts();
    let path = if parts.path.is_empty() { "/" } else { parts.path };
    let (mark, query) = parts.query.map_or(("", ""), |query| ("?", query));
    ReturnTo::of_request(&concat(&[path, mark, query]))
}

/// Returns the response to every request while the configuration is invalid. `problems` are shown on the page: pass them only where
/// nobody but the developer can see it.
#[must_use]
pub fn config_invalid(head: &RequestHead<'_>, problems: &[String]) -> Reply {
    let detail = "The gateway's configuration is invalid. Its log lists every problem.";
    rendered(Reply::problem(503, "config_invalid", detail), head, &Pages::default(), None, problems)
}

fn rendered(
    mut reply: Reply,
    head: &RequestHead<'_>,
    pages: &Pages,
    gateway: Option<&Gateway>,
    problems: &[String],
) -> Reply {
    let is_page = match reply.rendering {
        Rendering::AsIs => false,
        Rendering::PageForNavigations => wants_page(head),
        Rendering::Page => true,
    };
    if !is_page {
        return reply;
    }
    let body = core::mem::take(&mut reply.body);
    let Ok(document) = Document::parse(body.into_bytes(), limits::MAX_CLAIMS_DEPTH) else { return reply };
    let member = |name: &str| document.root().get(name).and_then(crate::json::Value::as_str);
    let code = member("code").unwrap_or_default();
    let has_login = gateway.is_some_and(|gateway| gateway.link(label::LOGIN, &document, head).is_some());
    let text = Pages::text_for(&reply, code, head, has_login);
    let word = match code {
        "insufficient_scope" | "insufficient_permissions" | "permissions_claim_missing" => Some(label::PERMISSION),
        "insufficient_role" | "roles_claim_missing" => Some(label::ROLE),
        "organization_not_allowed" => Some(label::ORGANIZATION),
        "claim_not_allowed" => Some(label::CLAIM),
        _ => None,
    };
    let link = |link| match gateway {
        Some(gateway) => gateway.link(link, &document, head),
        None => return_to(head).filter(|_| link == label::RETRY).map(ReturnTo::into_text),
    };
    let page = Page { text, code, needed: word.zip(member("required")), problems, link: &link };
    pages.render(reply, &page, head)
}
