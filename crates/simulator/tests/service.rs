//! What all vendors share: keys, references, links, the ledger and its file, the simulator's pages.

#![expect(clippy::expect_used, reason = "a test that cannot go on fails")]

use pixel_simulator::{Fault, Options, Rule, Script, Simulator, Stage};
use pixel_testkit::{Client, Method, Stub, client::Answer, media, stub::marker, wait};
use serde_json::{Value, json};
use std::{net::SocketAddr, time::Duration};

const BEARER: (&str, &str) = ("authorization", "Bearer test-key");

async fn send(client: &Client, key: Option<&str>, body: &Value) -> Answer {
    let mut headers = vec![BEARER];
    headers.extend(key.map(|key| ("idempotency-key", key)));
    client.send(Method::POST, "/lab/v1/jobs", &headers, Some(body.to_string().into_bytes())).await
}

async fn get(client: &Client, path: &str) -> Answer {
    client.send(Method::GET, path, &[BEARER], None).await
}

fn at(address: SocketAddr) -> Client {
    Client::new(&format!("http://{address}"))
}

fn order(model: &str, mark: &str) -> Value {
    json!({ "model": model, "prompt": mark, "reference": format!("ref-{mark}") })
}

#[tokio::test]
async fn a_key_is_remembered() {
    let (stub, mark) = (Stub::start(), marker());
    let client = at(stub.address());
    let first = send(&client, Some("k-1"), &order("keyed", &mark)).await.json();
    let again = send(&client, Some("k-1"), &order("keyed", &mark)).await.json();
    assert_eq!(first["id"], again["id"]);
    let counts = stub.simulator().counts(Some(&mark), None);
    assert_eq!((counts.received, counts.accepted, counts.repeated), (2, 1, 1));
    let mut other = order("keyed", &mark);
    other["n"] = json!(2);
    assert_eq!(send(&client, Some("k-1"), &other).await.status, 422, "another request under the same key");
    assert_eq!(send(&client, None, &order("keyed", &mark)).await.status, 400);
    let plain = async || send(&client, Some("k-1"), &order("plain", &mark)).await.json()["id"].clone();
    assert_ne!(plain().await, plain().await, "this model remembers no key");
}

#[tokio::test]
async fn a_reference_is_found_after_a_while() {
    let (stub, mark) = (Stub::start(), marker());
    let client = at(stub.address());
    let find = format!("/lab/v1/jobs?reference=ref-{mark}");
    let none = async || get(&client, &find).await.json()["jobs"] == json!([]);
    assert!(none().await);
    let id = send(&client, None, &order("searchable", &mark)).await.json()["id"].clone();
    assert!(none().await, "it was visible at once");
    wait::until("job by its reference", Duration::from_secs(5), || async {
        (get(&client, &find).await.json()["jobs"][0]["id"] == id).then_some(())
    })
    .await;
    assert!(stub.simulator().counts(Some(&mark), None).searches >= 2);
}

#[tokio::test]
async fn each_vendor_refuses_other_keys_in_its_own_words() {
    let stub = Stub::start();
    let client = at(stub.address());
    for (path, pointer, code) in [
        ("/openai/v1/images/generations", "/error/code", "invalid_api_key"),
        ("/dashscope/api/v1/services/aigc/text2image/image-synthesis", "/code", "InvalidApiKey"),
        ("/lab/v1/jobs", "/error/code", "unauthorized"),
    ] {
        for headers in [&[][..], &[("authorization", "Bearer wrong")], &[("authorization", "test-key")]] {
            let answer = client.send(Method::POST, path, headers, Some(b"{}".to_vec())).await;
            assert_eq!((answer.status, answer.json().pointer(pointer)), (401, Some(&json!(code))), "{path}");
        }
    }
    let ledger = client.get("/_ledger").await.json();
    assert_eq!(ledger["counts"]["received"], 0);
    assert_eq!(ledger["turned_away"][0]["count"], 3, "{ledger}");
}

#[tokio::test]
async fn links_expire_and_cannot_be_made_up() {
    let (stub, mark) = (Stub::start(), marker());
    let client = at(stub.address());
    stub.simulator().script(Some(&mark), Script { link_s: 2, ..Script::default() });
    let id = send(&client, None, &order("plain", &mark)).await.json()["id"].as_str().expect("an id").to_owned();
    let poll = format!("/lab/v1/jobs/{id}");
    let url = get(&client, &poll).await.json()["results"][0]["url"].as_str().expect("a link").to_owned();
    let file = client.get(&url).await;
    assert_eq!((file.status, media::png_size(&file.bytes)), (200, Some((64, 64))));
    assert_eq!(client.get(&url.replace("Expires=1", "Expires=9")).await.status, 403);
    assert_eq!(client.get(&url.replace("/0.png", "/7.png")).await.status, 403);
    wait::until("expiry", Duration::from_secs(10), || async { (client.get(&url).await.status == 403).then_some(()) })
        .await;
    let fresh = get(&client, &poll).await.json()["results"][0]["url"].as_str().expect("a link").to_owned();
    assert_eq!(client.get(&fresh).await.bytes, file.bytes);
    assert_eq!(stub.violations(), Vec::<String>::new());
    client.send(Method::GET, &fresh, &[BEARER], None).await;
    assert_eq!(client.get("/_ledger").await.json()["violations"].as_array().map(Vec::len), Some(1));
}

#[tokio::test]
async fn the_pages_set_and_show_the_behaviour() {
    let (stub, mark) = (Stub::start(), marker());
    let client = at(stub.address());
    let help = client.get("/").await.text();
    for word in ["/_ledger", "/_script", "/_faults", "LAB_BASE_URL=http://127.0.0.1", "test-key"] {
        assert!(help.contains(word), "{help}");
    }
    let script = json!({ "marker": mark, "faults": [{ "kind": "bad-request", "stage": "submit" }] });
    assert_eq!(client.post("/_script", &script).await.status, 200);
    assert_eq!(client.get("/_script").await.json()["markers"][&mark]["faults"][0]["kind"], "bad-request");
    assert_eq!(send(&client, None, &order("plain", &mark)).await.status, 400);
    assert_eq!(send(&client, None, &order("plain", &mark)).await.status, 200);
    let wrong = client.post("/_script", &json!({ "polls": "many" })).await;
    assert!(wrong.status == 400 && wrong.json()["error"].as_str().is_some_and(|why| why.contains("whole number")));
    let ledger = client.get(&format!("/_ledger?marker={mark}&vendor=lab")).await.json();
    assert_eq!((&ledger["counts"]["refused"], &ledger["counts"]["accepted"]), (&json!(1), &json!(1)), "{ledger}");
    assert_eq!(ledger["accepted"][0]["outputs"], 1);
    assert_eq!(client.get("/_ledger?vendor=nobody").await.status, 400);
    assert_eq!(client.send(Method::DELETE, "/_script", &[], None).await.status, 200);
    assert_eq!(client.get("/_script").await.json()["markers"], json!({}));
    assert_eq!(client.send(Method::POST, "/_reset", &[], None).await.status, 200);
    assert_eq!(client.get("/_ledger").await.json()["accepted"], json!([]));
    assert_eq!((client.get("/_nothing").await.status, client.get("/_reset").await.status), (404, 405));
}

#[tokio::test]
async fn a_rate_strikes_by_the_seed() {
    let mixed =
        |seed| Script { seed, rate: 0.5, kinds: vec![Fault::BadRequest, Fault::Unprocessable], ..Script::default() };
    let run = async |seed| {
        let stub = Stub::start();
        stub.simulator().script(None, mixed(seed));
        let client = at(stub.address());
        let mut statuses = Vec::new();
        for _ in 0..40 {
            statuses.push(send(&client, None, &order("plain", "a kite")).await.status);
        }
        statuses
    };
    let first = run(7).await;
    assert_eq!(first, run(7).await);
    assert_ne!(first, run(8).await);
    assert!(first.contains(&200) && first.iter().any(|status| *status != 200), "{first:?}");
}

fn over(path: &std::path::Path, script: Script) -> std::io::Result<Simulator> {
    Simulator::new(Options { ledger: Some(path.to_owned()), script, ..Options::default() })
}

async fn serve(simulator: Simulator) -> (Simulator, SocketAddr, tokio::task::JoinHandle<()>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let own = simulator.clone();
    let serving = tokio::spawn(async move { own.serve(listener).await });
    (simulator, address, serving)
}

#[tokio::test]
async fn an_acceptance_is_in_the_file_before_it_is_answered() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("ledger.jsonl");
    let mark = marker();
    let unclear = Rule::new(Fault::Reset, Stage::Submit);
    let (simulator, address, serving) =
        serve(over(&path, Script { faults: vec![unclear], ..Script::default() }).expect("it opens")).await;
    let client = at(address);
    let body = order("keyed", &mark);
    let headers = [BEARER, ("idempotency-key", "k-1")];
    let lost = client.try_send(Method::POST, "/lab/v1/jobs", &headers, Some(body.to_string().into_bytes())).await;
    assert!(lost.is_err(), "a reset is no answer");
    let lines = || std::fs::read_to_string(&path).expect("the file").lines().map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(lines().len(), 1, "the reset came before the flush");
    let entry: Value = serde_json::from_str(&lines()[0]).expect("JSON");
    for (name, value) in
        [("number", json!(1)), ("vendor", json!("lab")), ("marker", json!(mark)), ("key", json!("k-1"))]
    {
        assert_eq!(entry[name], value, "{entry}");
    }
    assert_eq!(entry["request_sha256"], media::sha256_hex(body.to_string().as_bytes()));
    // The next life knows the job, the key, and where to go on counting.
    serving.abort();
    assert!(serving.await.is_err());
    drop(simulator);
    // The file is free once the last connection of the earlier life has gone.
    let opened = wait::until("free ledger", Duration::from_secs(10), || async { over(&path, Script::default()).ok() });
    let (simulator, address, _serving) = serve(opened.await).await;
    let client = at(address);
    let id = send(&client, Some("k-1"), &body).await.json()["id"].clone();
    assert_eq!(id, entry["job"]);
    let done = get(&client, &format!("/lab/v1/jobs/{}", id.as_str().expect("an id"))).await.json();
    let file = client.get(done["results"][0]["url"].as_str().expect("a link")).await;
    assert_eq!(media::png_size(&file.bytes), Some((64, 64)));
    send(&client, None, &order("plain", &mark)).await;
    assert_eq!(lines().len(), 2);
    let numbers: Vec<_> = simulator.entries(Some(&mark), None).iter().map(|entry| entry.number).collect();
    assert_eq!(numbers, [1, 2]);
}
