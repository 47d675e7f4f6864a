//! PixVerse as its web application speaks: an account that signs in with a password, a token in a
//! header, a bucket for pictures and a list that tells how clips stand. Errors come with HTTP 200.

mod bucket;
mod list;
mod page;
mod picture;

use super::{check, no, number, yes};
use crate::{
    answer::{Answer, Whole},
    desk, media,
    session::{PASSWORD, Standing, id, is_account},
    site::Site,
    state::Shared,
    vendor::{Ask, Asked, Facts, Made, Order, Refusal, State, Unit, Vendor},
};
use futures_util::{FutureExt, future::BoxFuture};
use http::Method;
use serde_json::{Value, json};

/// In truth it is a host of its own.
const API: &str = "/creative_platform/";
/// This as well.
const BUCKET: &str = "/upload-bucket/";
/// First frames of finished clips.
const FRAMES: &str = "/frames/";
const TRACE: &str = "ai-trace-id";
/// Ids of tasks begin behind this.
const JOBS: u64 = 302_325_299_692_607;

pub(crate) struct Account;

impl Vendor for Account {
    fn id(&self) -> &'static str {
        "pixverse"
    }

    fn base_url(&self) -> (&'static str, &'static str) {
        ("PIXVERSE_WEB_URL", "")
    }

    fn takes<'a>(&'static self, asked: &'a Asked, shared: &'a Shared) -> Option<BoxFuture<'a, Answer>> {
        Some(answer(asked, shared).boxed())
    }

    /// All of it depends on who is signed in.
    fn read(&self, _asked: &Asked) -> Result<Ask, Whole> {
        Ok(Ask::Nothing)
    }

    fn refused(&self, refusal: Refusal) -> Whole {
        match refusal {
            Refusal::BadRequest => self.coded(400_017),
            Refusal::Unauthorized => self.coded(10001),
            Refusal::PaymentRequired => self.coded(500_043),
            Refusal::Forbidden => page::edge(),
            Refusal::NotFound => self.coded(500_064),
            Refusal::Unprocessable => self.coded(400),
            Refusal::Moderation => self.coded(500_054),
            Refusal::RateLimited => Whole { status: 429, ..self.coded(500_044) },
            Refusal::Error => Whole { status: 500, ..self.coded(99_999) },
        }
    }

    fn coded(&self, code: i64) -> Whole {
        no(
            code,
            match code {
                400 => "incorrect image width/height",
                10001 => "token is invalid",
                10003 => "not logged in",
                10005 => "account logged in elsewhere",
                400_011..=400_032 => "invalid param",
                500_043 | 500_090 => "insufficient credits",
                500_044 => "too many generations at once",
                500_054 | 500_063 => "content moderation",
                500_064 => "the video was deleted",
                500_069 | 500_100 => "the service is busy",
                500_200 => "user does not exist",
                _ => "unknown error",
            },
        )
    }

    fn job_id(&self, number: u64) -> String {
        JOBS.saturating_add(number).to_string()
    }

    fn accepted(&self, job: &Facts<'_>) -> Whole {
        let id = number(&job.entry.job);
        yes(&json!({ "video_id": id, "video_ids": [id], "success_count": 1, "total_count": 1 }))
    }

    fn id_at(&self) -> &'static str {
        "/Resp/video_id"
    }

    /// The list tells it.
    fn polled(&self, _job: &Facts<'_>, _state: &State) -> Whole {
        self.refused(Refusal::NotFound)
    }

    fn made(&self, job: &Facts<'_>, _results: &[Made]) -> Whole {
        self.accepted(job)
    }
}

async fn answer(asked: &Asked, shared: &Shared) -> Answer {
    let site = shared.state().scripts.site();
    if let Some(key) = asked.path.strip_prefix(BUCKET) {
        return bucket::put(asked, key, shared).into();
    }
    if asked.path.starts_with(FRAMES) {
        return Whole::new(200, "image/png", media::png(64, 36, &asked.path)).into();
    }
    if site.edge {
        shared.state().ledger.turn_away(Account.id(), "edge");
        return page::edge().into();
    }
    if let Some(call) = asked.path.strip_prefix(API) {
        return match called(asked, call, &site, shared).await {
            Ok(answer) => answer,
            Err((why, answer)) => {
                shared.state().ledger.turn_away(Account.id(), why);
                answer.into()
            }
        };
    }
    match page::answer(asked, &site, shared).await {
        Some(page) => page.into(),
        None => nothing(shared),
    }
}

fn nothing(shared: &Shared) -> Answer {
    shared.state().ledger.turn_away(Account.id(), "unknown path");
    Whole::new(404, "text/plain", "there is nothing here").into()
}

/// Why, for the record, and the answer.
type TurnedAway = (&'static str, Whole);

fn malformed(whole: Whole) -> TurnedAway {
    ("malformed", whole)
}

/// A call below the API's prefix.
async fn called(asked: &Asked, call: &str, site: &Site, shared: &Shared) -> Result<Answer, TurnedAway> {
    if asked.header("x-platform") != Some("Web") {
        return Err(malformed(no(400_011, "x-platform is empty")));
    }
    let is_json = asked.header("content-type").is_some_and(|kind| kind.starts_with("application/json"));
    if asked.method == Method::POST && !is_json {
        return Err(malformed(no(400_013, "content-type is not application/json")));
    }
    if (&asked.method, call) == (&Method::POST, "login") {
        return sign_in(asked, site, shared).map(Into::into);
    }
    let token = asked.header("token").filter(|token| !token.is_empty());
    let token = token.ok_or_else(|| ("no token", Account.coded(10003)))?;
    let standing = shared.state().sessions.standing(token);
    let name = match standing {
        Standing::Signed(name) => name,
        Standing::Evicted => return Err(("evicted token", Account.coded(10005))),
        Standing::Unknown => return Err(("unknown token", Account.coded(10001))),
    };
    *shared.state().sessions.account(&name).calls.entry(call.to_owned()).or_default() += 1;
    let trace = asked.header(TRACE).filter(|trace| !trace.is_empty()).map(|trace| format!("{name} {trace}"));
    let first = trace.as_ref().and_then(|trace| shared.state().replays.of(Account.id(), trace));
    if let Some(first) = first {
        return Ok(first.into());
    }
    let answer = signed(asked, call, &name, site, shared).await?;
    if let (Answer::Whole(whole), Some(trace)) = (&answer, &trace) {
        shared.state().replays.keep(Account.id(), trace, whole);
    }
    Ok(answer)
}

fn sign_in(asked: &Asked, site: &Site, shared: &Shared) -> Result<Whole, TurnedAway> {
    let body = asked.json().filter(Value::is_object).ok_or_else(|| malformed(no(400_013, "the body is no JSON")))?;
    let (name, password) = (body["Username"].as_str().unwrap_or_default(), body["Password"].as_str());
    let mut state = shared.state();
    if !is_account(name) || password != Some(PASSWORD) {
        state.sessions.refuse();
        return Err(("wrong password", Account.coded(500_200)));
    }
    if site.verification {
        state.sessions.refuse();
        return Err(("verification", no(500_210, "verification required")));
    }
    let token = state.sessions.sign_in(name, site.token_s, false);
    let result = json!({ "AccountId": id(name), "Username": name, "Token": token, "DeleteAt": 0 });
    Ok(yes(&json!({ "Result": result })))
}

/// A call of somebody who is signed in.
async fn signed(asked: &Asked, call: &str, name: &str, site: &Site, shared: &Shared) -> Result<Answer, TurnedAway> {
    Ok(match (&asked.method, call) {
        (&Method::GET, "user/credits") => credits(name, site, shared).into(),
        (&Method::POST, "getUploadToken") => bucket::grant(name, site.upload_s, shared).into(),
        (&Method::POST, "media/batch_upload_media") => bucket::register(asked, name, shared).map_err(malformed)?.into(),
        (&Method::POST, "video/t2v" | "video/i2v") => submission(asked, call, name, site, shared).await?,
        (&Method::POST, "video/list/personal") => list::answer(asked, name, shared).await,
        (&Method::POST, "account/message") => {
            let state = shared.state();
            let ended = list::jobs(name, &state).filter(|job| job.ended.is_some());
            let ids: Vec<u64> = ended.map(|job| number(&job.entry.job)).collect();
            yes(&json!({ "video_list": ids, "image_list": [] })).into()
        }
        (&Method::POST, "video/delete") => delete(asked, name, shared).map_err(malformed)?.into(),
        _ => nothing(shared),
    })
}

/// What the account has left, which is what it did not pay with.
fn left(name: &str, site: &Site, shared: &Shared) -> u64 {
    let state = shared.state();
    let spent = list::jobs(name, &state).filter_map(|job| job.entry.cost).sum();
    site.credits.saturating_sub(spent)
}

fn credits(name: &str, site: &Site, shared: &Shared) -> Whole {
    yes(&json!({
        "credit_daily": 0, "credit_monthly": left(name, site, shared), "credit_package": 0,
        "gen_simultaneously": site.at_once,
    }))
}

async fn submission(asked: &Asked, call: &str, name: &str, site: &Site, shared: &Shared) -> Result<Answer, TurnedAway> {
    let order = order(asked, call, name, shared).map_err(malformed)?;
    let running = list::jobs(name, &shared.state()).filter(|job| job.ended.is_none()).count();
    if running >= site.at_once {
        return Err(("too many at once", Account.coded(500_044)));
    }
    if order.cost > Some(left(name, site, shared)) {
        return Err(("no credits", Account.coded(500_043)));
    }
    Ok(agreed(desk::submit(&Account, asked, order, shared).await))
}

/// The id stands twice in an acceptance: what a script does to one befalls the other.
fn agreed(answer: Answer) -> Answer {
    let Answer::Whole(whole) = answer else { return answer };
    let Ok(mut body) = serde_json::from_slice::<Value>(&whole.bytes) else { return whole.into() };
    if body["ErrCode"] != 0 {
        return whole.into();
    }
    // One that was put in place of it is a text.
    let id = match &body["Resp"]["video_id"] {
        Value::String(id) => json!(number(id)),
        id => id.clone(),
    };
    body["Resp"]["video_ids"] = if id.is_null() { json!([]) } else { json!([id]) };
    if !id.is_null() {
        body["Resp"]["video_id"] = id;
    }
    Whole { bytes: body.to_string().into(), ..whole }.into()
}

fn order(asked: &Asked, call: &str, name: &str, shared: &Shared) -> Result<Order, Whole> {
    let body = asked.json().filter(Value::is_object).ok_or_else(|| no(400_013, "the body is no JSON"))?;
    let mut plain = body.clone();
    // The application names this model in its own way.
    if plain["model"] == "pixverse-c1" {
        plain["model"] = json!("c1");
    }
    let with_picture = call.ends_with("i2v");
    let size = if with_picture { check::web_image(&plain)? } else { check::text(&plain)? };
    let text = |field: &str| body[field].as_str().unwrap_or_default().to_owned();
    let picture = with_picture.then(|| text("customer_img_path"));
    if let Some(path) = &picture {
        let url = text("customer_img_url");
        let is_it = |upload: &crate::session::Upload| upload.path == *path && upload.url.as_ref() == Some(&url);
        if !shared.state().sessions.account(name).uploads.iter().any(is_it) {
            return Err(no(400_032, "invalid image"));
        }
    }
    Ok(Order {
        model: text("model"),
        form: if with_picture { "i2v" } else { "t2v" },
        prompt: text("prompt"),
        size,
        outputs: 1,
        unit: Unit::Video,
        account: Some(name.to_owned()),
        cost: Some(cost(&body)),
        picture,
        body,
        ..Order::default()
    })
}

/// Credits by the second.
fn cost(body: &Value) -> u64 {
    let by_second = match body["quality"].as_str() {
        Some("360p") => 4,
        Some("540p") => 6,
        Some("720p") => 7,
        _ => 14,
    };
    by_second * body["duration"].as_u64().unwrap_or_default()
}

fn delete(asked: &Asked, name: &str, shared: &Shared) -> Result<Whole, Whole> {
    let body = asked.json().unwrap_or_default();
    let ids = body["video_ids"].as_array().ok_or_else(|| no(400_011, "video_ids is empty"))?;
    let ids: Vec<String> = ids.iter().filter_map(Value::as_u64).map(|id| id.to_string()).collect();
    let mut state = shared.state();
    for id in list::own(name, &state).into_iter().filter(|id| ids.contains(id)) {
        if let Some(job) = state.jobs.get_mut(&id) {
            job.ended = Some(list::DELETED);
        }
    }
    Ok(yes(&Value::Null))
}
