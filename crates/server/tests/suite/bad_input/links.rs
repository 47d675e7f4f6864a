//! The same broken files from a server that the operator allows, and from a vendor.

use super::{
    files::{self, Original, find},
    lab::wanted,
};
use crate::support::{SOON, failure, picture, with};
use pixel_testkit::{Rig, Script, Stub, stub};
use serde_json::json;
use std::{collections::BTreeMap, sync::Arc};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

/// Files that no picture is, by name: what their bytes tell must be found out whoever brings them.
fn broken(originals: &[Original]) -> BTreeMap<String, Vec<u8>> {
    let mut files: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    for name in ["png", "jpg", "gif", "webp"] {
        let whole = find(originals, name);
        for (at, end) in [0, 1, 12, whole.len() / 3, whole.len() / 2, whole.len() - 1].into_iter().enumerate() {
            files.insert(format!("cut-{at}.{name}"), whole[..end].to_vec());
        }
    }
    for name in ["mp4", "webm", "mp3", "wav", "ogg", "flac", "m4a"] {
        files.insert(format!("whole.{name}"), find(originals, name).to_vec());
    }
    let mut large = find(originals, "png").to_vec();
    large[16..24].copy_from_slice(&[0, 0, 0x75, 0x30, 0, 0, 0x75, 0x30]);
    let more: [(&str, &[u8]); 6] = [
        ("large.png", &large),
        ("page.png", b"<!doctype html><html><body>Please sign in"),
        ("script.svg", b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>"),
        ("error.json", b"{\"error\":\"expired\"}"),
        (
            "frames.gif",
            &[b"GIF89a\x01\0\x01\0\0\0\0".as_slice(), &b",\0\0\0\0\x01\0\x01\0\0\x02\0".repeat(1_000), b";"].concat(),
        ),
        ("document.pdf", b"%PDF-1.7\n"),
    ];
    files.extend(more.into_iter().map(|(name, bytes)| (name.to_owned(), bytes.to_vec())));
    files.retain(|name, _| wanted().is_none_or(|part| format!("link/{name}").contains(&part)));
    files
}

/// A name or a link cannot be judged before it is fetched: the task ends, and its vendor never hears.
pub async fn fetched_inputs(rig: &Rig) {
    let stub = Stub::start();
    let files = broken(&files::originals(rig.folder()));
    let address = serve(files.clone()).await;
    let server = rig.server().vendors(&stub).start().await;
    let client = server.client();
    let mut tasks = Vec::new();
    for name in files.keys() {
        let input = json!({ "imageInputs": [format!("http://{address}/{name}")] });
        tasks.push((name, client.create("image", &with(picture("openai/gpt-image-2", "a cat"), &input)).await));
    }
    for (name, id) in tasks {
        let task = client.end_of(&id, SOON).await;
        assert_eq!(failure(&task), "input_refused", "{name}");
        let message = task["error"]["message"].as_str().unwrap_or_default();
        assert!(message.contains("'imageInputs[0]'") && message.ends_with('.'), "{name}: {message}");
    }
    assert_eq!(stub.received_in_all(), 0, "the vendor was asked");
    assert!(!server.logs().contains("panicked"), "{}", server.logs());
    println!("{} linked files", files.len());
}

/// What a vendor sends is judged in the same way; it was paid for once, and not asked for again.
pub async fn vendor_results(rig: &Rig) {
    let stub = Stub::start();
    let files = broken(&files::originals(rig.folder()));
    let server = rig.server().vendors(&stub).start().await;
    let client = server.client();
    let mut tasks = Vec::new();
    // An answer without a picture is another matter: nobody knows what became of the request.
    for (name, bytes) in files.iter().filter(|(_, bytes)| !bytes.is_empty()) {
        let mark = stub::marker();
        stub.script(&mark, Script::media(stub::Media::These(bytes.clone().into())));
        let id = client.create("image", &picture("openai/gpt-image-2", &mark)).await;
        tasks.push((name, mark, id));
    }
    for (name, mark, id) in tasks {
        let task = client.end_of(&id, SOON).await;
        let code = failure(&task);
        assert!(matches!(code.as_str(), "result_unusable" | "vendor_failed"), "{name}: {code}");
        assert_eq!((stub.received(&mark), &task["result"]), (1, &json!(null)), "{name}");
    }
    assert!(!server.logs().contains("panicked"), "{}", server.logs());
    println!("{} files of a vendor", files.len());
}

/// A server on loopback that knows these files.
async fn serve(files: BTreeMap<String, Vec<u8>>) -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback has free ports");
    let address = listener.local_addr().expect("a bound listener has an address");
    let files = Arc::new(files);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let files = Arc::clone(&files);
            tokio::spawn(async move {
                let mut asked = vec![0; 4_096];
                let count = stream.read(&mut asked).await.unwrap_or(0);
                let text = String::from_utf8_lossy(&asked[..count]).into_owned();
                let name = text.split(' ').nth(1).unwrap_or_default().trim_start_matches('/').to_owned();
                let file = files.get(&name).cloned().unwrap_or_default();
                let head = format!(
                    "HTTP/1.1 200 OK\r\ncontent-type: image/png\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
                    file.len()
                );
                // The server under test may hang up: it is its word that counts.
                let _ = stream.write_all(&[head.as_bytes(), &file].concat()).await;
            });
        }
    });
    address
}
