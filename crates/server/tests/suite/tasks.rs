//! Tasks: reading, listing, outliving a restart.

use crate::support::{IMAGE, SOON, failure, picture, refusal, with};
use pixel_testkit::{Client, Rig, Script, Stub, on_both, stub, stub::Submit};
use serde_json::{Value, json};
use std::collections::BTreeSet;

on_both!(
    a_task_tells_everything_about_itself,
    a_failed_task_is_no_http_error,
    lists_are_paged_newest_first,
    lists_are_filtered,
    a_task_outlives_a_restart,
    polling_is_never_refused,
);

async fn a_task_tells_everything_about_itself(rig: Rig) {
    let (stub, mark) = (Stub::start(), stub::marker());
    let server = rig.server().vendors(&stub).start().await;
    let client = server.client();
    let more =
        json!({ "projectId": "p1", "source": "canvas", "sourceId": "c1", "aspectRatio": "1:1", "resolution": "1K" });
    let task = client.make("image", &with(picture("dashscope/qwen-image", &mark), &more), SOON).await;
    let original = ["id", "type", "status", "model", "params", "result", "created_at", "updated_at"];
    let keys = task.as_object().expect("an object").keys().map(String::as_str);
    let shared: Vec<&str> = keys.filter(|key| original.contains(key)).collect();
    assert_eq!(shared, original, "the original's fields in the original's order");
    assert_eq!(
        (&task["type"], &task["model"], &task["project_id"]),
        (&json!("image"), &json!("dashscope/qwen-image"), &json!("p1"))
    );
    assert_eq!(task["params"]["prompt"], mark);
    assert!(task["error"].is_null() && task["attention"].is_null(), "{task:#}");
    assert!(task["cost"].is_object() && task["progress"].is_number(), "{task:#}");
    let times = ["created_at", "started_at", "completed_at", "updated_at"]
        .map(|field| task[field].as_str().unwrap_or_default().to_owned());
    for time in &times {
        let shape: String = time.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
        assert!(shape.starts_with("0000-00-00T00:00:00") && shape.ends_with('Z'), "'{time}' is not ISO 8601 in UTC");
    }
    assert!(times[..3].is_sorted(), "{times:?}");
}

async fn a_failed_task_is_no_http_error(rig: Rig) {
    let (stub, mark) = (Stub::start(), stub::marker());
    stub.script(&mark, Script::submits([Submit::BadParameter]));
    let server = rig.server().vendors(&stub).start().await;
    let client = server.client();
    let id = client.create("image", &picture("dashscope/qwen-image", &mark)).await;
    let task = client.end_of(&id, SOON).await;
    assert_eq!(failure(&task), "vendor_refused");
    assert!(task["completed_at"].is_string(), "{task:#}");
    let text = task.to_string();
    assert!(
        !text.contains(&stub.address().to_string()) && !text.contains(stub::KEY),
        "a secret or address of the vendor shows: {text}"
    );
}

/// All ids of a list, page by page.
async fn pages(client: &Client, query: &str, limit: usize) -> Vec<String> {
    let (mut ids, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = client.get(&format!("/api/v1/tasks?limit={limit}{query}{cursor}")).await.data();
        let items = page["items"].as_array().expect("a list").clone();
        assert!(items.len() <= limit, "{} items on a page of {limit}", items.len());
        ids.extend(items.iter().map(|item| item["id"].as_str().expect("an id").to_owned()));
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return ids,
        }
        assert!(ids.len() < 1_000, "the pages do not end");
    }
}

async fn lists_are_paged_newest_first(rig: Rig) {
    let server = rig.server().start().await;
    let client = server.client();
    let mut made = Vec::new();
    for at in 0..7 {
        made.push(client.create("audio", &json!({ "model": "sandbox/speaker", "prompt": format!("{at}") })).await);
    }
    made.reverse();
    for limit in [1, 3, 7, 50] {
        assert_eq!(pages(&client, "", limit).await, made, "pages of {limit}");
    }
    // A task that comes between two pages neither repeats nor hides another.
    let page = client.get("/api/v1/tasks?limit=3").await.data();
    let cursor = page["next_cursor"].as_str().expect("more pages").to_owned();
    client.create("audio", &json!({ "model": "sandbox/speaker", "prompt": "late" })).await;
    let rest = client.get(&format!("/api/v1/tasks?limit=10&cursor={cursor}")).await.data();
    let ids: Vec<Value> = rest["items"].as_array().expect("a list").iter().map(|item| item["id"].clone()).collect();
    assert_eq!(json!(ids), json!(made[3..]));
    for query in ["limit=0", "limit=x", "limit=-1", "cursor=nonsense!", "status=done", "type=music"] {
        refusal(&client.get(&format!("/api/v1/tasks?{query}")).await, 400);
    }
}

async fn lists_are_filtered(rig: Rig) {
    let (stub, mark) = (Stub::start(), stub::marker());
    stub.script(&mark, Script::submits([Submit::Moderation]));
    let server = rig.server().vendors(&stub).start().await;
    let client = server.client();
    let failed = client.create("image", &picture("dashscope/qwen-image", &mark)).await;
    let filed = json!({ "projectId": "p1", "source": "canvas", "sourceId": "c1", "resolution": "64x64" });
    let canvas = client.create("image", &with(picture("sandbox/painter", "a"), &filed)).await;
    let filed = json!({ "projectId": "p2", "source": "canvas", "sourceId": "c2" });
    let spoken = client.create("audio", &with(picture("sandbox/speaker", "b"), &filed)).await;
    for id in [&failed, &canvas, &spoken] {
        client.end_of(id, SOON).await;
    }
    let cases: [(&str, &[&String]); 9] = [
        ("&type=image", &[&canvas, &failed]),
        ("&type=video", &[]),
        ("&status=failed", &[&failed]),
        ("&status=completed", &[&spoken, &canvas]),
        ("&model=sandbox/painter", &[&canvas]),
        ("&projectId=p1", &[&canvas]),
        ("&source=canvas", &[&spoken, &canvas]),
        ("&sourceId=c2", &[&spoken]),
        ("&source=canvas&type=audio&status=completed", &[&spoken]),
    ];
    for (query, wanted) in cases {
        let found = pages(&client, query, 1).await;
        assert_eq!(found.iter().collect::<Vec<_>>(), wanted, "{query}");
    }
}

async fn a_task_outlives_a_restart(rig: Rig) {
    let (stub, mark) = (Stub::start(), stub::marker());
    stub.script(&mark, Script::default().polls(3));
    let mut server = rig.server().vendors(&stub).env("PIXEL_LEASE_S", "3").start().await;
    let ids = [
        server.client().create("image", &picture("dashscope/qwen-image", &mark)).await,
        server.client().create("image", &picture("sandbox/painter", "a cat")).await,
        server
            .client()
            .create(
                "video",
                &with(picture("sandbox/animator", "a cat"), &json!({ "duration": "2s", "resolution": "480p" })),
            )
            .await,
    ];
    server.kill9();
    server.restart().await;
    let client = server.client();
    for id in &ids {
        assert_eq!(client.task(id).await["id"], *id);
    }
    // The first may have been on its way to the vendor when the server died; the others are free.
    assert_ne!(client.rest_of(&ids[0], SOON).await["status"], "failed");
    for id in &ids[1..] {
        assert_eq!(client.end_of(id, SOON).await["status"], "completed");
    }
    assert!(stub.accepted(&mark) <= 1);
    // Ended tasks are still there after another restart, media and all.
    let before = client.task(&ids[1]).await;
    server.restart().await;
    let client = server.client();
    let after = client.task(&ids[1]).await;
    let file = |task: &Value| task["result"]["images"][0]["sha256"].clone();
    assert_eq!(file(&after), file(&before));
    let url = client.address(after["result"]["images"][0]["url"].as_str().expect("an address"));
    assert_eq!(client.get(&url.replace(&*old_root(&url), client.base())).await.status, 200);
}

/// `http://host:port` of an address.
fn old_root(url: &str) -> String {
    url.split('/').take(3).collect::<Vec<_>>().join("/")
}

async fn polling_is_never_refused(rig: Rig) {
    let server = rig.server().start().await;
    let client = server.client();
    let id = client.create("image", &picture("sandbox/painter", "a cat")).await;
    let mut seen = BTreeSet::new();
    for _ in 0..300 {
        let answer = client.get(&format!("/api/v1/tasks/{id}")).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        seen.insert(answer.data()["status"].as_str().expect("a word").to_owned());
    }
    let words = ["pending", "processing", "completed", "failed"];
    assert!(seen.iter().all(|word| words.contains(&word.as_str())), "{seen:?}");
    client.end_of(&id, SOON).await;
    assert_eq!(client.post(IMAGE, &picture("sandbox/painter", "a cat")).await.status, 200);
}
