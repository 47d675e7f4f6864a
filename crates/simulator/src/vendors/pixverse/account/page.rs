//! The web application, as far as signing in needs it. What it shows is drawn by its script, its
//! classes are hashes, and its fields take what is typed, not what is put in their place.

use crate::{answer::Whole, site::Site, state::Shared, vendor::Asked};
use http::Method;
use serde_json::json;
use std::time::Duration;

const LOGIN: &str = include_str!("login.html");
const HOME: &str = include_str!("home.html");
/// What the script of a page is told.
const SLOT: &str = "__SITE__";
const HTML: &str = "text/html; charset=utf-8";

pub(super) async fn answer(asked: &Asked, site: &Site, shared: &Shared) -> Option<Whole> {
    let page = match (&asked.method, asked.path.as_str()) {
        (&Method::GET, "/login") => LOGIN,
        (&Method::GET, "/onboard" | "/create/image-text") => HOME,
        _ => return None,
    };
    shared.state().sessions.loaded(asked.path.trim_start_matches('/'));
    if site.slow_ms > 0 {
        tokio::time::sleep(Duration::from_millis(site.slow_ms)).await;
    }
    let told = json!({
        "language": site.language, "asked": language(asked), "verification": site.verification,
        "presses": site.presses,
    });
    Some(Whole::new(200, HTML, page.replace(SLOT, &told.to_string())).header("cache-control", "no-store"))
}

/// What the browser asks for first; its script knows better where it says nothing.
fn language(asked: &Asked) -> Option<String> {
    let first = asked.header("accept-language")?.split([',', ';']).next()?.trim();
    // It becomes a part of a script.
    let is_plain = !first.is_empty() && first.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
    is_plain.then(|| first.to_lowercase())
}

/// What stands before the site when it takes the client for a machine.
pub(super) fn edge() -> Whole {
    let text = "<!doctype html><html><head><title>Just a moment...</title></head>\
                <body><h1>Checking your browser</h1><p>Access denied.</p></body></html>";
    Whole::new(403, HTML, text)
}
