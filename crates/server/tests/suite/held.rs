//! The money rule: a submission that may have been accepted is never repeated by itself.

use crate::support::{SOON, failure, picture, refusal, warned, with};
use pixel_testkit::{Client, Rig, Script, Stub, on_both, on_sqlite, stub, stub::Submit, wait};
use serde_json::{Value, json};

on_both!(
    unclear_submissions_are_held,
    a_crash_while_sending_is_held,
    lost_gives_up,
    pay_again_sends_once_more,
    the_hold_ends_by_itself,
    one_held_of_several_holds_the_task,
    only_open_questions_are_answered,
);
on_sqlite!(policies_decide_in_advance, a_submission_without_answer_times_out_into_a_hold);

const OPENAI: &str = "openai/gpt-image-2";
const DASHSCOPE: &str = "dashscope/qwen-image";
const UNCLEAR: [Submit; 4] =
    [Submit::ErrorBeforeAccept, Submit::ErrorAfterAccept, Submit::ResetAfterAccept, Submit::GarbageAfterAccept];

/// A held task; its first submission went as given.
async fn hold(client: &Client, stub: &Stub, model: &str, submit: Submit) -> (String, String, Value) {
    let mark = stub::marker();
    stub.script(&mark, Script::submits([submit]));
    let id = client.create("image", &picture(model, &mark)).await;
    let task = client.attention_of(&id, SOON).await;
    (id, mark, task)
}

fn check_attention(task: &Value) {
    let attention = &task["attention"];
    assert_eq!(task["status"], "processing", "{task:#}");
    assert_eq!(attention["choices"], json!(["lost", "search", "pay_again"]), "{task:#}");
    assert!(attention["reason"].as_str().is_some_and(|reason| !reason.is_empty()), "{task:#}");
    assert!(attention["until"].as_str().is_some_and(|until| until.ends_with('Z')), "{task:#}");
}

async fn unclear_submissions_are_held(rig: Rig) {
    let stub = Stub::start();
    let server = rig.server().vendors(&stub).start().await;
    let client = server.client();
    let mut held = Vec::new();
    for model in [OPENAI, DASHSCOPE] {
        for submit in UNCLEAR {
            let (id, mark, task) = hold(&client, &stub, model, submit.clone()).await;
            check_attention(&task);
            held.push((id, mark, model, submit));
        }
    }
    // Others work on; nothing of the held ones moves meanwhile.
    for model in [OPENAI, DASHSCOPE] {
        client.make("image", &picture(model, "another"), SOON).await;
    }
    for (id, mark, model, submit) in held {
        assert_eq!(stub.received(&mark), 1, "{model} was asked again after {submit:?}");
        check_attention(&client.task(&id).await);
    }
}

async fn a_crash_while_sending_is_held(rig: Rig) {
    let stub = Stub::start();
    let mut server = rig.server().vendors(&stub).env("PIXEL_LEASE_S", 3).start().await;
    let mut sent = Vec::new();
    for model in [OPENAI, DASHSCOPE] {
        let mark = stub::marker();
        stub.script(&mark, Script::submits([Submit::HangAfterAccept]));
        sent.push((server.client().create("image", &picture(model, &mark)).await, mark));
    }
    wait::until("submissions", SOON, || async { sent.iter().all(|(_, mark)| stub.accepted(mark) == 1).then_some(()) })
        .await;
    server.kill9();
    server.restart().await;
    for (id, mark) in &sent {
        check_attention(&server.client().attention_of(id, SOON).await);
        assert_eq!(stub.received(mark), 1, "the next life sent it again");
    }
}

async fn lost_gives_up(rig: Rig) {
    let stub = Stub::start();
    let server = rig.server().vendors(&stub).start().await;
    let client = server.client();
    let (id, mark, _) = hold(&client, &stub, DASHSCOPE, Submit::ErrorAfterAccept).await;
    assert_eq!(client.resolve(&id, "lost").await.status, 200);
    let task = client.end_of(&id, SOON).await;
    assert_eq!(failure(&task), "submit_lost");
    assert!(task["attention"].is_null(), "{task:#}");
    assert_eq!(stub.received(&mark), 1);
}

async fn pay_again_sends_once_more(rig: Rig) {
    let stub = Stub::start();
    let mut server = rig.server().vendors(&stub).start().await;
    let client = server.client();
    for model in [OPENAI, DASHSCOPE] {
        let (id, mark, _) = hold(&client, &stub, model, Submit::ErrorAfterAccept).await;
        assert_eq!(client.resolve(&id, "pay_again").await.status, 200);
        let task = client.end_of(&id, SOON).await;
        assert_eq!(task["status"], "completed", "{task:#}");
        assert_eq!(stub.accepted(&mark), 2);
        // Asked twice, it would be paid a third time.
        refusal(&client.resolve(&id, "pay_again").await, 409);
        assert_eq!(stub.accepted(&mark), 2);
    }
    // Once more unclear is held once more, and a restart does not spend the permission again.
    let mark = stub::marker();
    stub.script(&mark, Script::submits([Submit::ErrorAfterAccept, Submit::ResetAfterAccept]));
    let id = client.create("image", &picture(DASHSCOPE, &mark)).await;
    client.attention_of(&id, SOON).await;
    client.resolve(&id, "pay_again").await;
    wait::until("second submission", SOON, || async { (stub.received(&mark) == 2).then_some(()) }).await;
    client.attention_of(&id, SOON).await;
    server.restart().await;
    check_attention(&server.client().attention_of(&id, SOON).await);
    assert_eq!(stub.received(&mark), 2);
}

async fn the_hold_ends_by_itself(rig: Rig) {
    let (stub, mark) = (Stub::start(), stub::marker());
    stub.by_default(Script::submits([Submit::ResetAfterAccept]));
    let server = rig.server().vendors(&stub).env("PIXEL_HOLD_S", 1).start().await;
    let client = server.client();
    let id = client.create("image", &picture(OPENAI, &mark)).await;
    assert_eq!(failure(&client.end_of(&id, SOON).await), "submit_outcome_unknown");
    assert_eq!((stub.received(&mark), stub.accepted(&mark)), (1, 1));
}

async fn one_held_of_several_holds_the_task(rig: Rig) {
    let (stub, mark) = (Stub::start(), stub::marker());
    stub.script(&mark, Script::submits([Submit::Accept, Submit::ErrorAfterAccept, Submit::Accept]));
    let server = rig.server().vendors(&stub).start().await;
    let client = server.client();
    let id = client.create("image", &with(picture(DASHSCOPE, &mark), &json!({ "n": 3 }))).await;
    wait::until("three submissions", SOON, || async { (stub.received(&mark) == 3).then_some(()) }).await;
    check_attention(&client.attention_of(&id, SOON).await);
    client.resolve(&id, "lost").await;
    let task = client.end_of(&id, SOON).await;
    assert_eq!(
        (&task["status"], task["result"]["images"].as_array().map(Vec::len)),
        (&json!("completed"), Some(2)),
        "{task:#}"
    );
    assert!(!warned(&task).is_empty());
    assert_eq!(stub.received(&mark), 3);
}

async fn only_open_questions_are_answered(rig: Rig) {
    let stub = Stub::start();
    let server = rig.server().vendors(&stub).start().await;
    let client = server.client();
    let done = client.make("image", &picture(OPENAI, "done"), SOON).await;
    refusal(&client.resolve(done["id"].as_str().expect("an id"), "lost").await, 409);
    refusal(&client.resolve("task_00000000000000000000000000000000", "lost").await, 404);
    let (id, mark, _) = hold(&client, &stub, DASHSCOPE, Submit::ErrorAfterAccept).await;
    for bad in [json!({ "choice": "maybe" }), json!({}), json!({ "choice": 5 }), json!([])] {
        refusal(&client.post(&format!("/api/v1/tasks/{id}/resolve"), &bad).await, 400);
    }
    // This vendor cannot be searched: the question stays open, whatever the answer's status.
    client.resolve(&id, "search").await;
    check_attention(&client.attention_of(&id, SOON).await);
    assert_eq!(stub.received(&mark), 1);
}

async fn policies_decide_in_advance(rig: Rig) {
    let stub = Stub::start();
    let server = rig
        .server()
        .vendors(&stub)
        .env("PIXEL_HOLD_POLICY", "lost")
        .env("PIXEL_HOLD_PROJECTS", "rich=pay_again")
        .start()
        .await;
    let client = server.client();
    let mark = stub::marker();
    stub.script(&mark, Script::submits([Submit::ErrorAfterAccept]));
    let id = client.create("image", &picture(DASHSCOPE, &mark)).await;
    assert_eq!(failure(&client.end_of(&id, SOON).await), "submit_lost");
    assert_eq!(stub.received(&mark), 1);

    let mark = stub::marker();
    stub.script(&mark, Script::submits([Submit::ErrorAfterAccept]));
    let task = client.make("image", &with(picture(DASHSCOPE, &mark), &json!({ "projectId": "rich" })), SOON).await;
    assert_eq!((&task["status"], stub.received(&mark)), (&json!("completed"), 2));

    // The permission is for one submission more, not for as many as it takes.
    let mark = stub::marker();
    stub.script(&mark, Script::submits(vec![Submit::ErrorAfterAccept; 9]));
    let id = client.create("image", &with(picture(DASHSCOPE, &mark), &json!({ "projectId": "rich" }))).await;
    wait::until("hold after the second submission", SOON, || async {
        assert!(stub.received(&mark) <= 2, "the policy paid {} times", stub.received(&mark));
        client.task(&id).await["attention"].is_object().then_some(())
    })
    .await;
    assert_eq!(stub.received(&mark), 2);
}

/// DashScope's submission has a minute; there is no shorter way to see it run out.
async fn a_submission_without_answer_times_out_into_a_hold(rig: Rig) {
    let (stub, mark) = (Stub::start(), stub::marker());
    stub.script(&mark, Script::submits([Submit::HangAfterAccept]));
    let server = rig.server().vendors(&stub).start().await;
    let client = server.client();
    let id = client.create("image", &picture(DASHSCOPE, &mark)).await;
    check_attention(&client.attention_of(&id, SOON * 2).await);
    assert_eq!(stub.received(&mark), 1);
}
