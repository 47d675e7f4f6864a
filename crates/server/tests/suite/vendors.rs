//! Both real vendors end to end, against the stub: what works, what is refused, what is broken.

use crate::support::{IMAGE, SOON, failure, picture, refusal, warned, with};
use pixel_testkit::{
    Client, Rig, Script, Stub,
    canary::Canary,
    media, on_both, on_sqlite, stub,
    stub::{End, Media, Submit},
};
use serde_json::{Value, json};

on_both!(
    pictures_arrive_whole,
    several_results_are_several_submissions,
    refusals_end_the_task_and_cost_nothing,
    rate_limits_are_waited_out,
    jobs_that_fail_say_why,
    some_of_several_results_are_enough,
    broken_media_are_never_announced,
    expired_links_are_asked_for_again,
    results_are_not_fetched_from_private_addresses,
);
on_sqlite!(a_refused_key_parks_its_vendor, an_empty_account_parks_its_vendor, unknown_states_are_waited_out);

const OPENAI: &str = "openai/gpt-image-2";
const DASHSCOPE: &str = "dashscope/qwen-image";
const VENDORS: [&str; 2] = [OPENAI, DASHSCOPE];

/// Creates a picture whose submissions follow the script, and waits for its end.
async fn run(client: &Client, stub: &Stub, model: &str, script: Script, more: &Value) -> (String, Value) {
    let mark = stub::marker();
    stub.script(&mark, script);
    let id = client.create("image", &with(picture(model, &mark), more)).await;
    let task = client.end_of(&id, SOON).await;
    (mark, task)
}

async fn pictures_arrive_whole(rig: Rig) {
    let stub = Stub::start();
    let server = rig.server().vendors(&stub).start().await;
    let client = server.client();
    let cases = [
        (OPENAI, json!({ "resolution": "1K", "aspectRatio": "3:2", "n": 2 }), 2, (1536, 1024)),
        (DASHSCOPE, json!({ "resolution": "1328x1328", "seed": 7, "negativePrompt": "blurry" }), 1, (1328, 1328)),
    ];
    for (model, more, count, size) in cases {
        let (mark, task) = run(&client, &stub, model, Script::default().polls(2), &more).await;
        assert_eq!(task["status"], "completed", "{task:#}");
        assert_eq!(warned(&task), Vec::<String>::new());
        let images = task["result"]["images"].as_array().expect("a list").clone();
        assert_eq!((images.len(), stub.accepted(&mark)), (count, 1));
        for image in &images {
            let url = image["url"].as_str().expect("an address");
            assert!(
                url.contains("/media/") && !url.contains(&stub.address().port().to_string()),
                "{url} is the vendor's"
            );
            let file = client.get(url).await;
            assert_eq!(media::png_size(&file.bytes), Some(size));
            assert_eq!((&image["width"], &image["height"]), (&json!(size.0), &json!(size.1)));
            assert_eq!(image["sha256"], media::sha256_hex(&file.bytes));
        }
    }
    let sent = &stub.violations();
    assert!(sent.is_empty(), "{sent:?}");
}

async fn several_results_are_several_submissions(rig: Rig) {
    let stub = Stub::start();
    let server = rig.server().vendors(&stub).start().await;
    let client = server.client();
    for (model, submissions) in [(DASHSCOPE, 3), (OPENAI, 1)] {
        let (mark, task) = run(&client, &stub, model, Script::default(), &json!({ "n": 3 })).await;
        assert_eq!(task["status"], "completed", "{task:#}");
        let images = task["result"]["images"].as_array().expect("a list").clone();
        let mut hashes: Vec<&str> = images.iter().filter_map(|image| image["sha256"].as_str()).collect();
        hashes.sort_unstable();
        hashes.dedup();
        assert_eq!(
            (hashes.len(), stub.received(&mark), stub.accepted(&mark)),
            (3, submissions, submissions),
            "{model}"
        );
    }
}

async fn refusals_end_the_task_and_cost_nothing(rig: Rig) {
    let stub = Stub::start();
    let server = rig.server().vendors(&stub).start().await;
    let client = server.client();
    for model in VENDORS {
        for (submit, code) in [(Submit::BadParameter, "vendor_refused"), (Submit::Moderation, "moderation_blocked")] {
            let (mark, task) = run(&client, &stub, model, Script::submits([submit]), &json!({})).await;
            assert_eq!(failure(&task), code, "{model}");
            assert_eq!((stub.received(&mark), stub.accepted(&mark)), (1, 0));
            assert!(task["attention"].is_null(), "{task:#}");
        }
    }
}

async fn rate_limits_are_waited_out(rig: Rig) {
    let stub = Stub::start();
    let server = rig.server().vendors(&stub).start().await;
    let client = server.client();
    for model in VENDORS {
        for wait in [Some("1"), None] {
            let begin = std::time::Instant::now();
            let (mark, task) =
                run(&client, &stub, model, Script::submits([Submit::RateLimited(wait)]), &json!({})).await;
            assert_eq!(task["status"], "completed", "{model}: {task:#}");
            assert_eq!((stub.received(&mark), stub.accepted(&mark)), (2, 1));
            assert!(wait.is_none() || begin.elapsed().as_millis() >= 1_000, "Retry-After was not honoured");
        }
    }
}

async fn jobs_that_fail_say_why(rig: Rig) {
    let stub = Stub::start();
    let server = rig.server().vendors(&stub).start().await;
    let client = server.client();
    for (end, code) in
        [(End::Failed, "vendor_refused"), (End::Moderation, "moderation_blocked"), (End::Lost, "vendor_lost")]
    {
        let (mark, task) = run(&client, &stub, DASHSCOPE, Script::ends([end]).polls(1), &json!({})).await;
        assert_eq!(failure(&task), code);
        assert_eq!((stub.received(&mark), stub.accepted(&mark)), (1, 1), "a failed job was submitted again");
    }
}

async fn some_of_several_results_are_enough(rig: Rig) {
    let stub = Stub::start();
    let server = rig.server().vendors(&stub).start().await;
    let client = server.client();
    let (mark, task) =
        run(&client, &stub, DASHSCOPE, Script::ends([End::Success, End::Failed]), &json!({ "n": 3 })).await;
    assert_eq!(task["status"], "completed", "{task:#}");
    assert_eq!(task["result"]["images"].as_array().map(Vec::len), Some(2));
    assert!(!warned(&task).is_empty(), "nothing says that one is missing: {task:#}");
    assert_eq!(stub.accepted(&mark), 3);

    let (_, task) = run(&client, &stub, DASHSCOPE, Script::ends([End::Failed, End::Failed]), &json!({ "n": 2 })).await;
    failure(&task);
    let (_, task) = run(&client, &stub, DASHSCOPE, Script::ends([End::WithoutResult(0)]), &json!({})).await;
    failure(&task);
}

async fn broken_media_are_never_announced(rig: Rig) {
    let stub = Stub::start();
    let server = rig.server().vendors(&stub).start().await;
    let client = server.client();
    let cases = [
        (OPENAI, Media::CutWithLength),
        (OPENAI, Media::CutWithoutLength),
        (OPENAI, Media::Html),
        (DASHSCOPE, Media::CutWithLength),
        (DASHSCOPE, Media::CutWithoutLength),
        (DASHSCOPE, Media::Html),
        (DASHSCOPE, Media::Empty),
    ];
    let check = async |(model, media): (&str, Media)| {
        let (mark, task) = run(&client, &stub, model, Script::media(media.clone()), &json!({})).await;
        assert_eq!(failure(&task), "result_unusable", "{model} {media:?}");
        assert!(task["result"].is_null() || task["result"]["images"] == json!([]), "{task:#}");
        assert_eq!(stub.accepted(&mark), 1, "{model} {media:?}: a paid submission was repeated");
        // A transfer that breaks off may come through another time, so it is tried again.
        assert!(model == OPENAI || stub.fetches(&mark) >= 3, "{model} {media:?}");
    };
    futures_util::future::join_all(cases.map(check)).await;
    // An answer in which the picture's place is empty says nothing about the picture.
    let mark = stub::marker();
    stub.script(&mark, Script::media(Media::Empty));
    let id = client.create("image", &picture(OPENAI, &mark)).await;
    client.attention_of(&id, SOON).await;
    assert_eq!(stub.received(&mark), 1);
}

async fn expired_links_are_asked_for_again(rig: Rig) {
    let stub = Stub::start();
    let server = rig.server().vendors(&stub).start().await;
    let client = server.client();
    let (mark, task) = run(&client, &stub, DASHSCOPE, Script::media(Media::ExpiredLinks(2)), &json!({})).await;
    assert_eq!(task["status"], "completed", "{task:#}");
    assert_eq!((stub.accepted(&mark), stub.polls(&mark) >= 3), (1, true));
    let (mark, task) = run(&client, &stub, DASHSCOPE, Script::media(Media::ExpiredLinks(u32::MAX)), &json!({})).await;
    failure(&task);
    assert_eq!(stub.accepted(&mark), 1);
}

async fn results_are_not_fetched_from_private_addresses(rig: Rig) {
    let (stub, canary) = (Stub::start(), Canary::on("127.0.0.2:0"));
    let server = rig.server().vendors(&stub).start().await;
    let client = server.client();
    let targets =
        [canary.url(), canary.url().replace("127.0.0.2", "[::ffff:127.0.0.2]"), "file:///etc/passwd".to_owned()];
    for target in targets {
        let (_, task) =
            run(&client, &stub, DASHSCOPE, Script::media(Media::Redirect(target.clone())), &json!({})).await;
        failure(&task);
        let shown = task.to_string();
        assert!(!shown.contains("root:") && !shown.contains(&target), "{shown}");
    }
    assert_eq!(canary.touched(), 0, "the guard let the server through to a private address");
}

async fn a_refused_key_parks_its_vendor(rig: Rig) {
    parks(&rig, Submit::BadKey, "vendor_auth").await;
}

async fn an_empty_account_parks_its_vendor(rig: Rig) {
    parks(&rig, Submit::NoBalance, "vendor_balance").await;
}

/// Neither patience nor repetition helps, and `/models` says so.
async fn parks(rig: &Rig, submit: Submit, code: &str) {
    let stub = Stub::start();
    let server = rig.server().vendors(&stub).start().await;
    let client = server.client();
    for (model, group) in [(OPENAI, "image"), (DASHSCOPE, "image")] {
        let (mark, task) = run(&client, &stub, model, Script::submits([submit.clone()]), &json!({})).await;
        assert_eq!(failure(&task), code, "{model}");
        assert_eq!((stub.received(&mark), stub.accepted(&mark)), (1, 0), "{model} was asked again");
        let models = client.get("/api/v1/models").await.data();
        assert_eq!(models[group][model]["enabled"], false, "{model} still looks usable");
        refusal(&client.post(IMAGE, &picture(model, "a cat")).await, 503);
    }
}

async fn unknown_states_are_waited_out(rig: Rig) {
    let (stub, mark) = (Stub::start(), stub::marker());
    stub.script(&mark, Script::ends([End::UnknownState]));
    let server = rig.server().vendors(&stub).start().await;
    let client = server.client();
    let id = client.create("image", &picture(DASHSCOPE, &mark)).await;
    pixel_testkit::wait::until("third poll", SOON, || async { (stub.polls(&mark) >= 3).then_some(()) }).await;
    assert_eq!(client.task(&id).await["status"], "processing");
    assert_eq!(stub.accepted(&mark), 1);
}
