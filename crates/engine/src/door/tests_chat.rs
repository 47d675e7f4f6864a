//! Chats through the door, against servers on loopback that do what no library would.

use super::{
    Door, DoorLimits,
    chat::{Broken, ChatLimits, Heard, Stream},
};
use pixel_core::vendor::{Answer, Body, HttpCall, Method, Repeat};
use pixel_store::blobs::Blobs;
use serde_json::json;
use std::{net::SocketAddr, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::oneshot,
    time::timeout,
};

const SOON: Duration = Duration::from_secs(30);
const SHORT: Duration = Duration::from_millis(200);
const HEAD: &str = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\nx-id: 7\r\n\r\n";

fn limits() -> ChatLimits {
    ChatLimits { first_byte: SOON, idle: SOON, total: SOON, event_bytes: 100, stream_bytes: 1000 }
}

/// A server that takes one request and then does as it is told.
async fn serve<F: Future<Output = ()> + Send>(act: impl FnOnce(TcpStream) -> F + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = Vec::new();
        while !request.ends_with(b"{\"x\":1}") {
            request.push(stream.read_u8().await.unwrap());
        }
        act(stream).await;
    });
    address
}

/// One that sends this and then holds its tongue, or hangs up.
async fn saying(text: impl Into<String>, hangs_up: bool) -> SocketAddr {
    let text = text.into();
    serve(async move |mut stream: TcpStream| {
        // Whoever has heard enough may hang up first.
        let _ = stream.write_all(text.as_bytes()).await;
        if !hangs_up {
            let _ = stream.read_u8().await;
        }
    })
    .await
}

async fn ask(address: SocketAddr, is_streamed: bool, limits: &ChatLimits) -> Result<Heard, Broken> {
    let data = tempfile::tempdir().unwrap();
    let door = Door::new(Blobs::open(data.path()).unwrap(), DoorLimits::default()).unwrap();
    let call = HttpCall {
        method: Method::Post,
        url: format!("http://{address}/chat"),
        headers: Vec::new(),
        body: Body::json(&json!({ "x": 1 })),
        repeat: Repeat::Never,
        media: Vec::new(),
        timeout: limits.total,
        sign: None,
        share: None,
    };
    timeout(SOON, door.chat(&call, is_streamed, limits)).await.expect("it ends in time")
}

async fn streamed(address: SocketAddr, limits: &ChatLimits) -> (Answer, Stream) {
    match ask(address, true, limits).await {
        Ok(Heard::Stream(head, stream)) => (head, *stream),
        other => panic!("no stream: {other:?}"),
    }
}

/// Everything that comes, and how it ends.
async fn all(address: SocketAddr, limits: &ChatLimits) -> (Vec<String>, Option<Broken>) {
    let (_, mut stream) = streamed(address, limits).await;
    let mut told = Vec::new();
    loop {
        match timeout(SOON, stream.next()).await.expect("it ends in time") {
            Ok(Some(data)) => told.push(String::from_utf8(data).unwrap()),
            Ok(None) => return (told, None),
            Err(broken) => return (told, Some(broken)),
        }
    }
}

#[tokio::test]
async fn events_come_while_the_vendor_still_writes() {
    let (heard, hears) = oneshot::channel::<()>();
    let address = serve(async move |mut stream: TcpStream| {
        stream.write_all(format!("{HEAD}data: one\n\nda").as_bytes()).await.unwrap();
        // The second half is written only when the first was read.
        hears.await.unwrap();
        stream.write_all(b"ta: two\n\ndata: [DONE]").await.unwrap();
    })
    .await;
    let (head, mut stream) = streamed(address, &limits()).await;
    assert_eq!((head.status, head.header("x-id")), (200, Some("7")));
    assert_eq!(stream.next().await, Ok(Some(b"one".to_vec())));
    heard.send(()).unwrap();
    assert_eq!(stream.next().await, Ok(Some(b"two".to_vec())));
    assert_eq!(stream.next().await, Ok(Some(b"[DONE]".to_vec())));
    assert_eq!(stream.next().await, Ok(None));
    assert_eq!(stream.next().await, Ok(None), "the end stays the end");
}

#[tokio::test]
async fn whoever_drops_a_stream_hangs_up() {
    let (closed, closes) = oneshot::channel();
    let address = serve(async move |mut stream: TcpStream| {
        stream.write_all(format!("{HEAD}data: one\n\n").as_bytes()).await.unwrap();
        let end = stream.read(&mut [0; 8]).await;
        closed.send(matches!(end, Ok(0) | Err(_))).unwrap();
    })
    .await;
    let (_, mut stream) = streamed(address, &limits()).await;
    assert_eq!(stream.next().await, Ok(Some(b"one".to_vec())));
    drop(stream);
    assert!(timeout(SOON, closes).await.expect("the vendor hears of it").unwrap());
}

#[tokio::test]
async fn silence_is_not_waited_out() {
    let early = ChatLimits { first_byte: SHORT, ..limits() };
    let late = |broken: Option<Broken>| matches!(broken, Some(Broken::Late(_)));
    assert!(late(ask(saying("HTTP/1.1 200 O", false).await, true, &early).await.err()), "no head");
    let (told, broken) = all(saying(HEAD, false).await, &early).await;
    assert!(told.is_empty() && late(broken), "no first event");

    let idle = ChatLimits { idle: SHORT, ..limits() };
    let (told, broken) = all(saying(format!("{HEAD}data: one\n\ndata: tw"), false).await, &idle).await;
    assert!(told == ["one"] && late(broken));

    let total = ChatLimits { total: SHORT, ..limits() };
    assert!(late(ask(saying("HTTP/1.1 200 OK\r\n\r\n{", false).await, false, &total).await.err()), "half a document");
    let (idle, total) = (SHORT * 5, SHORT * 8);
    let (told, broken) = all(dripping(":\n").await, &ChatLimits { idle, total, ..limits() }).await;
    let over = Broken::Late("it was not over in time".to_owned());
    assert!(told.is_empty() && broken == Some(over), "comments hold off the idle time-out, and no other");
    let (_, broken) = all(dripping("data: ").await, &early).await;
    assert!(late(broken), "bytes that make no event hold off nothing");
}

/// Begins a stream, and then says the same again and again.
async fn dripping(text: &'static str) -> SocketAddr {
    serve(async move |mut stream: TcpStream| {
        stream.write_all(HEAD.as_bytes()).await.unwrap();
        while stream.write_all(text.as_bytes()).await.is_ok() {
            tokio::time::sleep(SHORT / 10).await;
        }
    })
    .await
}

#[tokio::test]
async fn a_stream_has_a_measure() {
    let long = "x".repeat(100);
    let (told, broken) = all(saying(format!("{HEAD}data: one\n\ndata: {long}\n\n"), true).await, &limits()).await;
    assert_eq!(told, ["one"]);
    assert_eq!(broken, Some(Broken::Cut("an event of the stream is larger than 100 bytes".to_owned())));
    let many = "data: twenty letters, so\n\n".repeat(100);
    let (told, broken) = all(saying(format!("{HEAD}{many}"), false).await, &limits()).await;
    assert!(told.len() < 100);
    assert_eq!(broken, Some(Broken::Cut("the stream is larger than 1000 bytes".to_owned())));
}

#[tokio::test]
async fn an_end_that_comes_too_early_is_one() {
    let head = HEAD.replace("x-id: 7", "content-length: 100");
    let (told, broken) = all(saying(format!("{head}data: one\n\n"), true).await, &limits()).await;
    assert!(told == ["one"] && matches!(&broken, Some(Broken::Cut(why)) if why.contains("broke off")), "{broken:?}");
    let cut = ask(saying("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{", true).await, false, &limits()).await;
    assert!(matches!(cut, Err(Broken::Cut(_))), "{cut:?}");
    let gone = ask(saying("", true).await, true, &limits()).await;
    assert!(matches!(gone, Err(Broken::Cut(_))), "it may have left: {gone:?}");
}

#[tokio::test]
async fn what_is_no_stream_is_whole() {
    let refused = "HTTP/1.1 429 No\r\ncontent-type: text/event-stream\r\nretry-after: 7\r\n\r\n{\"error\":1}";
    match ask(saying(refused, true).await, true, &limits()).await {
        Ok(Heard::Whole(answer)) => {
            assert_eq!((answer.status, answer.header("retry-after")), (429, Some("7")));
            assert_eq!(answer.body, json!({ "error": 1 }));
        }
        other => panic!("not an answer: {other:?}"),
    }
    let whole = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n{\"a\":1}";
    let answer = ask(saying(whole, true).await, true, &limits()).await;
    assert!(matches!(answer, Ok(Heard::Whole(answer)) if answer.body == json!({ "a": 1 })));
}

#[tokio::test]
async fn a_connection_that_never_stood_carried_nothing() {
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    assert!(matches!(ask(closed, true, &limits()).await, Err(Broken::Unsent(_))));
}
