//! A vendor of our own making, one model for each class of repeat-safety, and its server: it
//! counts what it accepts and misbehaves as the prompt says.

use axum::{
    Router,
    body::Bytes,
    extract::{Path, Query, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use pixel_core::{Error, ErrorKind, catalog::Model, request::Checked, vendor::*};
use serde_json::{Value, json};
use std::{
    collections::HashMap,
    io::Cursor,
    sync::{Arc, Mutex},
    time::Duration,
};

pub const CATALOG: &str = r#"
    [vendor]
    id = "lab"
    name = "Lab"
    [[model]]
    key = "keyed"
    name = "Takes a key"
    type = "image"
    form = "keyed"
    times = { poll_ms = 20, poll_max_ms = 50 }
    [[model]]
    key = "searchable"
    name = "Can be searched"
    type = "image"
    form = "searchable"
    times = { poll_ms = 20, poll_max_ms = 50 }
    [[model]]
    key = "neither"
    name = "Neither"
    type = "image"
    form = "neither"
    price = { per = "image", micros = 1000, currency = "EUR", source = "test", date = "2026-11-20" }
    times = { poll_ms = 20, poll_max_ms = 50, deadline_s = 3 }
    [[model]]
    key = "late"
    name = "Is asked late"
    type = "image"
    form = "neither"
    times = { poll_ms = 1000, poll_max_ms = 1000, deadline_s = 1 }
"#;

pub struct Lab;

impl Lab {
    fn submit(job: &Job<'_>) -> Call {
        let repeat = match job.card.form.as_str() {
            "keyed" => Repeat::Keyed { key_lifetime: Duration::from_secs(60) },
            "searchable" => Repeat::Searchable { settle: Duration::from_millis(300) },
            _ => Repeat::Never,
        };
        let body = json!({ "reference": job.reference, "prompt": job.request.prompt, "first": job.first });
        http(Method::Post, format!("{}/submit", job.base_url), Body::json(&body), repeat)
    }
}

fn http(method: Method, url: String, body: Body, repeat: Repeat) -> Call {
    let timeout = Duration::from_secs(2);
    Call::Http(Box::new(HttpCall {
        method,
        url,
        headers: Vec::new(),
        body,
        repeat,
        media: Vec::new(),
        timeout,
        sign: None,
        share: None,
    }))
}

impl Vendor for Lab {
    fn id(&self) -> &'static str {
        "lab"
    }

    fn speaks(&self, _card: &Model) -> bool {
        true
    }

    fn plan(&self, request: &Checked, card: &Model) -> Result<Plan, Error> {
        Ok(Plan::by_card(request, card))
    }

    fn first(&self, job: &Job<'_>) -> Result<(Call, Mark), Error> {
        Ok((Self::submit(job), json!({})))
    }

    fn next(&self, job: &Job<'_>, mark: &Mark, reply: &Reply) -> Result<Next, Error> {
        let Reply::Answer(answer) = reply else {
            return Ok(match mark.get("id").and_then(Value::as_str) {
                None => Next::Send(Self::submit(job), mark.clone()),
                Some(id) => {
                    let url = format!("{}/jobs/{id}", job.base_url);
                    Next::Send(http(Method::Get, url, Body::Empty, Repeat::Safe), mark.clone())
                }
            });
        };
        match answer.status {
            200 => {}
            429 => {
                let wait = answer.retry_after(job.now);
                return Err(Error::new(ErrorKind::RateLimited, "Slow down.").with_retry_after(wait));
            }
            400 => return Err(Error::new(ErrorKind::VendorRefused, "The lab refused.")),
            _ => return Err(Error::new(ErrorKind::Unclear, "The lab answered strangely.")),
        }
        if let Some(id) = answer.body["id"].as_str() {
            return Ok(Next::Wait(None, json!({ "id": id })));
        }
        match answer.body["url"].as_str() {
            Some(url) => {
                let media = Source::Link { url: url.to_owned(), lifetime_s: Some(60) };
                let output = Output { index: 0, media, poster: None, failed: None };
                Ok(Next::Done(vec![output], mark.clone()))
            }
            None => Ok(Next::Wait(None, mark.clone())),
        }
    }

    fn search(&self, job: &Job<'_>, _mark: &Mark) -> Option<HttpCall> {
        if job.card.form != "searchable" {
            return None;
        }
        match http(Method::Get, format!("{}/find?reference={}", job.base_url, job.reference), Body::Empty, Repeat::Safe)
        {
            Call::Http(call) => Some(*call),
            Call::Local(_) | Call::Probe(_) => None,
        }
    }

    fn found(&self, _job: &Job<'_>, _mark: &Mark, answer: &Answer) -> Result<Option<Mark>, Error> {
        match answer.status {
            200 => Ok(answer.body["id"].as_str().map(|id| json!({ "id": id }))),
            _ => Err(Error::new(ErrorKind::Unclear, "The lab cannot be asked.")),
        }
    }
}

/// What the lab's server has seen.
#[derive(Default)]
pub struct Ledger {
    /// Every request to submit: reference and prompt, in order of arrival.
    pub submits: Vec<(String, String)>,
    /// What was accepted, by reference: with a key, a repeat is not accepted again.
    pub accepted: Vec<String>,
    polls: HashMap<String, u32>,
    links: HashMap<String, u32>,
}

#[derive(Clone)]
pub struct LabServer {
    pub ledger: Arc<Mutex<Ledger>>,
    pub base: String,
}

impl LabServer {
    pub async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = Self { ledger: Arc::default(), base: format!("http://{}", listener.local_addr().unwrap()) };
        let routes = Router::new()
            .route("/submit", post(submit))
            .route("/jobs/{id}", get(poll))
            .route("/find", get(find))
            .route("/media/{id}", get(media))
            .with_state(server.clone());
        tokio::spawn(async { axum::serve(listener, routes).await.unwrap() });
        server
    }

    pub fn submits(&self, prompt: &str) -> usize {
        self.ledger.lock().unwrap().submits.iter().filter(|(_, p)| p == prompt).count()
    }

    pub fn accepted(&self, task: &str) -> usize {
        self.ledger.lock().unwrap().accepted.iter().filter(|one| one.starts_with(task)).count()
    }
}

/// A body that breaks the connection: the caller sees a reset after its request was read.
fn broken() -> Response {
    let parts = futures_util::stream::iter([Ok(Bytes::from_static(b"{\"id\"")), Err(std::io::Error::other("cut"))]);
    axum::body::Body::from_stream(parts).into_response()
}

async fn submit(State(server): State<LabServer>, body: Bytes) -> Response {
    match take(&server, &body) {
        Some(response) => response,
        None => std::future::pending().await,
    }
}

/// `None` is no answer at all.
fn take(server: &LabServer, body: &[u8]) -> Option<Response> {
    let body: Value = serde_json::from_slice(body).unwrap();
    let (reference, prompt) = (body["reference"].as_str().unwrap(), body["prompt"].as_str().unwrap());
    let accept = |ledger: &mut Ledger| {
        if !ledger.accepted.iter().any(|one| one == reference) {
            ledger.accepted.push(reference.to_owned());
        }
        axum::Json(json!({ "id": reference })).into_response()
    };
    let mut ledger = server.ledger.lock().unwrap();
    ledger.submits.push((reference.to_owned(), prompt.to_owned()));
    let is_first = ledger.submits.iter().filter(|(_, p)| p == prompt).count() == 1;
    Some(match prompt.split(':').next().unwrap() {
        "cut after" if is_first => {
            accept(&mut ledger);
            broken()
        }
        "cut before" if is_first => broken(),
        "500 always" => {
            accept(&mut ledger);
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
        "500 after" if is_first => {
            accept(&mut ledger);
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
        "slow down" if is_first => (StatusCode::TOO_MANY_REQUESTS, [(header::RETRY_AFTER, "1")]).into_response(),
        "refuse" => StatusCode::BAD_REQUEST.into_response(),
        "refuse second" if body["first"] == 1 => StatusCode::BAD_REQUEST.into_response(),
        "hang after" if is_first => {
            accept(&mut ledger);
            return None;
        }
        _ => accept(&mut ledger),
    })
}

async fn poll(State(server): State<LabServer>, Path(id): Path<String>) -> Response {
    let mut ledger = server.ledger.lock().unwrap();
    let polls = ledger.polls.entry(id.clone()).or_default();
    *polls += 1;
    let (polls, prompt) = (*polls, prompt_of(&ledger, &id));
    if prompt.starts_with("patience") && polls == 1 {
        return (StatusCode::TOO_MANY_REQUESTS, [(header::RETRY_AFTER, "315360000")]).into_response();
    }
    if prompt.starts_with("never ends") || (polls < 2 && !prompt.starts_with("at once")) {
        return axum::Json(json!({ "state": "some new word" })).into_response();
    }
    axum::Json(json!({ "url": format!("{}/media/{id}", server.base) })).into_response()
}

fn prompt_of(ledger: &Ledger, reference: &str) -> String {
    ledger.submits.iter().find(|(r, _)| r == reference).map(|(_, p)| p.clone()).unwrap_or_default()
}

async fn find(State(server): State<LabServer>, Query(asked): Query<HashMap<String, String>>) -> Response {
    let ledger = server.ledger.lock().unwrap();
    let id = asked.get("reference").filter(|r| ledger.accepted.contains(r));
    axum::Json(json!({ "id": id })).into_response()
}

async fn media(State(server): State<LabServer>, Path(id): Path<String>) -> Response {
    let mut ledger = server.ledger.lock().unwrap();
    let fetched = ledger.links.entry(id.clone()).or_default();
    *fetched += 1;
    let (fetched, prompt) = (*fetched, prompt_of(&ledger, &id));
    let mut png = Cursor::new(Vec::new());
    image::RgbImage::new(64, 48).write_to(&mut png, image::ImageFormat::Png).unwrap();
    let png = png.into_inner();
    match prompt.split(':').next().unwrap() {
        "expired link" if fetched == 1 => StatusCode::FORBIDDEN.into_response(),
        "short media" => png[..png.len() / 2].to_vec().into_response(),
        "page as media" => "<html><body>Sign in</body></html>".into_response(),
        _ => png.into_response(),
    }
}
