//! Limits, and the sums over what was asked.

use super::{
    ask, launch,
    raw::{WHO, form, get, send},
    stands,
};
use crate::support::SOON;
use pixel_testkit::{Rig, Stub, client::Answer, on_both, on_postgres, stub, wait};
use serde_json::{Value, json};
use std::collections::BTreeMap;

on_both!(a_user_of_an_app_is_limited, polls_are_never_limited, usage_is_summed_up_in_four_ways);
on_postgres!(two_servers_limit_together);

async fn create(url: &str, app: &str, user: &str) -> Answer {
    send(url, &form("/text2video", &format!("prompt=a+kite&app_bundle_id={app}&apphud_user_id={user}"))).await
}

fn is_limited(answer: &Answer) -> bool {
    if answer.status == 200 {
        return false;
    }
    assert_eq!(answer.status, 429, "{}", answer.text());
    let wait: u64 = answer.header("retry-after").and_then(|text| text.parse().ok()).expect("a number of seconds");
    assert!((1..=60).contains(&wait), "{wait}");
    let sentence = answer.json()["detail"].as_str().expect("a sentence").to_owned();
    assert_eq!(answer.json(), json!({ "detail": sentence }));
    assert!(sentence.contains(&format!("{wait} s")), "{sentence}");
    true
}

async fn a_user_of_an_app_is_limited(rig: Rig) {
    let stub = Stub::start();
    let own = launch(&rig, &stub).env("PIXEL_PIXVERSE_GENERATIONS_PER_MIN", 10);
    let server =
        own.env("PIXEL_PIXVERSE_APPS", "com.few=generations_per_min:3,com.free=generations_per_min:0").start().await;
    let url = server.url();
    for (app, user, allowed) in
        [("com.a", "u1", 10), ("com.a", "u2", 10), ("com.b", "u1", 10), ("com.few", "u1", 3), ("com.free", "u1", 25)]
    {
        let creates = (0..25).map(|_| create(url, app, user));
        let answers = futures_util::future::join_all(creates).await;
        let taken = answers.iter().filter(|answer| !is_limited(answer)).count();
        assert_eq!(taken, allowed, "{app} {user}");
    }
    // Also a picture, and in the other dialect; a refused one leaves nothing.
    let file = pixel_testkit::media::png(64, 48, "own");
    let part = [super::raw::Part("image", "; filename=\"a\"", &file)];
    let target = "/pixverse/api/v1/image2video?appId=com.a&userId=u1&promptText=x";
    assert!(is_limited(&send(url, &super::raw::parts(target, &part)).await));
    let usage = server.client().get("/api/v1/usage?groupBy=app").await.data();
    assert_eq!(usage["items"][0]["requests"], 20, "{usage:#}");
    assert!(!server.logs().contains("the store could not answer"), "a limit that holds is no fault");
}

async fn two_servers_limit_together(rig: Rig) {
    let stub = Stub::start();
    let limited = |name: &str| super::pointed(rig.replica(name), &stub).env("PIXEL_PIXVERSE_GENERATIONS_PER_MIN", 10);
    let (one, two) = tokio::join!(limited("one").start(), limited("two").start());
    let creates = (0..40).map(|at| create(if at % 2 == 0 { one.url() } else { two.url() }, "com.a", "u1"));
    let answers = futures_util::future::join_all(creates).await;
    assert_eq!(answers.iter().filter(|answer| !is_limited(answer)).count(), 10);
}

async fn polls_are_never_limited(rig: Rig) {
    let stub = Stub::start();
    let server = launch(&rig, &stub).env("PIXEL_PIXVERSE_GENERATIONS_PER_MIN", 1).start().await;
    let number = ask(server.url(), "a+kite").await;
    stands(server.url(), number, |body| body["url"].is_string()).await;
    let client = server.client();
    let path = format!("/get_status?video_id={number}&{WHO}");
    // Far more than 120 of one user within a minute.
    for _ in 0..600 {
        assert_eq!(client.get(&path).await.status, 200);
    }
}

async fn usage(client: &pixel_testkit::Client, query: &str) -> BTreeMap<String, Value> {
    let data = client.get(&format!("/api/v1/usage?{query}")).await.data();
    let items = data["items"].as_array().expect("a list").clone();
    items.into_iter().map(|one| (one["key"].as_str().expect("a key").to_owned(), one)).collect()
}

async fn usage_is_summed_up_in_four_ways(rig: Rig) {
    let stub = Stub::start();
    let server = launch(&rig, &stub).start().await;
    let (url, client) = (server.url(), server.client());
    let bad = stub::marker();
    stub.script(&bad, pixel_testkit::Script::ends([stub::End::Moderation]));
    let asked = [
        ("com.a", "u1", "v5", "x"),
        ("com.a", "u1", "v6", "x"),
        ("com.a", "u2", "v5", bad.as_str()),
        ("com.b", "u1", "v5", "x"),
    ];
    let mut numbers = Vec::new();
    for (app, user, model, prompt) in asked {
        let body = format!("prompt={prompt}&model={model}&app_bundle_id={app}&apphud_user_id={user}");
        let answer = send(url, &form("/text2video", &body)).await;
        numbers.push(answer.json()["video_id"].as_i64().expect("a number"));
    }
    for number in &numbers {
        stands(url, *number, |body| body["status"] != "Generating").await;
    }
    for _ in 0..7 {
        let query = format!("/get_status?video_id={}&app_bundle_id=com.poller&apphud_user_id=p", numbers[0]);
        assert_eq!(send(url, &get(&query)).await.status, 200);
    }
    // Who only asks has a line of its own as well.
    let polled = || async { (usage(&client, "").await.get("com.poller")?["polls"] == 7).then_some(()) };
    wait::until("the counts of polls", SOON, polled).await;

    let apps = usage(&client, "groupBy=app").await;
    let pick = |one: &Value| [&one["requests"], &one["completed"], &one["failed"]].map(|n| n.as_i64().unwrap_or(-1));
    assert_eq!((pick(&apps["com.a"]), pick(&apps["com.b"])), ([3, 2, 1], [1, 1, 0]));
    assert_eq!(pick(&apps["com.poller"]), [0, 0, 0]);
    let users = usage(&client, "groupBy=user").await;
    assert_eq!((pick(&users["u1"]), pick(&users["u2"])), ([3, 3, 0], [1, 0, 1]));
    let models = usage(&client, "groupBy=model").await;
    assert_eq!(pick(&models["pixverse/v6"]), [1, 1, 0]);
    assert_eq!(models["pixverse/v5"]["requests"], 3);
    let days = usage(&client, "groupBy=day").await;
    assert_eq!(days.values().map(|one| one["requests"].as_i64().unwrap_or(-1)).sum::<i64>(), 4, "{days:#?}");
    assert!(days.keys().all(|key| key.len() == 10 && key.starts_with("20")), "{days:#?}");

    // Pages, ranges and mistakes.
    let page = client.get("/api/v1/usage?limit=1").await.data();
    assert_eq!((&page["items"][0]["key"], &page["next_cursor"]), (&json!("com.a"), &json!("com.a")));
    assert_eq!(usage(&client, "limit=5&cursor=com.a").await.len(), 3);
    assert_eq!(usage(&client, "from=2001-01-01&to=2001-12-31").await.len(), 0);
    for (wrong, says) in [
        ("groupBy=week", "'groupBy' must be"),
        ("from=yesterday", "'from' must be a day"),
        ("to=2026-02-30", "'to' must be a day"),
        ("limit=0", "'limit' must be"),
        ("limit=1001", "'limit' must be"),
        ("groupBy=day&cursor=x", "'cursor' must be a day"),
        ("cursor=a%00", "'cursor' must not contain the character U+0000"),
        ("from=2026-11-02&to=2026-11-01", "'from' must not be after 'to', got: '2026-11-02' and '2026-11-01'"),
        ("from=9998-01-01", "'from' must not be after 'to'"),
        ("group_by=user", "There is no parameter 'group_by'. Use 'groupBy', 'from', 'to', 'limit', 'cursor'"),
    ] {
        let said = crate::support::refusal(&client.get(&format!("/api/v1/usage?{wrong}")).await, 400);
        assert!(said.contains(says), "{wrong}: {said}");
    }
    assert_eq!(usage(&client, "from=2001-01-01&to=2001-01-01").await.len(), 0, "one day is a range");
}
