//! Whether a request means what it would do. Logging in, coming back from the provider and logging out change something, and
//! browsers send requests that nobody asked for: to look ahead, for what a page embeds, on behalf of another site.
//!
//! | request | login | callback | logout |
//! |---|---|---|---|
//! | `HEAD`, `OPTIONS` | 200, nothing done | 200, nothing done | 200, nothing done |
//! | a prefetch, by any method | 400 | 400 | 400 |
//! | `GET` of a script | 400 | 400, with what is wrong if anything is | 400 |
//! | `GET` of an element, such as an image | 400 | 400 | asks first |
//! | `GET` for a frame | 400, a page | 400, a page | asks first |
//! | `GET` that opens a page | acts | acts | acts, or asks first if another site sent the browser |
//! | any other method, from this site | acts | 400 | acts |
//! | any other method, from another site | 403 | 400 | asks first |
//!
//! Each header is judged only if it is there: who sends none of them, a command or an older browser, is taken at its word.

use super::MatchedRequest;
use super::route::LoginStep;
use crate::http::{Reply, RequestHead, is_embedded, is_prefetch, is_script};
use crate::oidc::{confirm_logout, navigation_required, open_in_window};

impl MatchedRequest<'_> {
    /// The step that a request means, or the answer to one that means none; nothing has changed with it.
    pub(super) fn check_intent(&self, head: &RequestHead<'_>, step: LoginStep) -> Result<LoginStep, Reply> {
        // These two keep a session fresh and read; what may ask for that was decided with the credentials.
        if matches!(step, LoginStep::Userinfo | LoginStep::Refresh) {
            return Ok(step);
        }
        if matches!(head.method, "HEAD" | "OPTIONS") {
            return Err(Reply::new(200).with("cache-control", "private, no-store"));
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
        let is_untrusted_cross_site = if is_get { is_logout && is_unsolicited_logout(head) } else { self.is_untrusted_cross_site(head) };
        match (is_logout, is_untrusted_cross_site) {
            // The page that asks leads on by a GET.
            (true, true) if self.route.methods.answers("GET") => Err(confirm_logout(head, self.path())),
            (_, true) => Err(cross_site_request()),
            (false, false) if is_get && is_embedded(head) => Err(open_in_window(head)),
            _ => Ok(step),
        }
    }
}

/// Whether an element of a page asks, not knowing what for.
fn is_element(head: &RequestHead<'_>) -> bool {
    (head.header)("sec-fetch-mode").is_some_and(|mode| mode.eq_ignore_ascii_case("no-cors"))
}

/// Whether another site, a frame or an element sent the browser to the logout. Another origin of the same site may link to it, for that
/// needs a page of its own.
fn is_unsolicited_logout(head: &RequestHead<'_>) -> bool {
    let is_same_site_page = || (head.header)("sec-fetch-dest").is_some();
    is_embedded(head)
        || is_element(head)
        || (head.header)("sec-fetch-site").is_some_and(|site| match site.to_ascii_lowercase().as_str() {
            "same-origin" | "none" => false,
            "same-site" => !is_same_site_page(),
            _ => true,
        })
}

/// The refusal of what another site makes a browser do.
pub(super) fn cross_site_request() -> Reply {
    Reply::problem_with(
        403,
        "cross_site_request",
        "Another site sent this request with this site's session. Allow its origin in cors, with credentials.",
        &[("error", "access_denied")],
    )
}
