//! Reference images: data URIs, our own media, addresses of others and addresses of nobody.

use crate::support::{IMAGE, SOON, VIDEO, failure, picture, refused_naming, with};
use base64::{Engine, engine::general_purpose::STANDARD};
use pixel_testkit::{Client, Rig, Stub, canary::Canary, isolation, media, on_both, stub};
use serde_json::{Value, json};

on_both!(
    data_uris_are_stored_and_shown_as_media,
    our_own_media_are_inputs,
    pictures_reach_the_vendor,
    private_addresses_are_refused_at_once,
    names_and_bytes_are_judged_before_the_vendor_is_asked,
    models_without_references_refuse_them,
);

fn painter(inputs: &[&str]) -> Value {
    with(picture("sandbox/painter", "a cat"), &json!({ "imageInputs": inputs }))
}

pub fn data_uri(kind: &str, bytes: &[u8]) -> String {
    format!("data:{kind};base64,{}", STANDARD.encode(bytes))
}

async fn data_uris_are_stored_and_shown_as_media(rig: Rig) {
    let server = rig.server().start().await;
    let client = server.client();
    let file = media::png(96, 64, "an input");
    let id = client.create("image", &painter(&[&data_uri("image/png", &file)])).await;
    let shown = client.task(&id).await["params"]["imageInputs"][0].as_str().expect("an address").to_owned();
    assert!(shown.contains("/media/") && !shown.starts_with("data:"), "{shown}");
    let stored = client.get(&shown).await;
    assert_eq!((stored.status, stored.header("content-type")), (200, Some("image/png")));
    assert_eq!(stored.bytes, file);
    assert_eq!(client.end_of(&id, SOON).await["status"], "completed");

    let half = &file[..file.len() / 2];
    let bad = [
        "data:image/png;base64,!!!!".to_owned(),
        "data:image/png;base64,".to_owned(),
        data_uri("text/html", b"<script>alert(1)</script>"),
        data_uri("image/png", b"<svg xmlns='http://www.w3.org/2000/svg'/>"),
        data_uri("image/svg+xml", b"<svg xmlns='http://www.w3.org/2000/svg'/>"),
        data_uri("image/png", &half[..20]),
    ];
    for uri in bad {
        refused_naming(&client, IMAGE, &painter(&[&uri]), "imageInputs").await;
    }
}

async fn our_own_media_are_inputs(rig: Rig) {
    let server = rig.server().start().await;
    let client = server.client();
    let made = client.make("image", &picture("sandbox/painter", "first"), SOON).await;
    let url = made["result"]["images"][0]["url"].as_str().expect("an address").to_owned();
    let again = client.make("image", &painter(&[&client.address(&url)]), SOON).await;
    assert_eq!(again["result"]["images"].as_array().map(Vec::len), Some(1));

    let nowhere = client.address("/media/med_00000000000000000000000000000000.png");
    refused_naming(&client, IMAGE, &painter(&[&nowhere]), "imageInputs").await;
    refused_naming(&client, IMAGE, &painter(&[&client.address("/api/v1/models")]), "imageInputs").await;
}

async fn pictures_reach_the_vendor(rig: Rig) {
    let (stub, mark) = (Stub::start(), stub::marker());
    let server = rig.server().vendors(&stub).start().await;
    let client = server.client();
    let file = media::png(640, 480, "an input");
    let inputs = json!({ "imageInputs": [data_uri("image/png", &file)] });
    client.make("image", &with(picture("openai/gpt-image-2", &mark), &inputs), SOON).await;
    let sent = stub.submissions(&mark).pop().expect("a submission").body;
    assert_eq!(
        (&sent["files"][0]["bytes"], &sent["files"][0]["type"]),
        (&json!(file.len()), &json!("image/png")),
        "{sent}"
    );

    let mark = stub::marker();
    client.make("image", &with(picture("dashscope/qwen-image", &mark), &inputs), SOON).await;
    let sent = stub.submissions(&mark).pop().expect("a submission").body;
    let content = sent["input"]["messages"][0]["content"].as_array().expect("content").clone();
    let prefix = format!("data:image/png;base64,{}", &STANDARD.encode(&file)[..100]);
    assert!(content.iter().any(|item| item["image"].as_str().is_some_and(|uri| uri.starts_with(&prefix))), "{sent}");
    assert_eq!(stub.accepted(&mark), 1);
}

/// Addresses that their own text gives away.
const PRIVATE: &[&str] = &[
    "http://127.0.0.1/a.png",
    "http://127.0.0.1:8000/a.png",
    "http://127.1/a.png",
    "http://2130706433/a.png",
    "http://0x7f000001/a.png",
    "http://0177.0.0.1/a.png",
    "http://0/a.png",
    "http://0.0.0.0/a.png",
    "http://[::1]/a.png",
    "http://[::]/a.png",
    "http://[::ffff:127.0.0.1]/a.png",
    "http://[::ffff:7f00:1]/a.png",
    "http://[::127.0.0.1]/a.png",
    "http://[64:ff9b::7f00:1]/a.png",
    "http://[2002:7f00:1::]/a.png",
    "http://[fe80::1]/a.png",
    "http://[fd00:ec2::254]/a.png",
    "http://[fc00::1]/a.png",
    "http://10.0.0.1/a.png",
    "http://172.16.0.1/a.png",
    "http://192.168.1.1/a.png",
    "http://100.64.0.1/a.png",
    "http://169.254.169.254/latest/meta-data/",
    "http://169.254.170.2/a.png",
    "http://100.100.100.200/a.png",
    "http://192.0.2.1/a.png",
    "http://198.18.0.1/a.png",
    "http://224.0.0.1/a.png",
    "http://255.255.255.255/a.png",
    "http://１２７.０.０.１/a.png",
    "http://127。0。0。1/a.png",
    "http://localhost/a.png",
    "http://localhost:5432/a.png",
    "http://sub.localhost/a.png",
    "http://metadata.google.internal/computeMetadata/v1/",
    "ftp://example.com/a.png",
    "file:///etc/passwd",
    "gopher://example.com/a.png",
    "javascript:alert(1)",
    "http://user:secret@example.com/a.png",
    "not an address",
    "",
    "//example.com/a.png",
    "/etc/passwd",
];

async fn private_addresses_are_refused_at_once(rig: Rig) {
    for address in ["169.254.169.254/32", "10.0.0.1/32"] {
        isolation::own_address(address);
    }
    let canaries = ["127.0.0.1:80", "169.254.169.254:80", "10.0.0.1:80", "[::1]:80"].map(Canary::on);
    let server = rig.server().start().await;
    let client = server.client();
    for address in PRIVATE {
        refused_naming(&client, IMAGE, &painter(&[address]), "imageInputs").await;
        let frame = with(picture("sandbox/animator", "a cat"), &json!({ "imageInputs": [address] }));
        refused_naming(&client, VIDEO, &frame, "imageInputs").await;
    }
    assert_eq!(canaries.map(|canary| canary.touched()), [0; 4]);
    assert_eq!(client.get("/api/v1/tasks").await.data()["items"], json!([]), "a refused request left a task");
}

async fn names_and_bytes_are_judged_before_the_vendor_is_asked(rig: Rig) {
    let (stub, mark) = (Stub::start(), stub::marker());
    let canary = Canary::on("127.0.0.2:0");
    let server = rig.server().vendors(&stub).start().await;
    let client = server.client();
    // The stub's host is allowed, so that what it sends is what is judged.
    let page = format!("http://{}/v1/nothing", stub.address());
    let task = end(&client, &mark, &page).await;
    assert!(matches!(failure(&task).as_str(), "input_refused" | "input_unreachable"), "{task:#}");
    let task = end(&client, &mark, "http://no-such-host.invalid/a.png").await;
    assert!(matches!(failure(&task).as_str(), "input_refused" | "input_unreachable"), "{task:#}");
    assert_eq!((stub.received(&mark), canary.touched()), (0, 0), "the vendor was asked");
}

async fn end(client: &Client, mark: &str, input: &str) -> Value {
    let body = with(picture("openai/gpt-image-2", mark), &json!({ "imageInputs": [input] }));
    let id = client.create("image", &body).await;
    client.end_of(&id, SOON).await
}

async fn models_without_references_refuse_them(rig: Rig) {
    let server = rig.server().start().await;
    let body =
        with(picture("modelscope/qwen-image", "a cat"), &json!({ "imageInputs": ["https://example.com/a.png"] }));
    refused_naming(&server.client(), IMAGE, &body, "imageInputs").await;
}
