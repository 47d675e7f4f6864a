//! What the page's calls tell: the token, whether it is good, and refusals.

use crate::{
    cdp::Event,
    protocol::{Outcome, Reason, Secret},
};
use serde_json::Value;
use std::collections::HashMap;
use url::Url;

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
    pub fn new(main_frame: &str) -> Self {
        Self { main_frame: main_frame.to_owned(), ..Self::default() }
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
        let Some(kind) = request["url"].as_str().and_then(kind) else { return };
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
                self.token = self.token.take().or_else(|| plausible(result.as_str()?));
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

fn kind(url: &str) -> Option<Kind> {
    let url = Url::parse(url).ok()?;
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

    fn armed() -> Traffic {
        let mut traffic = Traffic::new("main");
        traffic.arm();
        traffic
    }

    fn see(traffic: &mut Traffic, method: &str, params: Value) {
        traffic.see(&Event { session: None, method: format!("Network.{method}"), params });
    }

    fn call(traffic: &mut Traffic, id: &str, path: &str, token: &str, body: Value) {
        let request = json!({"url": format!("{API}{path}"), "method": "POST", "headers": {"Token": token}});
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
        let mut traffic = Traffic::new("main");
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
