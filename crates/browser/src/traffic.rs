//! What the page's calls tell: the token, whether it is good, and refusals.

use crate::{
    cdp::Event,
    protocol::{Outcome, Reason, Secret},
};
use serde_json::Value;
use std::collections::HashMap;
use url::{Host, Url};

/// The private endpoints of the page.
const ENDPOINTS: &str = "/creative_platform/";
const SIGN_IN: &str = "/creative_platform/login";
const CREDITS: &str = "/creative_platform/user/credits";
/// Its answer to a name that does not exist, and to a wrong password.
const WRONG_PASSWORD: i64 = 500_200;

const CALLS_MAX: usize = 1_000;
const TOKEN_BYTES_MAX: usize = 8 * 1024;
const BODY_BYTES_MAX: f64 = 1024.0 * 1024.0;

#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    SignIn,
    Credits,
    Other,
}

#[derive(Debug)]
struct Call {
    kind: Kind,
    token: Option<Secret>,
}

/// Built up from the events of the network; knows nothing of the page itself.
#[derive(Debug, Default)]
pub struct Traffic {
    main_frame: String,
    /// Of the login page.
    site: Option<Site>,
    /// Since the fields were filled: what was sent before says nothing.
    is_armed: bool,
    calls: HashMap<String, Call>,
    answered: Vec<String>,
    token: Option<Secret>,
    proven: Option<Secret>,
    refused: Option<Outcome>,
    edge: Option<Outcome>,
}

impl Traffic {
    pub fn new(main_frame: &str, login_page: &Url) -> Self {
        Self { main_frame: main_frame.to_owned(), site: Site::of(login_page), ..Self::default() }
    }

    pub fn arm(&mut self) {
        self.is_armed = true;
    }

    /// A token that the page uses; nothing says yet that it is good.
    pub fn token(&self) -> Option<&Secret> {
        self.token.as_ref()
    }

    /// A token with which a call was answered well.
    pub fn proven(&self) -> Option<&Secret> {
        self.proven.as_ref()
    }

    /// What the sign-in itself was answered, when that was a refusal.
    pub fn refused(&self) -> Option<&Outcome> {
        self.refused.as_ref()
    }

    /// Set while the last page, or a call of it, was kept from us.
    pub fn edge(&self) -> Option<&Outcome> {
        self.edge.as_ref()
    }

    /// Calls whose answers are worth a look.
    pub fn take_answered(&mut self) -> Vec<String> {
        std::mem::take(&mut self.answered)
    }

    pub fn see(&mut self, event: &Event) {
        let params = &event.params;
        let Some(id) = params["requestId"].as_str() else { return };
        match event.method.as_str() {
            "Network.requestWillBeSent" => self.sent(id, params),
            "Network.responseReceived" => self.answer_began(id, params),
            "Network.loadingFinished" => {
                let is_small = params["encodedDataLength"].as_f64().is_none_or(|length| length <= BODY_BYTES_MAX);
                match self.calls.get(id) {
                    Some(call) if call.kind != Kind::Other && is_small => self.answered.push(id.to_owned()),
                    _ => drop(self.calls.remove(id)),
                }
            }
            "Network.loadingFailed" => drop(self.calls.remove(id)),
            _ => {}
        }
    }

    fn sent(&mut self, id: &str, params: &Value) {
        let request = &params["request"];
        let Some(url) = request["url"].as_str().and_then(|url| Url::parse(url).ok()) else { return };
        // What a page sends to strangers is no token, and what they answer says nothing.
        let is_own = self.site.as_ref().is_some_and(|site| site.has(&url));
        let Some(kind) = kind(&url).filter(|_| is_own) else {
            // A call that was led astray is another's as well.
            self.calls.remove(id);
            return;
        };
        if !self.is_armed || request["method"] == "OPTIONS" || self.calls.len() >= CALLS_MAX {
            return;
        }
        let headers = request["headers"].as_object().into_iter().flatten();
        let mut values = headers.filter(|(name, _)| name.eq_ignore_ascii_case("token"));
        let token = values.next().and_then(|(_, value)| plausible(value.as_str()?));
        if self.token.is_none() {
            self.token.clone_from(&token);
        }
        self.calls.insert(id.to_owned(), Call { kind, token });
    }

    fn answer_began(&mut self, id: &str, params: &Value) {
        let response = &params["response"];
        let is_page = params["type"] == "Document" && params["frameId"] == self.main_frame.as_str();
        if !is_page && !self.calls.contains_key(id) {
            return;
        }
        let status = response["status"].as_i64().unwrap_or_default();
        let is_html = response["mimeType"].as_str().is_some_and(|kind| kind.contains("html"));
        if matches!(status, 403 | 503) && is_html {
            let message = format!("the page was answered with {status}: its edge protection keeps this machine away");
            self.edge = Some(Outcome::attention(Reason::Edge, message));
        } else if is_page {
            self.edge = None;
        }
    }

    /// The body of an answer that [`Traffic::take_answered`] named.
    pub fn answer(&mut self, id: &str, body: &str) {
        let Some(Call { kind, token }) = self.calls.remove(id) else { return };
        let Ok(envelope) = serde_json::from_str::<Value>(body) else { return };
        let Some(code) = envelope["ErrCode"].as_i64() else { return };
        match (kind, code) {
            (Kind::Credits, 0) => self.proven = token.or(self.proven.take()),
            (Kind::SignIn, 0) => {
                let result = &envelope["Resp"]["Result"]["Token"];
                self.refused = None;
                // Nothing is as sure: a header may be of a session before.
                self.token = result.as_str().and_then(plausible).or_else(|| self.token.take());
            }
            (Kind::SignIn, WRONG_PASSWORD) => {
                let message = format!("the user name or the password is wrong (ErrCode {WRONG_PASSWORD})");
                self.refused = Some(Outcome::attention(Reason::WrongPassword, message));
            }
            // The words of the answer are left out: they may repeat what was typed.
            (Kind::SignIn, code) => {
                self.refused = Some(Outcome::failed(format!("the sign-in was answered with ErrCode {code}")));
            }
            (Kind::Credits | Kind::Other, _) => {}
        }
    }
}

/// Hosts of one holder.
#[derive(Debug)]
struct Site {
    host: Host<String>,
    /// The last two labels of a name.
    domain: Option<String>,
}

impl Site {
    fn of(url: &Url) -> Option<Self> {
        let host = url.host()?.to_owned();
        let domain = match &host {
            Host::Domain(name) => {
                let labels: Vec<&str> = name.rsplitn(3, '.').collect();
                labels.get(1).map(|second| format!("{second}.{}", labels[0]))
            }
            Host::Ipv4(_) | Host::Ipv6(_) => None,
        };
        Some(Self { host, domain })
    }

    fn has(&self, url: &Url) -> bool {
        let Some(host) = url.host() else { return false };
        let is_within = |name: &str, domain: &str| {
            name.strip_suffix(domain).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
        };
        let is_same_site = match (&host, &self.domain) {
            (Host::Domain(name), Some(domain)) => is_within(name, domain),
            _ => false,
        };
        is_same_site || host.to_owned() == self.host
    }
}

fn kind(url: &Url) -> Option<Kind> {
    let path = url.path();
    let kind = match path {
        path if path.ends_with(SIGN_IN) => Kind::SignIn,
        path if path.ends_with(CREDITS) => Kind::Credits,
        _ => Kind::Other,
    };
    path.contains(ENDPOINTS).then_some(kind)
}

/// Scripts send their idea of nothing as well.
pub fn plausible(text: &str) -> Option<Secret> {
    let is_nothing = matches!(text, "" | "null" | "undefined" | "false");
    let is_plain = text.len() <= TOKEN_BYTES_MAX && text.bytes().all(|byte| byte.is_ascii_graphic());
    (!is_nothing && is_plain).then(|| Secret::new(text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const API: &str = "https://app-api.example.org/creative_platform";

    fn unarmed() -> Traffic {
        Traffic::new("main", &Url::parse("https://app.example.org/login").unwrap())
    }

    fn armed() -> Traffic {
        let mut traffic = unarmed();
        traffic.arm();
        traffic
    }

    fn see(traffic: &mut Traffic, method: &str, params: Value) {
        traffic.see(&Event { session: None, method: format!("Network.{method}"), params });
    }

    fn call(traffic: &mut Traffic, id: &str, path: &str, token: &str, body: Value) {
        call_to(traffic, API, id, path, token, body);
    }

    fn call_to(traffic: &mut Traffic, base: &str, id: &str, path: &str, token: &str, body: Value) {
        let request = json!({"url": format!("{base}{path}"), "method": "POST", "headers": {"Token": token}});
        see(traffic, "requestWillBeSent", json!({"requestId": id, "request": request}));
        see(traffic, "loadingFinished", json!({"requestId": id, "encodedDataLength": 9}));
        for id in traffic.take_answered() {
            traffic.answer(&id, &body.to_string());
        }
    }

    #[test]
    fn a_token_is_proven_by_its_own_credits_call() {
        let mut traffic = armed();
        call(&mut traffic, "1", "/account/message", "t1", json!({}));
        assert_eq!((traffic.token().map(Secret::reveal), traffic.proven()), (Some("t1"), None));
        call(&mut traffic, "2", "/user/credits", "t2", json!({"ErrCode": 10001}));
        assert_eq!(traffic.proven(), None);
        call(&mut traffic, "3", "/user/credits", "t3", json!({"ErrCode": 0}));
        assert_eq!(traffic.proven().map(Secret::reveal), Some("t3"));
    }

    #[test]
    fn what_was_sent_before_the_sign_in_says_nothing() {
        let mut traffic = unarmed();
        call(&mut traffic, "1", "/user/credits", "old", json!({"ErrCode": 0}));
        assert_eq!((traffic.token(), traffic.proven()), (None, None));
        let mut traffic = armed();
        for nothing in ["", "null", "undefined", "two words"] {
            call(&mut traffic, "1", "/user/credits", nothing, json!({"ErrCode": 0}));
        }
        assert_eq!((traffic.token(), traffic.proven()), (None, None));
    }

    #[test]
    fn the_answer_of_the_sign_in_is_read() {
        let mut traffic = armed();
        let refusal = |code: i64| json!({"ErrCode": code, "ErrMsg": "hunter2", "Resp": null});
        call(&mut traffic, "1", "/login", "", refusal(500_200));
        assert!(matches!(traffic.refused(), Some(Outcome::NeedsAttention { reason: Reason::WrongPassword, .. })));
        call(&mut traffic, "2", "/login", "", refusal(7));
        assert_eq!(traffic.refused(), Some(&Outcome::failed("the sign-in was answered with ErrCode 7")));
        call(&mut traffic, "3", "/login", "", json!({"ErrCode": 0, "Resp": {"Result": {"Token": "jwt"}}}));
        assert_eq!((traffic.refused(), traffic.token().map(Secret::reveal)), (None, Some("jwt")));
    }

    #[test]
    fn calls_to_strangers_say_nothing() {
        let found = |login_page: &str, base: &str| {
            let mut traffic = Traffic::new("main", &Url::parse(login_page).unwrap());
            traffic.arm();
            let base = format!("{base}/creative_platform");
            call_to(&mut traffic, &base, "1", "/user/credits", "jwt", json!({"ErrCode": 0}));
            let signed_in = json!({"ErrCode": 0, "Resp": {"Result": {"Token": "jwt"}}});
            call_to(&mut traffic, &base, "2", "/login", "", signed_in);
            assert_eq!(traffic.token().is_some(), traffic.proven().is_some());
            traffic.token().is_some()
        };
        let page = "https://app.example.org/login";
        for own in ["https://app.example.org", "https://example.org", "https://a.b.example.org"] {
            assert!(found(page, own), "{own}");
        }
        for other in ["https://badexample.org", "https://example.org.evil.net", "https://10.0.0.1", "https://org"] {
            assert!(!found(page, other), "{other}");
        }
        assert!(
            found("http://127.0.0.1:1/login", "http://127.0.0.1:2") && found("http://localhost/", "http://localhost")
        );
        assert!(!found("http://127.0.0.1:1/login", "http://10.0.0.1:1"), "numbers have no domain");
        assert!(!found("http://localhost/", "http://evil.localhost"));
    }

    #[test]
    fn a_call_that_is_led_to_strangers_says_nothing() {
        let answered = |base: &str| {
            let mut traffic = armed();
            for base in [API, base] {
                let request = json!({"url": format!("{base}/creative_platform/login"), "method": "POST"});
                see(&mut traffic, "requestWillBeSent", json!({"requestId": "1", "request": request}));
            }
            see(&mut traffic, "loadingFinished", json!({"requestId": "1", "encodedDataLength": 9}));
            traffic.take_answered().len()
        };
        assert_eq!((answered("https://other.example.org"), answered("https://stranger.net")), (1, 0));
    }

    #[test]
    fn the_sign_in_s_own_token_is_taken_rather_than_one_seen() {
        let mut traffic = armed();
        call(&mut traffic, "1", "/account/message", "stale", json!({}));
        call(&mut traffic, "2", "/login", "", json!({"ErrCode": 0, "Resp": {"Result": {"Token": "jwt"}}}));
        call(&mut traffic, "3", "/account/message", "stale", json!({}));
        assert_eq!(traffic.token().map(Secret::reveal), Some("jwt"));
        call(&mut traffic, "4", "/login", "", json!({"ErrCode": 0, "Resp": {"Result": {"Token": ""}}}));
        assert_eq!(traffic.token().map(Secret::reveal), Some("jwt"), "an answer without one takes none away");
    }

    #[test]
    fn the_edge_is_known_by_html_with_its_numbers() {
        let mut traffic = armed();
        let mut page = |status: i64, kind: &str, frame: &str| {
            let response = json!({"status": status, "mimeType": kind});
            let params = json!({"requestId": "1", "type": "Document", "frameId": frame, "response": response});
            see(&mut traffic, "responseReceived", params);
            traffic.edge().is_some()
        };
        assert!(!page(403, "text/html", "advertisement"));
        assert!(!page(403, "application/json", "main"));
        assert!(page(503, "text/html", "main") && page(403, "text/html", "main"));
        assert!(!page(200, "text/html", "main"), "the holder got past it");
    }
}
