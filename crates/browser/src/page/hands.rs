//! Eyes and hands on one page: what is seen comes from a script that changes nothing, what is done
//! is done with the mouse and the keyboard of the browser.

use super::Look;
use crate::{
    cdp::{Fault, Link},
    traffic::Traffic,
};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::Instant;

const LIMIT: Duration = Duration::from_secs(10);
/// A press is answered once the page has dealt with it, which a question of its script puts off.
const PRESS_LIMIT: Duration = Duration::from_secs(2);
const PROBE: &str = include_str!("probe.js");

pub struct Hands<'a> {
    link: &'a mut Link,
    session: String,
}

impl<'a> Hands<'a> {
    pub async fn on(link: &'a mut Link, target: &str) -> Result<Self, Fault> {
        link.call(None, "Browser.setDownloadBehavior", json!({"behavior": "deny"}), LIMIT).await?;
        let params = json!({"targetId": target, "flatten": true});
        let answer = link.call(None, "Target.attachToTarget", params, LIMIT).await?;
        let session = answer["sessionId"].as_str().ok_or(Fault::Broken("no session"))?.to_owned();
        let mut hands = Self { link, session };
        hands.call("Page.enable", json!({})).await?;
        // What the page posts holds the password: it is not wanted here.
        hands.call("Network.enable", json!({"maxPostDataSize": 0})).await?;
        Ok(hands)
    }

    async fn call(&mut self, method: &str, params: Value) -> Result<Value, Fault> {
        self.link.call(Some(&self.session), method, params, LIMIT).await
    }

    /// Why the page cannot be opened, if so.
    pub async fn open(&mut self, url: &str, limit: Duration) -> Result<Option<String>, Fault> {
        let answer = self.link.call(Some(&self.session), "Page.navigate", json!({"url": url}), limit).await?;
        Ok(answer["errorText"].as_str().map(str::to_owned))
    }

    /// Hears what the page calls, for that long, and reads the answers that matter.
    pub async fn listen(&mut self, traffic: &mut Traffic, time: Duration) -> Result<(), Fault> {
        let until = Instant::now() + time;
        while let Some(event) = self.link.event(until.saturating_duration_since(Instant::now())).await? {
            match event.method.as_str() {
                "Inspector.targetCrashed" => return Err(Fault::Broken("word that the page crashed")),
                "Target.detachedFromTarget" => return Err(Fault::Broken("word that the window was closed")),
                // A question of the page's script would stop everything.
                "Page.javascriptDialogOpening" => {
                    passing(self.call("Page.handleJavaScriptDialog", json!({"accept": false})).await)?;
                }
                _ if event.session.as_deref() == Some(self.session.as_str()) => traffic.see(&event),
                _ => {}
            }
            for id in traffic.take_answered() {
                let body = passing(self.call("Network.getResponseBody", json!({"requestId": id})).await)?;
                let body = body.as_ref().filter(|body| body["base64Encoded"] == false);
                traffic.answer(&id, body.and_then(|body| body["body"].as_str()).unwrap_or_default());
            }
            if Instant::now() >= until {
                break;
            }
        }
        Ok(())
    }

    /// The page as it is now; nothing while it changes or hangs.
    pub async fn look(&mut self) -> Result<Option<Look>, Fault> {
        self.ask("look()").await
    }

    /// Whether both fields hold something of the right length; the words themselves stay there.
    pub async fn holds(&mut self, username: &str, password: &str) -> Result<bool, Fault> {
        let length = |text: &str| text.encode_utf16().count();
        let lengths = self.ask::<[usize; 2]>("lengths()").await?;
        Ok(lengths == Some([length(username), length(password)]))
    }

    /// Presses a button, unless it is disabled or hidden behind something.
    pub async fn press(&mut self, button: &str) -> Result<bool, Fault> {
        let Some(spot) = self.ask::<Value>(&format!("aim({button:?})")).await? else { return Ok(false) };
        if spot["free"] != true {
            return Ok(false);
        }
        let mouse = |kind: &str, count: u8| {
            let button = if count == 0 { "none" } else { "left" };
            json!({"type": kind, "x": spot["x"], "y": spot["y"], "button": button, "clickCount": count})
        };
        for event in [mouse("mouseMoved", 0), mouse("mousePressed", 1), mouse("mouseReleased", 1)] {
            let session = Some(self.session.as_str());
            passing(self.link.call(session, "Input.dispatchMouseEvent", event, PRESS_LIMIT).await)?;
        }
        Ok(true)
    }

    /// Goes into a field, marks what stands there and types over it.
    pub async fn fill(&mut self, field: &str, text: &str) -> Result<(), Fault> {
        if self.press(field).await? {
            let key = |kind: &str| json!({"type": kind, "key": "a", "code": "KeyA", "modifiers": 2, "commands": ["selectAll"]});
            for event in [key("rawKeyDown"), key("keyUp")] {
                passing(self.call("Input.dispatchKeyEvent", event).await)?;
            }
            passing(self.call("Input.insertText", json!({"text": text})).await)?;
        }
        Ok(())
    }

    pub async fn cookies(&mut self, url: &str) -> Result<Vec<Value>, Fault> {
        let answer = passing(self.call("Network.getCookies", json!({"urls": [url]})).await)?;
        Ok(answer.and_then(|mut answer| answer["cookies"].as_array_mut().map(std::mem::take)).unwrap_or_default())
    }

    async fn ask<T: DeserializeOwned>(&mut self, question: &str) -> Result<Option<T>, Fault> {
        let params = json!({"expression": format!("{}.{question}", PROBE.trim_end()), "returnByValue": true});
        let answer = passing(self.call("Runtime.evaluate", params).await)?;
        let value = answer.map(|mut answer| answer["result"]["value"].take());
        Ok(value.and_then(|value| serde_json::from_value(value).ok()))
    }
}

/// A page that changes or hangs refuses a command now and takes it later.
pub fn passing<T>(answer: Result<T, Fault>) -> Result<Option<T>, Fault> {
    match answer {
        Ok(value) => Ok(Some(value)),
        Err(Fault::Refused(_) | Fault::Late) => Ok(None),
        Err(fault) => Err(fault),
    }
}
