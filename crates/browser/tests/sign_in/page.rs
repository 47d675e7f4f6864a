//! A page on loopback, in as many kinds as a browser may meet.

use axum::{
    Extension, Json, Router,
    extract::{Path, State},
    http::{HeaderMap, StatusCode, Uri},
    response::{Html, IntoResponse, Redirect, Response},
    routing::{get, post},
};
use serde_json::{Value, json};
use std::{
    future::pending,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
};
use tokio::net::TcpListener;

pub const USERNAME: &str = "holder@example.org";
/// With what is easily lost on its way through scripts and shells.
pub const PASSWORD: &str = "Pä$$ \"w'rd\\ <€𝄞>";
pub const TOKEN: &str = "eyJhbGciOi.J9.secret-token_7";

/// What the page was sent: a line for each call.
pub type Seen = Arc<Mutex<Vec<String>>>;

pub struct Page {
    base: String,
    pub seen: Seen,
    /// Whether a login page was asked for.
    pub is_asked: Arc<AtomicBool>,
}

impl Page {
    pub async fn open() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let (seen, is_asked) = (Seen::default(), Arc::<AtomicBool>::default());
        let router = Router::new()
            .route("/{kind}/login", get(login_page))
            .route("/create/image-text", get(caller))
            .route("/creative_platform/login", post(sign_in))
            .route("/creative_platform/user/credits", get(credits))
            .route("/creative_platform/account/message", get(|| async { Json(json!({"ErrCode": 0})) }))
            .layer(Extension(Arc::clone(&is_asked)))
            .with_state(Arc::clone(&seen));
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { base, seen, is_asked }
    }

    pub fn url(&self, kind: &str) -> String {
        format!("{}/{kind}/login", self.base)
    }

    pub fn lines(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }
}

async fn login_page(
    Path(kind): Path<String>,
    Extension(is_asked): Extension<Arc<AtomicBool>>,
    headers: HeaderMap,
    uri: Uri,
) -> Response {
    is_asked.store(true, Ordering::Relaxed);
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
    match kind.as_str() {
        "edge" => return (StatusCode::FORBIDDEN, Html("<h1>Attention Required</h1>")).into_response(),
        "busy" => return (StatusCode::SERVICE_UNAVAILABLE, Html("<h1>Checking your browser</h1>")).into_response(),
        "slow" => pending().await,
        "bare" => return Html("<p>Please verify that you are a person</p>").into_response(),
        "elsewhere" if header("host").starts_with("127.") => {
            let elsewhere = format!("http://{}{uri}", header("host").replacen("127.0.0.1", "localhost", 1));
            return Redirect::temporary(&elsewhere).into_response();
        }
        _ => {}
    }
    let language = if header("accept-language").starts_with("en") { "en" } else { "other" };
    let page = include_str!("page.html").replace("{{kind}}", &kind).replace("{{language}}", language);
    // No frame loads anything: the tests stay on this machine.
    ([("content-security-policy", "frame-src 'none'"), ("set-cookie", &format!("kind={kind}; Path=/"))], Html(page))
        .into_response()
}

/// The page that calls with the token.
async fn caller() -> Html<String> {
    let script = format!("fetch('/creative_platform/account/message', {{headers: {{token: '{TOKEN}'}}}})");
    Html(format!("<script>{script}</script>Home"))
}

async fn sign_in(State(seen): State<Seen>, headers: HeaderMap, body: String) -> Response {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
    let body: Value = serde_json::from_str(&body).unwrap();
    let is_right = body == json!({"Username": USERNAME, "Password": PASSWORD});
    let mut lines = seen.lock().unwrap();
    lines.push(format!("sign-in right={is_right} {}", header("x-trusted")));
    lines.push(format!("agent {}", header("x-agent")));
    let answer = |token: &str| json!({"ErrCode": 0, "Resp": {"Result": {"AccountId": 1, "Token": token}}});
    let kind = header("cookie").replace("kind=", "");
    match kind.as_str() {
        "guarded" => (StatusCode::FORBIDDEN, Html("<h1>Attention Required</h1>")).into_response(),
        "wrong" => Json(json!({"ErrCode": 500_200, "ErrMsg": "user does not exist", "Resp": null})).into_response(),
        "refused" => Json(json!({"ErrCode": 77, "ErrMsg": PASSWORD, "Resp": null})).into_response(),
        "cookie" => {
            ([("set-cookie", format!("_ai_token={TOKEN}; Path=/; HttpOnly"))], Json(answer(""))).into_response()
        }
        "header" => Json(answer("")).into_response(),
        _ => Json(answer(TOKEN)).into_response(),
    }
}

async fn credits(State(seen): State<Seen>, headers: HeaderMap) -> Json<Value> {
    let is_good = headers.get("token").is_some_and(|token| token == TOKEN);
    seen.lock().unwrap().push(format!("credits good={is_good}"));
    Json(json!({"ErrCode": if is_good { 0 } else { 10_001 }}))
}
