//! Intent: whether the user intends a state-changing login step. Login, callback and logout have side effects, and browsers also
//! send unintended requests: prefetches, embedded resources, and requests on behalf of other sites.
//!
//! | request | login | callback | logout |
//! |---|---|---|---|
//! | `HEAD`, `OPTIONS` | 200, no effect | 200, no effect | 200, no effect |
//! | prefetch, any method | 400 | 400 | 400 |
//! | `GET` by a script | 400 | 400, reporting errors of the callback | 400 |
//! | `GET` by an element, such as an image | 400 | 400 | asks for confirmation |
//! | `GET` in a frame | 400, a page | 400, a page | asks for confirmation |
//! | `GET` navigation passed on by a service worker | proceeds | proceeds | proceeds if initiated by this origin, else asks for confirmation |
//! | `GET` navigation | proceeds | proceeds | proceeds, or asks for confirmation if initiated by another site |
//! | other method, from this origin | proceeds | 400 | proceeds |
//! | other method, from another origin | 403 | 400 | asks for confirmation |
//!
//! A header is checked only if present: clients that send none of them, such as command-line tools and older browsers, are
//! trusted.

use super::MatchedRequest;
use super::route::LoginStep;
use crate::http::{PRIVATE, Reply, RequestHead, is_embedded, is_prefetch, is_script};
use crate::oidc::{confirm_logout, navigation_required, open_in_window};

impl MatchedRequest<'_> {
    /// Returns the login step that a request intends, or the response to a request that intends none and has no effect.
    pub(super) fn check_intent(&self, head: &RequestHead<'_>, step: LoginStep) -> Result<LoginStep, Reply> {
        // These only read or refresh, and their callers were checked with the credentials; or a signed token states the intent.
        if matches!(step, LoginStep::Userinfo | LoginStep::Claims | LoginStep::Refresh | LoginStep::BackchannelLogout) {
            return Ok(step);
        }
        if matches!(head.method, "HEAD" | "OPTIONS") {
            return Err(Reply::new(200).with("cache-control", PRIVATE));
        }
        let (is_get, is_callback, is_logout) =
            (head.method == "GET", step == LoginStep::Callback, step == LoginStep::Logout);
        let is_script = is_get && is_script(head) && !(is_logout && is_element(head));
        if is_prefetch(head) || !is_get && is_callback || is_script && !is_callback {
            return Err(navigation_required(is_callback));
        }
        if is_script {
            return Ok(LoginStep::Inspect);
        }
        let is_foreign =
            if is_get { is_logout && is_unsolicited_logout(head) } else { self.is_untrusted_cross_origin(head) };
        match (is_logout, is_foreign) {
            // The confirmation page links to the logout, which is a GET of this origin. A form would need a policy with every origin to which
            // the logout redirects, because browsers apply `form-action` to redirects, too: those of the provider are unknown.
            (true, true) if self.route.methods.answers("GET") => Err(confirm_logout(self.path())),
            (_, true) => Err(cross_site_request()),
            (false, false) if is_get && is_embedded(head) => Err(open_in_window()),
            _ => Ok(step),
        }
    }
}

/// Whether an element of a page, such as an image, sent the request.
fn is_element(head: &RequestHead<'_>) -> bool {
    (head.header)("sec-fetch-mode").is_some_and(|mode| mode.eq_ignore_ascii_case("no-cors"))
}

/// Whether another site, a frame or an element initiated the logout. Another origin of the same site may link to it with a
/// navigation of the top-level page. Passed on by a service worker, it could be one of a frame there, to which browsers send the cookies.
fn is_unsolicited_logout(head: &RequestHead<'_>) -> bool {
    let is_same_site_page =
        || (head.header)("sec-fetch-dest").is_some_and(|dest| dest.eq_ignore_ascii_case("document"));
    is_embedded(head)
        || is_element(head)
        || (head.header)("sec-fetch-site").is_some_and(|site| match site.to_ascii_lowercase().as_str() {
            "same-origin" | "none" => false,
            "same-site" => !is_same_site_page(),
            _ => true,
        })
}

/// The code of a request that another origin made the browser send.
pub(super) const CROSS_SITE_REQUEST: &str = "cross_site_request";

/// Refuses a request that another origin made the browser send.
pub(super) fn cross_site_request() -> Reply {
    Reply::problem_with(
        403,
        CROSS_SITE_REQUEST,
        "Another origin sent this request with this site's credentials. To allow it, add its origin to cors, with credentials.",
        &[("error", "access_denied")],
    )
}
