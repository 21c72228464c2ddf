//! The texts of pages, by language: one row for each kind of page, one label for each link.

use alloc::string::String;
use alloc::vec::Vec;

use crate::text::concat;

/// The languages of the texts below.
pub(crate) const LANGUAGES: [&str; 2] = ["en", "de"];

/// A kind of page.
pub(crate) struct Text {
    /// The name, with which the configuration replaces its texts.
    name: &'static str,
    /// The codes and statuses that get this page, separated by spaces.
    for_codes: &'static str,
    /// The links, as a sum of those of [`label`].
    pub(super) links: u16,
    /// Title and message in each language.
    texts: [[&'static str; 2]; 2],
}

/// A link, in the order of the page; the first one is a button.
pub(crate) mod label {
    pub(crate) const CONTINUE: u16 = 1;
    pub(crate) const LOGIN: u16 = 1 << 1;
    pub(crate) const NEW_TAB: u16 = 1 << 2;
    pub(crate) const RETRY: u16 = 1 << 3;
    pub(crate) const SWITCH: u16 = 1 << 4;
    pub(crate) const LOGOUT: u16 = 1 << 5;
    pub(crate) const BACK: u16 = 1 << 6;
    pub(crate) const HOME: u16 = 1 << 7;
    /// The number of links. Other words follow them.
    pub(crate) const LINKS: usize = 8;
    /// Positions of the words that name a missing right.
    pub(crate) const ROLE: usize = 8;
    pub(crate) const PERMISSION: usize = 9;
    pub(crate) const ORGANIZATION: usize = 10;
    pub(crate) const CLAIM: usize = 11;
    pub(crate) const CODE: usize = 12;
    pub(crate) const REQUEST: usize = 13;
}

use label::{BACK, CONTINUE, HOME, LOGIN, LOGOUT, NEW_TAB, RETRY, SWITCH};

static LABELS: [(&str, [&str; 2]); 14] = [
    ("link.continue", ["Continue", "Weiter"]),
    ("link.login", ["Log in", "Anmelden"]),
    ("link.new_tab", ["Log in in a new tab", "In neuem Tab anmelden"]),
    ("link.retry", ["Try again", "Noch einmal versuchen"]),
    ("link.switch", ["Log in as another user", "Mit anderem Konto anmelden"]),
    ("link.logout", ["Log out", "Abmelden"]),
    ("link.back", ["Back", "Zurück"]),
    ("link.home", ["Start page", "Startseite"]),
    ("need.role", ["Role needed", "Nötige Rolle"]),
    ("need.permission", ["Permission needed", "Nötige Berechtigung"]),
    ("need.organization", ["Organization needed", "Nötige Organisation"]),
    ("need.claim", ["Account detail needed", "Nötige Angabe im Konto"]),
    ("code", ["Code", "Code"]),
    ("request", ["request", "Anfrage"]),
];

/// The page of a form that was sent without a login.
const FORM_NOT_SENT: usize = 0;

/// The page of an address that only needs a token.
const TOKEN_NEEDED: usize = 1;

static TEXTS: [Text; 23] = [
    Text {
        name: "form_not_sent",
        for_codes: "",
        links: NEW_TAB,
        texts: [
            [
                "Your form was not sent",
                "You are not logged in. Log in in a new tab, come back here, and go back to the form with your browser's Back \
                 button: it usually still has what you entered. Then send it.",
            ],
            [
                "Ihr Formular wurde nicht gesendet",
                "Sie sind nicht angemeldet. Melden Sie sich in einem neuen Tab an, kommen Sie hierher zurück und gehen Sie mit \
                 „Zurück“ im Browser zum Formular: Ihre Eingaben sind meist noch da. Senden Sie es dann.",
            ],
        ],
    },
    Text {
        name: "token_needed",
        for_codes: "",
        links: BACK | HOME,
        texts: [
            ["This address is not for browsers", "It needs an access token, which apps send."],
            ["Diese Adresse ist nicht für Browser", "Sie braucht ein Zugriffstoken, wie es Apps senden."],
        ],
    },
    Text {
        name: "bad_request",
        for_codes: "400",
        links: BACK | HOME,
        texts: [
            ["This address does not work", "It is incomplete or not valid. Check the link that you followed."],
            [
                "Diese Adresse funktioniert nicht",
                "Sie ist unvollständig oder ungültig. Prüfen Sie den Link, dem Sie gefolgt sind.",
            ],
        ],
    },
    Text {
        name: "login_required",
        for_codes: "401",
        links: LOGIN | HOME,
        texts: [
            ["Please log in", "You need to be logged in to see this page."],
            ["Bitte melden Sie sich an", "Für diese Seite müssen Sie angemeldet sein."],
        ],
    },
    Text {
        name: "forbidden",
        for_codes: "403",
        links: SWITCH | LOGOUT | BACK | HOME,
        texts: [
            ["You cannot see this page", "You are logged in, but your account lacks a right that this page needs."],
            [
                "Sie können diese Seite nicht sehen",
                "Sie sind angemeldet, aber Ihrem Konto fehlt ein Recht, das diese Seite braucht.",
            ],
        ],
    },
    Text {
        name: "login_expired",
        for_codes: "token_expired",
        links: LOGIN | LOGOUT | HOME,
        texts: [
            [
                "You cannot see this page",
                "You are logged in, but the access of your login has already expired. Please log in again.",
            ],
            [
                "Sie können diese Seite nicht sehen",
                "Sie sind angemeldet, aber der Zugang Ihrer Anmeldung ist schon abgelaufen. Bitte melden Sie sich neu an.",
            ],
        ],
    },
    Text {
        name: "cross_site",
        for_codes: "cross_site_request",
        links: HOME,
        texts: [
            [
                "Another site sent this request",
                "To protect your account, nothing was done. Open this site directly and try there.",
            ],
            [
                "Eine andere Website hat diese Anfrage gesendet",
                "Zum Schutz Ihres Kontos wurde nichts ausgeführt. Öffnen Sie diese Website direkt und versuchen Sie es dort.",
            ],
        ],
    },
    Text {
        name: "own_tab",
        for_codes: "navigation_required",
        links: HOME,
        texts: [
            ["Open this page in its own tab", "You cannot log in from here. Please open this site in its own tab."],
            [
                "Öffnen Sie diese Seite in einem eigenen Tab",
                "Hier können Sie sich nicht anmelden. Bitte öffnen Sie diese Website in einem eigenen Tab.",
            ],
        ],
    },
    Text {
        name: "not_found",
        for_codes: "404 421",
        links: BACK | HOME,
        texts: [
            ["Page not found", "There is nothing at this address. Check it for typing mistakes."],
            ["Seite nicht gefunden", "Unter dieser Adresse gibt es nichts. Prüfen Sie sie auf Tippfehler."],
        ],
    },
    Text {
        name: "method_not_allowed",
        for_codes: "405",
        links: BACK | HOME,
        texts: [
            ["This does not work here", "This address does not accept what your browser sent."],
            ["Das geht hier nicht", "Diese Adresse nimmt nicht an, was Ihr Browser gesendet hat."],
        ],
    },
    Text {
        name: "unavailable",
        for_codes: "500 502 503 504",
        links: RETRY,
        texts: [
            [
                "This page is not available right now",
                "A server behind this site does not respond. Please try again in a moment.",
            ],
            [
                "Diese Seite ist gerade nicht verfügbar",
                "Ein Server hinter dieser Website antwortet nicht. Bitte versuchen Sie es gleich noch einmal.",
            ],
        ],
    },
    Text {
        name: "not_configured",
        for_codes: "config_invalid",
        links: RETRY,
        texts: [
            ["This site is not ready yet", "Its configuration has errors. The operator finds them in the log."],
            [
                "Diese Website ist noch nicht bereit",
                "Ihre Konfiguration hat Fehler. Der Betreiber findet sie im Protokoll.",
            ],
        ],
    },
    Text {
        name: "login_failed",
        for_codes: "callback_invalid callback_issuer_mismatch id_token_invalid userinfo_subject_mismatch \
                    userinfo_issuer_mismatch userinfo_token_bound userinfo_invalid token_exchange_failed \
                    authorization_request_failed",
        links: LOGIN | HOME,
        texts: [
            [
                "Login failed",
                "Your login could not be completed, so you are not logged in. If this keeps happening, please contact the \
                 operator of this site.",
            ],
            [
                "Anmeldung fehlgeschlagen",
                "Die Anmeldung konnte nicht abgeschlossen werden, Sie sind nicht angemeldet. Wenn das öfter geschieht, wenden \
                 Sie sich bitte an den Betreiber dieser Website.",
            ],
        ],
    },
    Text {
        name: "login_not_pending",
        for_codes: "state_invalid",
        links: LOGIN | HOME,
        texts: [
            [
                "Login failed",
                "This login took too long, was already completed, or was not started in this browser. You can start a new one.",
            ],
            [
                "Anmeldung fehlgeschlagen",
                "Diese Anmeldung hat zu lange gedauert, ist schon abgeschlossen oder wurde nicht in diesem Browser begonnen. \
                 Sie können eine neue beginnen.",
            ],
        ],
    },
    Text {
        name: "address_too_long",
        for_codes: "return_to_too_long",
        links: LOGIN | HOME,
        texts: [
            [
                "This address is too long",
                "You need to log in, but the address of this page is too long to return to afterwards. Please log in first, then open \
                 the page again.",
            ],
            [
                "Diese Adresse ist zu lang",
                "Sie müssen sich anmelden, aber die Adresse dieser Seite ist zu lang, um danach zu ihr zurückzukehren. Bitte melden Sie \
                 sich zuerst an und öffnen Sie die Seite dann noch einmal.",
            ],
        ],
    },
    Text {
        name: "login_denied",
        for_codes: "login_denied",
        links: LOGIN | HOME,
        texts: [
            ["Login failed", "The login service did not log you in. You can try once more."],
            [
                "Anmeldung fehlgeschlagen",
                "Der Anmeldedienst hat Sie nicht angemeldet. Sie können es noch einmal versuchen.",
            ],
        ],
    },
    Text {
        name: "login_organization",
        for_codes: "organization_mismatch",
        links: LOGIN | HOME,
        texts: [
            ["Login failed", "You logged in with a different organization than the one requested."],
            ["Anmeldung fehlgeschlagen", "Sie haben sich mit einer anderen Organisation angemeldet als verlangt."],
        ],
    },
    Text {
        name: "login_insufficient",
        for_codes: "authentication_insufficient",
        links: LOGIN | HOME,
        texts: [
            ["Login failed", "This page needs a stronger or more recent login than the login service performed."],
            [
                "Anmeldung fehlgeschlagen",
                "Diese Seite braucht eine stärkere oder neuere Anmeldung, als der Anmeldedienst durchgeführt hat.",
            ],
        ],
    },
    Text {
        name: "login_too_large",
        for_codes: "session_too_large",
        links: HOME,
        texts: [
            [
                "Login failed",
                "Your login is too large to store in this browser. Please contact the operator of this site.",
            ],
            [
                "Anmeldung fehlgeschlagen",
                "Ihre Anmeldung ist zu groß für diesen Browser. Bitte wenden Sie sich an den Betreiber dieser Website.",
            ],
        ],
    },
    Text {
        name: "login_unavailable",
        for_codes: "discovery_unreachable discovery_invalid discovery_issuer_mismatch jwks_unreachable jwks_invalid \
                    jwks_no_usable_key algorithm_unsupported userinfo_unavailable userinfo_token_refused",
        links: LOGIN | RETRY,
        texts: [
            [
                "Login is not available right now",
                "The login service does not respond as it should. Please try again shortly.",
            ],
            [
                "Anmelden ist gerade nicht möglich",
                "Der Anmeldedienst antwortet nicht, wie er soll. Bitte versuchen Sie es in Kürze noch einmal.",
            ],
        ],
    },
    Text {
        name: "logged_out",
        for_codes: "logged_out",
        links: LOGIN | HOME,
        texts: [
            ["You are logged out", "Your session on this site has ended."],
            ["Sie sind abgemeldet", "Ihre Sitzung auf dieser Website ist beendet."],
        ],
    },
    Text {
        name: "logged_in",
        for_codes: "logged_in",
        links: CONTINUE,
        texts: [
            ["You are logged in", "The page that you requested opens by itself."],
            ["Sie sind angemeldet", "Die gewünschte Seite öffnet sich von selbst."],
        ],
    },
    Text {
        name: "confirm_logout",
        for_codes: "logout_needs_confirmation",
        links: LOGOUT | HOME,
        texts: [
            ["Log out?", "Another site asked to log you out. You stay logged in unless you confirm."],
            [
                "Abmelden?",
                "Eine andere Website möchte Sie abmelden. Sie bleiben angemeldet, wenn Sie nicht bestätigen.",
            ],
        ],
    },
];

/// The position of the first label among all texts: each row of [`TEXTS`] has two.
const LABELS_FROM: usize = 2 * TEXTS.len();

impl Text {
    /// Returns the position of the page for a reply: by code, else by status. `is_form`: the request sent something.
    /// `has_login`: there is a login for this address.
    pub(super) fn position(status: &str, code: &str, is_form: bool, has_login: bool) -> usize {
        match (status, has_login, is_form) {
            ("401", false, _) => return TOKEN_NEEDED,
            ("401", true, true) => return FORM_NOT_SENT,
            _ => {}
        }
        for key in [code, status] {
            let found =
                TEXTS.iter().position(|text| text.for_codes.split(' ').any(|one| one == key && !key.is_empty()));
            if let Some(found) = found {
                return found;
            }
        }
        TOKEN_NEEDED + 1
    }

    /// Returns the row at a position.
    pub(super) fn at(position: usize) -> Option<&'static Self> {
        TEXTS.get(position)
    }
}

/// Returns the English message for a code.
pub(crate) fn message(status: &str, code: &str) -> &'static str {
    text(2 * Text::position(status, code, false, true) + 1, 0)
}

/// Returns the number of a label.
pub(super) const fn label_number(at: usize) -> usize {
    LABELS_FROM + at
}

/// Returns a text by its number, in one of the [`LANGUAGES`].
pub(crate) fn text(number: usize, language: usize) -> &'static str {
    let found = match number.checked_sub(LABELS_FROM) {
        Some(at) => LABELS.get(at).and_then(|(_, texts)| texts.get(language)),
        None => TEXTS.get(number / 2).and_then(|row| row.texts.get(language)?.get(number % 2)),
    };
    found.copied().unwrap_or_default()
}

/// Returns the names of all texts, by number.
pub(crate) fn names() -> Vec<String> {
    let mut names = Vec::new();
    for row in &TEXTS {
        names.extend([".title", ".message"].map(|part| concat(&[row.name, part])));
    }
    names.extend(LABELS.iter().map(|(name, _)| String::from(*name)));
    names
}

#[cfg(test)]
mod tests {
    use super::{LANGUAGES, Text, names, text};

    #[test]
    fn every_text_is_there_in_every_language_and_has_a_name() {
        for (position, name) in names().iter().enumerate() {
            for language in 0..LANGUAGES.len() {
                let text = text(position, language);
                assert!(!text.is_empty(), "{name}");
                assert_eq!(
                    text.ends_with('.') || text.ends_with('?'),
                    name.ends_with("message") || text.ends_with('?'),
                    "{name}: {text}"
                );
            }
        }
    }

    #[test]
    fn the_page_depends_on_code_and_status() {
        for (status, code, is_form, name) in [
            ("404", "not_found", false, "not_found.title"),
            ("421", "misdirected_request", false, "not_found.title"),
            ("401", "token_missing", false, "login_required.title"),
            ("401", "token_missing", true, "form_not_sent.title"),
            ("403", "token_expired", false, "login_expired.title"),
            ("401", "token_expired", false, "login_expired.title"),
            ("403", "insufficient_role", true, "forbidden.title"),
            ("403", "cross_site_request", true, "cross_site.title"),
            ("400", "state_invalid", false, "login_not_pending.title"),
            ("503", "config_invalid", false, "not_configured.title"),
            ("503", "jwks_unreachable", false, "login_unavailable.title"),
            ("504", "origin_timeout", false, "unavailable.title"),
            ("418", "", false, "bad_request.title"),
        ] {
            assert_eq!(names()[2 * Text::position(status, code, is_form, true)], name, "{status} {code}");
        }
    }
}
