//! The document's own JavaScript, letter by letter, under Node.

use crate::browser::node;
use pixel_testkit::{Rig, on_both};
use serde_json::json;

on_both!(the_documents_javascript_runs_unchanged);

async fn the_documents_javascript_runs_unchanged(rig: Rig) {
    let server = rig.server().start().await;
    let said = node(&rig, "examples.mjs", &[server.client().base()]).await;
    assert_eq!(said["modelId"], "dashscope/qwen-image", "{said}");
    let image = &said["result"]["images"][0];
    assert!(image["url"].is_string() && image["width"].is_u64() && image["height"].is_u64(), "{said}");
    assert!(said["logged"].as_str().is_some_and(|line| line.starts_with("Task ID: task_")), "{said}");
    let old = "Model must be in format 'provider/model_key', got: 'qwen-image'. Example: 'dashscope/qwen-image'";
    assert_eq!(said["old"], json!({ "status": 400, "message": old }), "{said}");
    assert_eq!(said["failure"], "Task failed", "{said}");
    assert_eq!(server.client().task(said["taskId"].as_str().expect("an id")).await["status"], "completed");
}
