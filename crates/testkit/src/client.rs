//! The public API as a caller sees it.

use crate::wait;
use bytes::Bytes;
use http::{HeaderMap, Method};
use serde_json::{Value, json};
use std::{
    sync::{Once, OnceLock},
    time::Duration,
};

/// An answer, whole.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub bytes: Bytes,
}

impl Answer {
    /// The body as JSON; panics with the body when it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.bytes)
            .unwrap_or_else(|error| panic!("{error} in a {} answer: {}", self.status, self.text()))
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// `data` of a success; panics when it is none.
    pub fn data(&self) -> Value {
        let mut body = self.json();
        assert_eq!((self.status, &body["code"], &body["message"]), (200, &json!("200"), &json!("success")), "{body}");
        body["data"].take()
    }
}

/// Talks to one server.
#[derive(Clone, Debug)]
pub struct Client {
    base: String,
    http: reqwest::Client,
}

impl Client {
    pub fn new(base: &str) -> Self {
        Self { base: base.trim_end_matches('/').to_owned(), http: shared() }
    }

    pub fn base(&self) -> &str {
        &self.base
    }

    /// An absolute address stays; a path is taken on this server.
    pub fn address(&self, path: &str) -> String {
        if path.contains("://") { path.to_owned() } else { format!("{}{path}", self.base) }
    }

    /// Any request; the error is that of the connection.
    pub async fn try_send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<Vec<u8>>,
    ) -> Result<Answer, reqwest::Error> {
        let mut request = self.http.request(method, self.address(path));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(body) = body {
            request = request.body(body);
        }
        let answer = request.send().await?;
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        Ok(Answer { status, headers, bytes: answer.bytes().await? })
    }

    pub async fn send(&self, method: Method, path: &str, headers: &[(&str, &str)], body: Option<Vec<u8>>) -> Answer {
        let what = format!("{method} {path}");
        self.try_send(method, path, headers, body).await.unwrap_or_else(|error| panic!("{what}: {error:?}"))
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.send(Method::GET, path, &[], None).await
    }

    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        let headers = [("content-type", "application/json")];
        self.send(Method::POST, path, &headers, Some(body.to_string().into_bytes())).await
    }

    pub async fn is_ready(&self) -> bool {
        let answer = self.try_send(Method::GET, "/readyz", &[], None).await;
        answer.is_ok_and(|answer| answer.status == 200)
    }

    /// Creates a task (`kind` is `image`, `video` or `audio`) and returns its id.
    pub async fn create(&self, kind: &str, body: &Value) -> String {
        let data = self.post(&format!("/api/v1/generations/{kind}"), body).await.data();
        data["task_id"].as_str().unwrap_or_else(|| panic!("no task_id in {data}")).to_owned()
    }

    /// A task that must exist.
    pub async fn task(&self, id: &str) -> Value {
        self.get(&format!("/api/v1/tasks/{id}")).await.data()
    }

    /// Waits until the task is `completed` or `failed`.
    pub async fn end_of(&self, id: &str, limit: Duration) -> Value {
        self.task_that(id, "end of the task", limit, is_terminal).await
    }

    /// Waits until a decision about the task is awaited; one that ended instead fails at once.
    pub async fn attention_of(&self, id: &str, limit: Duration) -> Value {
        let held = |task: &Value| {
            assert!(!is_terminal(task), "the task ended although nobody decided: {task:#}");
            task["attention"].is_object()
        };
        self.task_that(id, "hold of the task", limit, held).await
    }

    /// Waits until the task has ended, or a decision about it is awaited: nothing else moves it.
    pub async fn rest_of(&self, id: &str, limit: Duration) -> Value {
        let rests = |task: &Value| is_terminal(task) || task["attention"].is_object();
        self.task_that(id, "end or hold of the task", limit, rests).await
    }

    async fn task_that(&self, id: &str, what: &str, limit: Duration, fits: impl Fn(&Value) -> bool) -> Value {
        let last = std::sync::Mutex::new(Value::Null);
        let ask = || async {
            let task = self.task(id).await;
            let found = fits(&task);
            *last.lock().expect("nobody panics with it") = task.clone();
            found.then_some(task)
        };
        match tokio::time::timeout(limit, wait::until(what, limit * 2, ask)).await {
            Ok(task) => task,
            Err(_) => {
                panic!("after {limit:?} there was still no {what}: {:#}", last.lock().expect("nobody panics with it"))
            }
        }
    }

    /// Creates, and waits for `completed`.
    pub async fn make(&self, kind: &str, body: &Value, limit: Duration) -> Value {
        let id = self.create(kind, body).await;
        let task = self.end_of(&id, limit).await;
        assert_eq!(task["status"], "completed", "{task:#}");
        task
    }

    /// Answers the question of a held task.
    pub async fn resolve(&self, id: &str, choice: &str) -> Answer {
        self.post(&format!("/api/v1/tasks/{id}/resolve"), &json!({ "choice": choice })).await
    }
}

pub fn is_terminal(task: &Value) -> bool {
    matches!(task["status"].as_str(), Some("completed" | "failed"))
}

/// One pool of connections for the process. Nothing here uses TLS, yet the library wants to know
/// whose it would be.
fn shared() -> reqwest::Client {
    static TLS: Once = Once::new();
    TLS.call_once(|| {
        // Somebody else may have chosen already, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
    });
    thread_local! {
        // A pool belongs to the runtime that made its connections.
        static CLIENT: OnceLock<reqwest::Client> = const { OnceLock::new() };
    }
    let build = || {
        reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(Duration::from_secs(60))
            .build()
            .expect("a client without settings can be built")
    };
    CLIENT.with(|client| client.get_or_init(build).clone())
}
