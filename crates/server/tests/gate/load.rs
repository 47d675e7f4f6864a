//! What is asked of a server: single tasks, and callers that ask until it is gone.

use crate::vendors::{Model, PAID, SANDBOX, mark};
use pixel_testkit::{Client, Method};
use serde_json::{Value, json};
use std::time::Duration;

const IMAGE: &str = "/api/v1/generations/image";

/// What one caller asked for.
#[derive(Clone, Debug)]
pub struct Asked {
    pub mark: String,
    pub model: &'static Model,
    /// Paid calls that the task may make.
    pub allowed: usize,
    /// The id, if the server acknowledged.
    pub id: Option<String>,
    /// Whether a hold is explained, by the vendor's answer or by the moment of a death.
    pub may_hold: bool,
    /// Whether a failure is explained.
    pub may_fail: bool,
    /// A person decided what becomes of it.
    pub decided: bool,
}

impl Asked {
    pub fn one(model: &'static Model) -> Self {
        let allowed = usize::from(model.is_paid());
        Self { mark: mark(), model, allowed, id: None, may_hold: false, may_fail: false, decided: false }
    }

    /// Several results, each a paid call of its own where the vendor makes one at a time.
    pub fn several(model: &'static Model, n: usize) -> (Self, Value) {
        let mut asked = Self::one(model);
        let mut body = asked.body();
        body["n"] = json!(n);
        asked.allowed *= n.div_ceil(model.per_call);
        (asked, body)
    }

    pub fn body(&self) -> Value {
        let mut body = json!({ "model": self.model.id, "prompt": self.mark });
        if let Some(resolution) = self.model.resolution {
            body["resolution"] = json!(resolution);
        }
        body
    }

    /// Asks; `Err` is the status of a refusal that was an answer, or 0 when there was none.
    pub async fn post(&mut self, client: &Client, body: &Value) -> Result<(), u16> {
        let answer = client.try_send(Method::POST, IMAGE, &[], Some(body.to_string().into_bytes())).await;
        let answer = answer.map_err(|_| 0_u16)?;
        if answer.status != 200 {
            let told = answer.json();
            assert!(
                told["code"].as_str() == Some(&answer.status.to_string()) && told["message"].is_string(),
                "a refusal without its envelope: {} {told}",
                answer.status
            );
            return Err(answer.status);
        }
        self.id = answer.data()["task_id"].as_str().map(str::to_owned);
        assert!(self.id.is_some(), "acknowledged without an id: {}", answer.text());
        Ok(())
    }
}

/// A mixture of every model, some with two results.
pub fn any(rng: &mut fastrand::Rng) -> (Asked, Value) {
    let asked = match rng.u8(0..10) {
        0 => Asked::several(SANDBOX, 1),
        1 => Asked::several(&PAID[rng.usize(0..PAID.len())], 2),
        _ => Asked::several(&PAID[rng.usize(0..PAID.len())], 1),
    };
    (Asked { may_hold: true, ..asked.0 }, asked.1)
}

/// What callers do about an answer that says no.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusals {
    /// None may come.
    Never,
    /// 503 and 507 mean: ask again a little later.
    Wait,
}

/// Asks for up to `most` tasks, until the server is gone.
pub async fn caller(client: Client, mut rng: fastrand::Rng, most: usize, refusals: Refusals) -> Vec<Asked> {
    let mut all = Vec::new();
    for _ in 0..most {
        let (mut asked, body) = any(&mut rng);
        let answered = asked.post(&client, &body).await;
        all.push(asked);
        match answered {
            Ok(()) => {}
            Err(0) => break,
            Err(503 | 507) if refusals == Refusals::Wait => tokio::time::sleep(Duration::from_millis(100)).await,
            Err(status) => panic!("the server refused under load with {status}"),
        }
    }
    all
}
