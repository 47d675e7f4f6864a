//! Chat that a vendor answers: passed on whole and as it comes, refused in the right words, and
//! ended when nobody listens any more.

use super::{PATH, chunks, question, told};
use crate::{
    keys::provider,
    support::{SOON, refusal, with},
};
use pixel_simulator::{Fault, Rule, Script, Span, Stage};
use pixel_testkit::{Client, Rig, Server, Stub, client::Answer, on_sqlite, server::Launch, stub, wait};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

on_sqlite!(
    a_vendor_answers_whole_and_streamed,
    refusals_are_told_and_nothing_is_sent_twice,
    a_refused_credential_parks_its_vendor,
    what_a_key_is_refused_for_another_is_spared,
    what_may_have_been_answered_stays_with_its_key,
    a_vendor_that_cannot_be_reached_is_unavailable,
    an_answer_that_breaks_off_ends_with_an_error,
    silence_ends_in_time,
    a_caller_who_hangs_up_stops_the_vendor,
    chats_have_a_most,
    secrets_are_nowhere,
);

const DASHSCOPE: &str = "dashscope/qwen-plus";
const OPENAI: &str = "openai/gpt-6-luna";
/// The key of another account.
const SECOND: &str = "test-key-2";
const VENDORS: [(&str, &str); 2] = [(DASHSCOPE, "qwen-plus"), (OPENAI, "gpt-6-luna")];

/// What happens to the chats with this marker.
fn script(stub: &Stub, mark: &str, faults: impl IntoIterator<Item = Rule>) {
    let faults = faults.into_iter().collect();
    stub.simulator().script(Some(mark), Script { faults, ..Script::default() });
}

/// Asks once, with a fault.
async fn struck(client: &Client, stub: &Stub, model: &str, is_streamed: bool, rule: Rule) -> (String, Answer) {
    let mark = stub::marker();
    script(stub, &mark, [rule]);
    let answer = client.post(PATH, &with(question(model, &mark), &json!({ "stream": is_streamed }))).await;
    assert!(stub.simulator().counts(Some(&mark), None).struck > 0, "the fault was not tried: {}", answer.text());
    (mark, answer)
}

async fn a_vendor_answers_whole_and_streamed(rig: Rig) {
    let stub = Stub::start();
    let server = rig.server().vendors(&stub).start().await;
    let client = server.client();
    for (model, vendor_model) in VENDORS {
        let mark = stub::marker();
        let more =
            json!({ "temperature": 0.5, "tools": [{ "type": "function" }], "enable_thinking": true, "new": [1] });
        let body = with(question(model, &format!("Hello {mark} again")), &more);
        let whole = client.post(PATH, &body).await;
        assert_eq!(whole.status, 200, "{}", whole.text());
        let whole = whole.json();
        let message = &whole["choices"][0]["message"];
        let text = format!("You said: Hello {mark} again");
        assert_eq!((&whole["model"], &message["content"]), (&json!(model), &json!(text)), "{whole}");
        assert_eq!(whole["choices"][0]["finish_reason"], "stop");
        assert!(message["reasoning_content"].is_string() && whole["usage"]["total_tokens"].is_number(), "{whole}");

        let asked = with(body.clone(), &json!({ "stream": true, "stream_options": { "include_usage": true } }));
        let streamed = client.post(PATH, &asked).await;
        assert!(streamed.header("content-type").is_some_and(|kind| kind.starts_with("text/event-stream")));
        let chunks = chunks(&streamed);
        assert!(chunks.iter().all(|chunk| chunk["model"] == model && chunk["object"] == "chat.completion.chunk"));
        assert!(chunks.iter().any(|chunk| chunk["choices"][0]["delta"]["reasoning_content"].is_string()));
        assert_eq!(told(&chunks), text);
        assert_eq!(chunks.last().expect("chunks")["usage"], whole["usage"]);

        // What the vendor got is what we got, but for the name of the model.
        let sent: Vec<Value> = stub.submissions(&mark).into_iter().map(|submission| submission.body).collect();
        let model = json!({ "model": vendor_model });
        assert_eq!(sent, [with(body, &model), with(asked, &model)]);
    }
    assert_eq!(stub.violations(), Vec::<String>::new());
    // Nothing of it is a task.
    assert_eq!(client.get("/api/v1/tasks").await.data()["items"], json!([]));
}

async fn refusals_are_told_and_nothing_is_sent_twice(rig: Rig) {
    let stub = Stub::start();
    let server = rig.server().vendors(&stub).start().await;
    let client = server.client();
    let cases = [
        (Fault::BadRequest, 400),
        (Fault::Moderation, 400),
        (Fault::NotFound, 400),
        (Fault::Unprocessable, 400),
        (Fault::RateLimitSeconds, 429),
        (Fault::RateLimitBare, 429),
        (Fault::RateLimitTenYears, 429),
        (Fault::ErrorBeforeAccept, 502),
        (Fault::ErrorAfterAccept, 502),
        (Fault::BadGateway, 502),
        (Fault::ServiceUnavailable, 502),
        (Fault::GatewayTimeout, 502),
        (Fault::Reset, 502),
        (Fault::GarbageJson, 502),
        (Fault::HtmlPage, 502),
        (Fault::WrongSchema, 502),
        (Fault::MissingId, 502),
    ];
    for (kind, status) in cases {
        for (model, is_streamed) in [(DASHSCOPE, false), (DASHSCOPE, true), (OPENAI, false), (OPENAI, true)] {
            let name = format!("{} at {model}, streamed: {is_streamed}", kind.name());
            let mut rule = Rule::new(kind, Stage::Submit);
            rule.wait = Some("7".to_owned());
            let (mark, answer) = struck(&client, &stub, model, is_streamed, rule).await;
            assert_eq!(answer.status, status, "{name}: {}", answer.text());
            let message = refusal(&answer, status);
            let error = answer.json()["error"].clone();
            assert_eq!((&error["message"], &error["code"]), (&json!(message), &json!(status.to_string())), "{name}");
            assert!(!answer.text().contains(stub::KEY), "{name}: {}", answer.text());
            let wait = match kind {
                Fault::RateLimitSeconds => Some("7"),
                // Capped.
                Fault::RateLimitTenYears => Some("3600"),
                _ => None,
            };
            assert_eq!(answer.header("retry-after"), wait, "{name}");
            assert_eq!(stub.received(&mark), 1, "{name}");
        }
    }
}

async fn a_refused_credential_parks_its_vendor(rig: Rig) {
    let stub = Stub::start();
    for kind in [Fault::Unauthorized, Fault::Forbidden, Fault::PaymentRequired] {
        for (model, is_streamed) in [(DASHSCOPE, true), (OPENAI, false)] {
            let server = rig.replica(&format!("{}-{is_streamed}", kind.name())).vendors(&stub).start().await;
            let client = server.client();
            let (mark, answer) = struck(&client, &stub, model, is_streamed, Rule::new(kind, Stage::Submit)).await;
            let message = refusal(&answer, 503);
            assert!(message.contains("credential") || message.contains("balance"), "{message}");
            // It is known now, so that the vendor is not asked.
            refusal(&client.post(PATH, &question(model, &mark)).await, 503);
            assert_eq!(stub.received(&mark), 1, "{message}");
        }
    }
}

/// The accounts that answered a marker, in order; the first one has no name.
fn answered(stub: &Stub, mark: &str) -> Vec<Option<String>> {
    stub.simulator().entries(Some(mark), None).into_iter().map(|entry| entry.account).collect()
}

fn two_keys(rig: &Rig, home: &str, stub: &Stub) -> Launch {
    rig.replica(home).vendors(stub).env("OPENAI_API_KEY_2", SECOND)
}

async fn what_a_key_is_refused_for_another_is_spared(rig: Rig) {
    let stub = Stub::start();
    let second = vec![Some(SECOND.to_owned())];
    for (kind, state) in [
        (Fault::Unauthorized, "parked"),
        (Fault::Forbidden, "parked"),
        (Fault::PaymentRequired, "parked"),
        (Fault::RateLimitSeconds, "limited"),
    ] {
        for is_streamed in [false, true] {
            let name = format!("{}-{is_streamed}", kind.name());
            let server = two_keys(&rig, &name, &stub).start().await;
            let client = server.client();
            let rule = Rule { wait: Some("600".to_owned()), ..Rule::new(kind, Stage::Submit) };
            let (mark, answer) = struck(&client, &stub, OPENAI, is_streamed, rule.clone()).await;
            let text = format!("You said: {mark}");
            let came = match (answer.status, is_streamed) {
                (200, true) => told(&chunks(&answer)),
                (200, false) => answer.json()["choices"][0]["message"]["content"].as_str().expect("text").to_owned(),
                _ => panic!("{name}: {}", answer.text()),
            };
            assert_eq!((came, stub.received(&mark)), (text, 2), "{name}");
            assert_eq!(answered(&stub, &mark), second, "{name}");
            let shown = provider(&client, "openai").await;
            let states = [&shown["keys"][0]["state"], &shown["keys"][1]["state"]];
            assert_eq!(states, [state, "ready"], "{name}: {shown:#}");

            // It is known now, to tasks as well.
            let mark = stub::marker();
            assert_eq!(client.post(PATH, &question(OPENAI, &mark)).await.status, 200);
            client.make("image", &json!({ "model": "openai/gpt-image-2", "prompt": mark }), SOON).await;
            assert_eq!(answered(&stub, &mark), [second.clone(), second.clone()].concat(), "{name}");

            // The other is refused as well: no third try, and nobody is asked any more.
            let (mark, answer) = struck(&client, &stub, OPENAI, is_streamed, rule).await;
            refusal(&answer, if kind == Fault::RateLimitSeconds { 429 } else { 503 });
            refusal(&client.post(PATH, &question(OPENAI, &mark)).await, 503);
            assert_eq!((stub.received(&mark), stub.accepted(&mark)), (1, 0), "{name}");
        }
    }
    // What a task has learned spares a chat.
    let server = two_keys(&rig, "task", &stub).start().await;
    let client = server.client();
    let mark = stub::marker();
    script(&stub, &mark, [Rule::new(Fault::Unauthorized, Stage::Submit)]);
    client.make("image", &json!({ "model": "openai/gpt-image-2", "prompt": mark }), SOON).await;
    assert_eq!(client.post(PATH, &question(OPENAI, &mark)).await.status, 200);
    assert_eq!((stub.received(&mark), answered(&stub, &mark)), (3, [second.clone(), second].concat()));
    assert_eq!(stub.violations(), Vec::<String>::new());
    assert!(!server.logs().contains(SECOND), "a key stands in the log");
}

async fn what_may_have_been_answered_stays_with_its_key(rig: Rig) {
    let stub = Stub::start();
    let server = two_keys(&rig, "server", &stub).start().await;
    let client = server.client();
    let unsure = [Fault::ErrorBeforeAccept, Fault::Reset, Fault::GarbageJson, Fault::GatewayTimeout, Fault::HtmlPage];
    // Another key would be refused for these as well.
    for kind in unsure.into_iter().chain([Fault::BadRequest, Fault::Moderation, Fault::NotFound]) {
        for is_streamed in [false, true] {
            let (mark, answer) = struck(&client, &stub, OPENAI, is_streamed, Rule::new(kind, Stage::Submit)).await;
            assert!(answer.status >= 400, "{}: {}", kind.name(), answer.text());
            assert_eq!(stub.received(&mark), 1, "{}: sent again", kind.name());
        }
    }
    // Nor is anything sent again once the caller has heard a word.
    let (mark, answer) = struck(&client, &stub, OPENAI, true, Rule::new(Fault::JobFailed, Stage::Poll)).await;
    assert_eq!((answer.status, stub.received(&mark)), (200, 1));
}

async fn a_vendor_that_cannot_be_reached_is_unavailable(rig: Rig) {
    let stub = Stub::start();
    let nowhere = stub.simulator().address_of(Fault::ConnectionRefused).await.expect("addresses").expect("one");
    let server = rig.server().vendors(&stub).env("OPENAI_BASE_URL", format!("{nowhere}/openai/v1")).start().await;
    for is_streamed in [false, true] {
        let body = with(question(OPENAI, "hi"), &json!({ "stream": is_streamed }));
        let message = refusal(&server.client().post(PATH, &body).await, 503);
        assert!(message.contains("cannot be reached") && !message.contains("127.0.0.1"), "{message}");
    }
    assert_eq!(server.logs().matches("once more").count(), 2, "a call that did not leave is tried again, and once");
}

async fn an_answer_that_breaks_off_ends_with_an_error(rig: Rig) {
    let stub = Stub::start();
    let server = rig.server().vendors(&stub).start().await;
    let client = server.client();
    let cases = [
        (Fault::CutWithLength, Stage::Fetch, "502"),
        (Fault::CutWithoutLength, Stage::Fetch, "502"),
        (Fault::JobFailed, Stage::Poll, "502"),
        (Fault::JobModerated, Stage::Poll, "400"),
    ];
    for (kind, stage, code) in cases {
        for (model, _) in VENDORS {
            let (mark, answer) = struck(&client, &stub, model, true, Rule::new(kind, stage)).await;
            assert_eq!(answer.status, 200, "it began well: {}", answer.text());
            let events = super::events(&answer);
            let (last, before) = events.split_last().expect("events");
            assert!(!before.is_empty() && before.iter().all(|chunk| chunk["choices"].is_array()), "{events:?}");
            assert_eq!((&last["error"]["code"], last.get("choices")), (&json!(code), None), "{} {last}", kind.name());
            assert!(last["error"]["message"].as_str().is_some_and(|text| !text.is_empty()), "{last}");
            assert_eq!(stub.received(&mark), 1);
            let (_, whole) = struck(&client, &stub, model, false, Rule::new(kind, stage)).await;
            refusal(&whole, code.parse().expect("a status"));
        }
    }
}

async fn silence_ends_in_time(rig: Rig) {
    let stub = Stub::start();
    let launch = rig.server().vendors(&stub).env("PIXEL_CHAT_FIRST_S", 1).env("PIXEL_CHAT_IDLE_S", 1);
    let server = launch.env("PIXEL_CHAT_TOTAL_S", 3).start().await;
    let client = server.client();
    for (model, _) in VENDORS {
        for (kind, is_streamed) in [(Fault::NoAnswer, true), (Fault::SlowHeaders, true), (Fault::NoAnswer, false)] {
            let (mark, answer) = struck(&client, &stub, model, is_streamed, Rule::new(kind, Stage::Submit)).await;
            refusal(&answer, 504);
            assert_eq!(stub.received(&mark), 1, "nothing is sent twice");
        }
        let (_, answer) = struck(&client, &stub, model, true, Rule::new(Fault::HalfOpen, Stage::Fetch)).await;
        let events = super::events(&answer);
        assert!(events.len() > 1 && events.last().expect("events")["error"]["code"] == "504", "{events:?}");
        let (_, answer) = struck(&client, &stub, model, false, Rule::new(Fault::HalfOpen, Stage::Fetch)).await;
        refusal(&answer, 504);
    }
    all_closed(&stub).await;
}

/// Every call has come to its end, or its caller has hung up.
async fn all_closed(stub: &Stub) {
    wait::until("end of every call", SOON, || async { (stub.simulator().open() == 0).then_some(()) }).await;
}

/// Asks over a connection of its own, and reads until this has come.
async fn ask_and_read(server: &Server, body: &Value, until: &str) -> TcpStream {
    let address = server.url().trim_start_matches("http://");
    let mut wire = TcpStream::connect(address).await.expect("the server listens");
    let body = body.to_string();
    let head = format!("POST {PATH} HTTP/1.1\r\nhost: localhost\r\ncontent-length: {}\r\n\r\n", body.len());
    wire.write_all(format!("{head}{body}").as_bytes()).await.expect("it is taken");
    let mut text = Vec::new();
    while !String::from_utf8_lossy(&text).contains(until) {
        text.push(timeout(SOON, wire.read_u8()).await.expect("in time").expect("no end"));
    }
    wire
}

async fn a_caller_who_hangs_up_stops_the_vendor(rig: Rig) {
    let stub = Stub::start();
    let server = rig.server().vendors(&stub).start().await;
    for (model, _) in VENDORS {
        // In the middle of a stream: what was said so far is here while the vendor still thinks.
        let mark = stub::marker();
        script(&stub, &mark, [Rule::new(Fault::HalfOpen, Stage::Fetch)]);
        let body = with(question(model, &mark), &json!({ "stream": true }));
        let wire = ask_and_read(&server, &body, "data: {").await;
        assert_eq!(stub.simulator().open(), 1);
        drop(wire);
        all_closed(&stub).await;
        // Before the first word, whole or streamed.
        for is_streamed in [false, true] {
            let mark = stub::marker();
            let latency_ms = Span::from(3_600_000);
            stub.simulator().script(Some(&mark), Script { latency_ms, ..Script::default() });
            let body = with(question(model, &mark), &json!({ "stream": is_streamed }));
            let wire = ask_and_read(&server, &body, "").await;
            wait::until("the call", SOON, || async { (stub.received(&mark) == 1).then_some(()) }).await;
            assert_eq!(stub.simulator().open(), 1);
            drop(wire);
            all_closed(&stub).await;
        }
    }
}

async fn chats_have_a_most(rig: Rig) {
    let stub = Stub::start();
    let server = rig.server().vendors(&stub).env("PIXEL_CHATS_MAX", 1).start().await;
    let client = server.client();
    let mark = stub::marker();
    script(&stub, &mark, [Rule::new(Fault::HalfOpen, Stage::Fetch)]);
    let body = with(question(OPENAI, &mark), &json!({ "stream": true }));
    let wire = ask_and_read(&server, &body, "data: {").await;
    let answer = client.post(PATH, &question(DASHSCOPE, "hi")).await;
    refusal(&answer, 429);
    assert_eq!(answer.header("retry-after"), Some("1"));
    assert_eq!(client.post(PATH, &question("sandbox/writer", "hi")).await.status, 200, "the sandbox is no vendor");
    drop(wire);
    let free = || async { (client.post(PATH, &question(DASHSCOPE, "hi")).await.status == 200).then_some(()) };
    wait::until("place for another", SOON, free).await;
}

async fn secrets_are_nowhere(rig: Rig) {
    const SECRET: &str = "canary-7d1f0c55e2";
    let stub = Stub::start();
    let launch = rig.server().vendors(&stub).env("PIXEL_LOG", "trace");
    let server = launch.env("OPENAI_API_KEY", SECRET).env("DASHSCOPE_API_KEY", SECRET).start().await;
    let client = server.client();
    for (model, _) in VENDORS {
        let body = with(question(model, "hi"), &json!({ "stream": model == OPENAI }));
        let answer = client.post(PATH, &body).await;
        refusal(&answer, 503);
        assert!(!answer.text().contains(SECRET), "{}", answer.text());
    }
    let logs = server.logs();
    assert!(logs.contains("a chat was refused") && !logs.contains(SECRET), "the key stands in the log");
    assert_eq!(stub.received_in_all(), 0);
}
