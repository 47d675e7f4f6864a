//! The way through the page: open, fill, press, and wait for what comes of it.

mod hands;

use crate::{
    cdp::Fault,
    launch::Chromium,
    protocol::{Outcome, Reason, Request, Secret},
    traffic::{Traffic, plausible},
};
use hands::{Hands, passing};
use serde::Deserialize;
use std::time::Duration;
use tokio::time::Instant;
use url::Url;

const LOAD_LIMIT: Duration = Duration::from_secs(60);
/// Between two looks at the page.
const LOOK_EVERY: Duration = Duration::from_millis(150);
/// How long a page may take to show its button after its fields.
const BUTTON_WAIT: Duration = Duration::from_secs(1);
/// How long a page without fields may take to show them before its words count.
const FIELDS_WAIT: Duration = Duration::from_secs(2);
/// Signed in, and no call yet: a page that makes some is opened then.
const CALL_WAIT: Duration = Duration::from_secs(2);
const PAGE_THAT_CALLS: &str = "/create/image-text";
const TOKEN_COOKIE: &str = "_ai_token";
const FILLS_MAX: u32 = 3;

/// The page at one moment.
#[derive(Clone, Debug, Deserialize)]
struct Look {
    origin: String,
    loaded: bool,
    fields: bool,
    password: bool,
    login: bool,
    submit: bool,
    /// A frame of someone who asks whether one is a person.
    guard: bool,
    /// A field or a box that wants a code.
    asked: bool,
    /// Lines with the words of a verification.
    lines: Vec<String>,
    home: bool,
}

pub async fn sign_in(
    chromium: &mut Chromium,
    request: &Request,
    url: &Url,
    deadline: Instant,
) -> Result<Outcome, String> {
    let (target, hands) = match begin(chromium).await {
        Ok(begun) => begun,
        Err(why) => return Ok(Outcome::never_began(why)),
    };
    let traffic = Traffic::new(&target, url);
    let mut visit = Visit {
        hands,
        traffic,
        request,
        url,
        stage: "the page did not show the fields #Username and #Password",
        since: Instant::now(),
        fields_since: None,
        home_since: None,
        known_lines: Vec::new(),
        new_lines: 0,
        is_pressed: false,
        fills: 0,
        has_opened_caller: false,
    };
    visit.open(deadline).await?;
    visit.stay(deadline).await.map_err(|fault| fault.to_string())
}

/// An empty page of a Chromium that works.
async fn begin(chromium: &mut Chromium) -> Result<(String, Hands<'_>), String> {
    let target = chromium.open_page().await?;
    let hands = Hands::on(&mut chromium.link, &target).await.map_err(|fault| fault.to_string())?;
    Ok((target, hands))
}

struct Visit<'a> {
    hands: Hands<'a>,
    traffic: Traffic,
    request: &'a Request,
    url: &'a Url,
    /// What is missing, for when the time is up.
    stage: &'static str,
    since: Instant,
    fields_since: Option<Instant>,
    home_since: Option<Instant>,
    /// Words of a verification that stood there before anything was pressed.
    known_lines: Vec<String>,
    /// How many looks in a row saw other ones.
    new_lines: u32,
    is_pressed: bool,
    fills: u32,
    has_opened_caller: bool,
}

impl Visit<'_> {
    async fn open(&mut self, deadline: Instant) -> Result<(), String> {
        let limit = LOAD_LIMIT.min(deadline.saturating_duration_since(Instant::now()));
        match self.hands.open(self.url.as_str(), limit).await {
            Ok(None) => Ok(()),
            Ok(Some(why)) => Err(format!("the page cannot be opened: {why}")),
            Err(Fault::Late) => Err(format!("the page did not load within {} s", limit.as_secs())),
            Err(fault) => Err(fault.to_string()),
        }
    }

    async fn stay(&mut self, deadline: Instant) -> Result<Outcome, Fault> {
        self.since = Instant::now();
        loop {
            self.hands.listen(&mut self.traffic, LOOK_EVERY).await?;
            if let Some(outcome) = self.settled() {
                return Ok(outcome);
            }
            let look = self.hands.look().await?;
            // With a window, the holder may answer what is asked; what stands at the end counts.
            let standing = self.standing(look.as_ref());
            let is_over = Instant::now() >= deadline;
            match standing {
                Some(outcome) if self.request.headless || is_over => return Ok(outcome),
                _ if is_over => return Ok(Outcome::failed(self.stage)),
                _ => {}
            }
            if let Some(look) = look
                && let Some(outcome) = self.step(&look).await?
            {
                return Ok(outcome);
            }
        }
    }

    /// What the calls of the page alone decide.
    fn settled(&self) -> Option<Outcome> {
        if let Some(token) = self.traffic.proven() {
            return Some(Outcome::SignedIn { token: token.clone() });
        }
        let refused = self.traffic.refused()?;
        let is_final = self.request.headless || matches!(refused, Outcome::NeedsAttention { .. });
        is_final.then(|| refused.clone())
    }

    /// What only a person may answer, if the page asks for it now.
    fn standing(&mut self, look: Option<&Look>) -> Option<Outcome> {
        if let Some(edge) = self.traffic.edge() {
            return Some(edge.clone());
        }
        let look = look?;
        let is_signed_in = self.is_pressed && look.home && !look.password;
        let has_news = !is_signed_in && look.lines.iter().any(|line| !self.known_lines.contains(line));
        // One look may catch the page in the middle of a change.
        self.new_lines = if self.is_pressed && has_news { self.new_lines + 1 } else { 0 };
        let is_bare = !look.fields && !self.is_pressed && look.loaded && self.since.elapsed() >= FIELDS_WAIT;
        let is_asked =
            look.guard || (look.asked && !is_signed_in) || self.new_lines >= 2 || (is_bare && !look.lines.is_empty());
        is_asked.then(|| {
            let message = "the page asks for a verification (a code, a captcha or the like): sign in by hand";
            Outcome::attention(Reason::Verification, message)
        })
    }

    async fn step(&mut self, look: &Look) -> Result<Option<Outcome>, Fault> {
        if self.is_pressed {
            return if look.home && !look.password { self.collect().await } else { Ok(None) };
        }
        if !look.fields {
            return Ok(None);
        }
        if look.origin != self.url.origin().ascii_serialization() {
            self.stage = "the page went on to another host, where nothing was typed";
            return Ok(None);
        }
        let since = *self.fields_since.get_or_insert_with(Instant::now);
        if !self.request.headless {
            self.fill(look).await?;
            self.stage = "the button was not pressed, or the sign-in did not succeed";
            return Ok(None);
        }
        let button = match (look.login, look.submit) {
            (true, _) => "login",
            (false, _) if since.elapsed() < BUTTON_WAIT => return Ok(None),
            (false, true) => "submit",
            (false, false) => {
                let message = "the page has the two fields and no button that is known or the only one of its form: \
                               sign in by hand with the window shown";
                return Ok(Some(Outcome::attention(Reason::NoLoginButton, message)));
            }
        };
        if self.is_filled(look).await? {
            self.traffic.arm();
            self.is_pressed = self.hands.press(button).await?;
            let missing = "the button is disabled, or something lies over it";
            let silent = "the button was pressed, and nothing told that the sign-in succeeded";
            self.stage = if self.is_pressed { silent } else { missing };
        }
        Ok(None)
    }

    /// With a window: once, and from then on the holder is at work.
    async fn fill(&mut self, look: &Look) -> Result<(), Fault> {
        if self.is_filled(look).await? || self.fills >= FILLS_MAX {
            self.traffic.arm();
            self.is_pressed = true;
        }
        Ok(())
    }

    /// Types into both fields, again when the page lost it; whether both hold it now.
    async fn is_filled(&mut self, look: &Look) -> Result<bool, Fault> {
        let (username, password) = (&self.request.username, self.request.password.reveal());
        if self.hands.holds(username, password).await? {
            return Ok(true);
        }
        if self.fills < FILLS_MAX {
            self.fills += 1;
            self.known_lines.clone_from(&look.lines);
            self.hands.fill("username", username).await?;
            self.hands.fill("password", password).await?;
        }
        self.stage = "the fields do not take what is typed";
        self.hands.holds(username, password).await
    }

    /// Signed in: the token is in a call or in the cookie, or the next page makes a call.
    async fn collect(&mut self) -> Result<Option<Outcome>, Fault> {
        self.stage = "the sign-in succeeded, and no token was seen";
        let signed_in = |token| Ok(Some(Outcome::SignedIn { token }));
        if let Some(token) = self.traffic.token() {
            return signed_in(token.clone());
        }
        if let Some(token) = self.cookie().await? {
            return signed_in(token);
        }
        let since = *self.home_since.get_or_insert_with(Instant::now);
        if since.elapsed() >= CALL_WAIT && !self.has_opened_caller {
            self.has_opened_caller = true;
            if let Ok(url) = self.url.join(PAGE_THAT_CALLS) {
                // A page that is not there changes nothing: the stage says what is missing.
                passing(self.hands.open(url.as_str(), LOAD_LIMIT).await)?;
            }
        }
        Ok(None)
    }

    async fn cookie(&mut self) -> Result<Option<Secret>, Fault> {
        let cookies = self.hands.cookies(self.url.as_str()).await?;
        let mut values = cookies.iter().filter(|cookie| cookie["name"] == TOKEN_COOKIE);
        Ok(values.find_map(|cookie| plausible(cookie["value"].as_str()?)))
    }
}
