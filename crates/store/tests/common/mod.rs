//! What the store's tests share: both databases, and a task to write.

use pixel_core::{
    id::ModelId,
    request::{Checked, Kind},
    task::Work,
};
use pixel_store::{NewTask, new_task_id, now};

/// Each test runs on both databases, with the `Rig` of its file.
macro_rules! on_both {
    ($($name:ident),* $(,)?) => {
        mod sqlite { $(#[tokio::test(flavor = "multi_thread")] async fn $name() { super::$name(&super::Rig::new(false)).await; })* }
        mod postgres { $(#[tokio::test(flavor = "multi_thread")] async fn $name() { super::$name(&super::Rig::new(true)).await; })* }
    };
}
pub(crate) use on_both;

/// A task of one slot for a model of the vendor `acme`, last in its queue and not leased.
pub fn new_task(kind: Kind, model: &str, prompt: &str) -> NewTask {
    NewTask {
        id: new_task_id(),
        kind,
        model: model.to_owned(),
        served_by: None,
        fallback: None,
        vendor: "acme".to_owned(),
        sandbox: false,
        project_id: None,
        source: None,
        source_id: None,
        params: serde_json::json!({ "prompt": prompt }),
        request: Checked::plain(kind, ModelId::parse(model).expect("a model's id"), prompt),
        work: Work::planned(&[1]),
        warnings: Vec::new(),
        cost: None,
        rank: 1,
        leased: false,
        media: Vec::new(),
        clip: None,
        created_at: now(),
    }
}
