//! The door against real servers on loopback.

use super::{Door, DoorLimits, Sent};
use axum::{
    Router,
    body::{Body as WireBody, Bytes},
    extract::Request,
    http::{HeaderMap, StatusCode, header},
    response::IntoResponse,
    routing::{get, post},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use pixel_core::vendor::{
    Answer, BlobForm, Body, Credential, Encoding, Field, FormField, FormValue, HttpCall, Leaving, MediaAt, Method,
    Part, Repeat, Secret, Signer, Staged,
};
use pixel_store::blobs::{Blobs, StagedBlob};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::{net::SocketAddr, time::Duration};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

struct Bench {
    door: Door,
    blobs: Blobs,
    data: TempDir,
}

/// Stores bytes: staged, and published at once.
fn put(blobs: &Blobs, bytes: &[u8]) -> std::io::Result<StagedBlob> {
    let staged = blobs.stage_bytes(bytes)?;
    let _on_disk = blobs.publish(&staged, false)?;
    Ok(staged)
}

fn bench_with(limits: DoorLimits) -> Bench {
    let data = tempfile::tempdir().unwrap();
    let blobs = Blobs::open(data.path()).unwrap();
    Bench { door: Door::new(blobs.clone(), limits).unwrap(), blobs, data }
}

fn bench() -> Bench {
    bench_with(DoorLimits::default())
}

impl Bench {
    fn staged_files(&self) -> usize {
        std::fs::read_dir(self.data.path().join("staging")).unwrap().count()
    }

    fn staged_bytes(&self, handle: &Staged) -> Vec<u8> {
        std::fs::read(self.blobs.staged_path(handle)).unwrap()
    }
}

async fn serve(router: Router) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

/// A server that reads a request's head and then does as it is told.
async fn raw<F: Future<Output = ()> + Send>(act: impl Fn(TcpStream) -> F + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(stream.read_u8().await.unwrap());
            }
            act(stream).await;
        }
    });
    address
}

fn call(address: SocketAddr, path: &str) -> HttpCall {
    HttpCall {
        method: Method::Post,
        url: format!("http://{address}{path}"),
        headers: Vec::new(),
        body: Body::json(&json!({"prompt": "a fox"})),
        repeat: Repeat::Never,
        media: Vec::new(),
        timeout: Duration::from_secs(20),
        sign: None,
        share: None,
    }
}

fn free(mut call: HttpCall) -> HttpCall {
    call.repeat = Repeat::Safe;
    call
}

fn base64_at(pointer: &str) -> Vec<MediaAt> {
    vec![MediaAt::Json { pointer: pointer.to_owned(), encoding: Encoding::Base64 }]
}

#[track_caller]
fn answer(sent: Sent) -> Answer {
    match sent {
        Sent::Answer(answer) => answer,
        other => panic!("no answer: {other:?}"),
    }
}

#[track_caller]
fn unclear(sent: Sent) -> String {
    match sent {
        Sent::Unclear { why } => why,
        other => panic!("not unclear: {other:?}"),
    }
}

#[track_caller]
fn unsent(sent: Sent) -> String {
    match sent {
        Sent::Unsent { why } => why,
        other => panic!("not unsent: {other:?}"),
    }
}

const JSON: [(header::HeaderName, &str); 1] = [(header::CONTENT_TYPE, "application/json; charset=utf-8")];

fn as_json(value: impl serde::Serialize) -> impl IntoResponse {
    (JSON, serde_json::to_string(&value).unwrap())
}

async fn answering(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> SocketAddr {
    let body = body.into();
    let respond = move || {
        let body = body.clone();
        async move { (status, [(header::CONTENT_TYPE, content_type), (header::SET_COOKIE, "session=1")], body) }
    };
    serve(Router::new().fallback(respond)).await
}

#[tokio::test]
async fn thirty_megabytes_of_base64_become_a_staged_blob() {
    let media: Vec<u8> = (0..30_000_000_u32).map(|i| (i ^ (i >> 9)) as u8).collect();
    let body = format!(r#"{{"created":1,"data":[{{"b64_json":"{}"}}]}}"#, STANDARD.encode(&media));
    let address = answering(StatusCode::OK, "application/json", body).await;
    let bench = bench();
    let mut call = call(address, "/v1/images");
    call.media = base64_at("/data/*/b64_json");
    let answer = answer(bench.door.send(&call).await);
    let handle = Staged::from_json(&answer.body["data"][0]["b64_json"]).expect("a handle in place of the media");
    assert_eq!(answer.body["created"], 1);
    assert!(bench.staged_bytes(&handle) == media, "the staged bytes differ");
}

#[tokio::test]
async fn bodies_that_are_media_are_staged_whole_and_json_is_read() {
    let bench = bench();
    let sound: Vec<u8> = (0..700_000_u32).map(|i| i as u8).collect();
    let address = answering(StatusCode::OK, "audio/mpeg", sound.clone()).await;
    let mut speech = call(address, "/speech");
    speech.media = vec![MediaAt::Body];
    let got = answer(bench.door.send(&speech).await);
    assert_eq!((got.status, got.body, got.staged.len()), (200, Value::Null, 1));
    assert!(bench.staged_bytes(&got.staged[0]) == sound);

    let address = answering(StatusCode::OK, "application/json", r#"{"code":7}"#).await;
    speech.url = format!("http://{address}/speech");
    let got = answer(bench.door.send(&speech).await);
    assert_eq!((got.body, got.staged.len()), (json!({"code": 7}), 0));
}

#[tokio::test]
async fn refusals_and_redirects_are_answers() {
    let bench = bench();
    let address = answering(StatusCode::TOO_MANY_REQUESTS, "application/json", r#"{"error":{"code":"slow"}}"#).await;
    let got = answer(bench.door.send(&call(address, "/")).await);
    assert_eq!((got.status, &got.body["error"]["code"]), (429, &json!("slow")));
    assert_eq!(got.header("set-cookie"), None);

    let address = answering(StatusCode::BAD_GATEWAY, "text/html", "ü".repeat(5000)).await;
    let got = answer(bench.door.send(&call(address, "/")).await);
    let text = got.text.expect("the start of the page");
    assert!(got.status == 502 && got.body.is_null() && text.len() <= 2048 && text.starts_with("üü"), "{text}");

    let address = answering(StatusCode::OK, "text/html", "<html>please sign in").await;
    let got = answer(bench.door.send(&call(address, "/")).await);
    assert_eq!((got.status, got.body, got.text.as_deref()), (200, Value::Null, Some("<html>please sign in")));

    let address = answering(StatusCode::OK, "text/plain", "\n {\"id\":\"a\"}").await;
    assert_eq!(answer(bench.door.send(&call(address, "/")).await).body, json!({"id": "a"}));

    let elsewhere = || async { (StatusCode::TEMPORARY_REDIRECT, [(header::LOCATION, "/moved")], "") };
    let router = Router::new().route("/", post(elsewhere)).fallback(|| async { "followed" });
    let got = answer(bench.door.send(&call(serve(router).await, "/")).await);
    assert_eq!((got.status, got.header("location"), &got.text), (307, Some("/moved"), &None));
}

#[tokio::test]
async fn what_never_left_is_unsent() {
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let bench = bench();
    for repeat in [Repeat::Never, Repeat::Safe] {
        let mut call = call(closed, "/path?key=hidden");
        call.repeat = repeat;
        let why = unsent(bench.door.send(&call).await);
        assert!(why.contains("refused") && !why.contains("hidden"), "{why}");
    }

    let mut unknown = call(closed, "/?key=hidden");
    // A label this long is refused by the resolver itself, without a question to any server.
    unknown.url = format!("http://{}.invalid/?key=hidden", "a".repeat(64));
    assert!(!unsent(bench.door.send(&unknown).await).contains("hidden"));
    unknown.url = "ftp://127.0.0.1/".to_owned();
    unsent(bench.door.send(&unknown).await);

    // A plain server does not speak TLS: the handshake fails, and no request was written.
    let address = answering(StatusCode::OK, "application/json", "{}").await;
    let mut secure = call(address, "/");
    secure.url = format!("https://{address}/");
    unsent(bench.door.send(&secure).await);

    let mut missing = call(address, "/");
    missing.body = Body::Parts("image/png".to_owned(), vec![blob_part(&"0".repeat(64), 5, BlobForm::Raw)]);
    unsent(bench.door.send(&missing).await);
    let stored = put(&bench.blobs, b"four").unwrap();
    missing.body = Body::Parts("image/png".to_owned(), vec![blob_part(&stored.sha256, 5, BlobForm::Raw)]);
    assert!(unsent(bench.door.send(&missing).await).contains("4 bytes"));

    let mut bad = call(address, "/");
    bad.headers = vec![("authorization".to_owned(), Field::Secret(Secret::new("Bearer sk-\n1")))];
    assert!(!unsent(bench.door.send(&bad).await).contains("sk-"));
}

#[tokio::test]
async fn a_connection_that_closes_or_breaks_is_unclear() {
    let bench = bench();
    let closing = raw(|stream| async { drop(stream) }).await;
    for repeat in [Repeat::Never, Repeat::Safe] {
        let mut call = call(closing, "/path?key=hidden");
        call.repeat = repeat;
        let why = unclear(bench.door.send(&call).await);
        assert!(!why.contains("hidden"), "{why}");
    }

    let cut = raw(|mut stream| async move {
        let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 40\r\n\r\n";
        stream.write_all(format!("{head}{{\"data\":\"AAEC").as_bytes()).await.unwrap();
    })
    .await;
    let mut half = call(cut, "/");
    half.media = base64_at("/data");
    unclear(bench.door.send(&half).await);
    half.media = vec![MediaAt::Body];
    unclear(bench.door.send(&half).await);
    assert_eq!(bench.staged_files(), 0, "what was staged of half an answer is removed");
}

#[tokio::test]
async fn paid_calls_open_a_connection_each_and_free_ones_share() {
    async fn ports(bench: &Bench, repeat: Repeat) -> (Value, Value) {
        let from = |request: axum::extract::ConnectInfo<SocketAddr>| async move { as_json(request.port()) };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let service = Router::new().fallback(from).into_make_service_with_connect_info::<SocketAddr>();
        tokio::spawn(async move { axum::serve(listener, service).await });
        let mut call = call(address, "/");
        call.repeat = repeat;
        let first = answer(bench.door.send(&call).await).body;
        (first, answer(bench.door.send(&call).await).body)
    }
    let bench = bench();
    let (first, second) = ports(&bench, Repeat::Never).await;
    assert_ne!(first, second);
    let (first, second) = ports(&bench, Repeat::Safe).await;
    assert_eq!(first, second);
}

#[tokio::test]
async fn silence_is_unclear_within_its_limits() {
    let short = Duration::from_millis(800);
    let bench = bench_with(DoorLimits { first_byte: short, idle: short, ..DoorLimits::default() });
    let silent = raw(|stream| async {
        std::future::pending::<()>().await;
        drop(stream);
    })
    .await;
    let mut paid = call(silent, "/");
    paid.timeout = Duration::from_millis(1500);
    assert!(unclear(bench.door.send(&paid).await).contains("within 1500 ms"));

    let silent = raw(|stream| async {
        std::future::pending::<()>().await;
        drop(stream);
    })
    .await;
    assert!(unclear(bench.door.send(&free(call(silent, "/"))).await).contains("no answer within 800 ms"));

    let stalled = raw(|mut stream| async move {
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{").await.unwrap();
        std::future::pending::<()>().await;
    })
    .await;
    assert!(unclear(bench.door.send(&free(call(stalled, "/"))).await).contains("stopped for 800 ms"));
}

#[tokio::test]
async fn a_slow_upload_is_not_silence() {
    // The server takes the body in small sips, so that the upload lasts longer than the limit.
    let limit = Duration::from_secs(1);
    let bench = bench_with(DoorLimits { first_byte: limit, ..DoorLimits::default() });
    let body = vec![5_u8; 24 << 20];
    let stored = put(&bench.blobs, &body).unwrap();
    let sipping = raw(|mut stream| async move {
        let (mut left, mut sip) = (24_usize << 20, vec![0; 256 * 1024]);
        let mut pace = tokio::time::interval(Duration::from_millis(20));
        while left > 0 {
            pace.tick().await;
            left -= stream.read(&mut sip).await.unwrap();
        }
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}").await.unwrap();
    })
    .await;
    let mut upload = free(call(sipping, "/"));
    upload.body = Body::Parts("image/png".to_owned(), vec![blob_part(&stored.sha256, stored.bytes, BlobForm::Raw)]);
    let started = std::time::Instant::now();
    assert_eq!(answer(bench.door.send(&upload).await).body, json!({}));
    assert!(started.elapsed() > limit, "the upload was too quick to prove anything");
}

#[tokio::test]
async fn answers_are_bounded_whatever_they_claim() {
    let bench = bench_with(DoorLimits { embedded_bytes: 1000, media_bytes: 2000, ..DoorLimits::default() });
    let endless = || async {
        let piece = Bytes::from_static(&[b' '; 64 * 1024]);
        let pieces = futures_util::stream::repeat_with(move || Ok::<_, std::io::Error>(piece.clone()));
        (JSON, WireBody::from_stream(pieces))
    };
    let router = Router::new()
        .route("/ok", post(endless))
        .route("/refused", post(move || async move { (StatusCode::BAD_REQUEST, endless().await) }));
    let address = serve(router).await;
    assert!(unclear(bench.door.send(&call(address, "/ok")).await).contains("larger than"));
    assert_eq!(answer(bench.door.send(&call(address, "/refused")).await).status, 400);

    let address =
        answering(StatusCode::OK, "application/json", format!(r#"{{"a":"{}"}}"#, STANDARD.encode([1; 1001]))).await;
    let mut embedded = call(address, "/");
    embedded.media = base64_at("/a");
    assert!(unclear(bench.door.send(&embedded).await).contains("larger than 1000"));
    let address = answering(StatusCode::OK, "video/mp4", vec![1; 2001]).await;
    let mut whole = call(address, "/");
    whole.media = vec![MediaAt::Body];
    assert!(unclear(bench.door.send(&whole).await).contains("larger than 2000"));
    let address = answering(StatusCode::OK, "application/json", r#"{"a":"not base64!"}"#).await;
    embedded.url = format!("http://{address}/");
    assert!(unclear(bench.door.send(&embedded).await).contains("bad base64"));
    assert_eq!(bench.staged_files(), 0);
}

/// `gzip` of 64 MiB of spaces, which is 1/1000 of it on the wire.
fn gzip_bomb() -> Vec<u8> {
    use std::{
        io::Write,
        process::{Command, Stdio},
    };
    let mut gzip =
        Command::new("gzip").args(["-9", "-c"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut stdin = gzip.stdin.take().unwrap();
    let feed = std::thread::spawn(move || (0..64).try_for_each(|_| stdin.write_all(&[b' '; 1 << 20])));
    let output = gzip.wait_with_output().unwrap();
    feed.join().unwrap().unwrap();
    output.stdout
}

#[tokio::test]
async fn a_gzip_bomb_is_stopped_by_what_it_inflates_to() {
    let bomb = Bytes::from(gzip_bomb());
    assert!(bomb.len() < 100_000);
    let respond = move || {
        let bomb = bomb.clone();
        async move { ([(header::CONTENT_TYPE, "application/json"), (header::CONTENT_ENCODING, "gzip")], bomb) }
    };
    let address = serve(Router::new().fallback(respond)).await;
    assert!(unclear(bench().door.send(&call(address, "/")).await).contains("larger than 4194304"));
}

fn blob_part(sha256: &str, bytes: u64, form: BlobForm) -> Part {
    Part::Blob { sha256: sha256.to_owned(), bytes, form }
}

/// Answers with what it was sent: headers and the body as text, or its length.
async fn echo() -> SocketAddr {
    let respond = |headers: HeaderMap, body: Bytes| async move {
        let header = |name: &str| headers.get(name).map(|value| value.to_str().unwrap().to_owned());
        let text = String::from_utf8_lossy(&body);
        let made = ["x-hash", "x-nonce", "x-type", "x-key"].map(header);
        as_json(json!({
            "length": header("content-length"), "type": header("content-type"), "auth": header("authorization"),
            "transfer": header("transfer-encoding"), "bytes": body.len(), "text": text,
            "made": made,
        }))
    };
    serve(Router::new().route("/", post(respond).get(respond)).layer(axum::extract::DefaultBodyLimit::disable())).await
}

#[tokio::test]
async fn parts_stream_with_their_exact_length() {
    let (bench, address) = (bench(), echo().await);
    for size in [0, 1, 2, 3, 98_303, 98_304, 98_305, 300_001] {
        let bytes: Vec<u8> = (0..size as u32).map(|i| (i % 251) as u8).collect();
        let stored = put(&bench.blobs, &bytes).unwrap();
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        for (form, expected) in [(BlobForm::Base64, STANDARD.encode(&bytes)), (BlobForm::Hex, hex)] {
            let mut call = call(address, "/");
            call.body = Body::Parts(
                "application/json".to_owned(),
                vec![
                    Part::Bytes(b"{\"image\":\"".to_vec()),
                    blob_part(&stored.sha256, stored.bytes, form),
                    Part::Bytes(b"\"}".to_vec()),
                ],
            );
            let got = answer(bench.door.send(&call).await).body;
            let expected = format!("{{\"image\":\"{expected}\"}}");
            assert_eq!(got["length"], expected.len().to_string(), "{size} bytes as {form:?}");
            assert_eq!((&got["text"], &got["transfer"]), (&json!(expected), &Value::Null), "{size} bytes as {form:?}");
        }
    }
}

#[tokio::test]
async fn headers_types_and_empty_bodies_arrive_as_asked() {
    let (bench, address) = (bench(), echo().await);
    let mut plain = call(address, "/");
    plain.headers = vec![("Authorization".to_owned(), Field::Secret(Secret::new("Bearer sk-1")))];
    let got = answer(bench.door.send(&plain).await).body;
    assert_eq!((&got["auth"], &got["type"]), (&json!("Bearer sk-1"), &json!("application/json")));
    assert_eq!((&got["text"], &got["length"]), (&json!(r#"{"prompt":"a fox"}"#), &json!("18")));

    plain.body = Body::Empty;
    let got = answer(bench.door.send(&plain).await).body;
    assert_eq!((&got["length"], &got["bytes"], &got["type"]), (&json!("0"), &json!(0), &Value::Null));
    plain.method = Method::Get;
    let got = answer(bench.door.send(&free(plain)).await).body;
    assert_eq!((&got["length"], &got["transfer"]), (&Value::Null, &Value::Null));
}

#[tokio::test]
async fn forms_are_readable_by_others_and_the_same_each_time() {
    let bench = bench();
    let read = |request: Request| async move {
        let content_type = request.headers()[header::CONTENT_TYPE].to_str().unwrap().to_owned();
        let length = request.headers()[header::CONTENT_LENGTH].to_str().unwrap().to_owned();
        let body = axum::body::to_bytes(request.into_body(), usize::MAX).await.unwrap();
        assert_eq!(length, body.len().to_string());
        let boundary = format!("--{}", content_type.strip_prefix("multipart/form-data; boundary=").unwrap());
        let text = String::from_utf8(body.to_vec()).unwrap();
        let fields: Vec<_> = text.split(&boundary).map(str::to_owned).collect();
        as_json(fields)
    };
    let address = serve(Router::new().route("/", post(read))).await;
    let stored = put(&bench.blobs, b"picture").unwrap();
    let file = FormValue::File {
        file_name: "a \"b\".png".to_owned(),
        content_type: "image/png\r\nx: y".to_owned(),
        sha256: stored.sha256.clone(),
        bytes: stored.bytes,
    };
    let mut form = call(address, "/");
    form.body = Body::Multipart(vec![
        FormField { name: "prompt".to_owned(), value: FormValue::Text("a fox\r\n--x".to_owned()) },
        FormField { name: "image[]".to_owned(), value: file },
    ]);
    let got = answer(bench.door.send(&form).await).body;
    let expected = json!([
        "",
        "\r\nContent-Disposition: form-data; name=\"prompt\"\r\n\r\na fox\r\n--x\r\n",
        "\r\nContent-Disposition: form-data; name=\"image[]\"; filename=\"a %22b%22.png\"\r\nContent-Type: image/pngx: y\r\n\r\npicture\r\n",
        "--\r\n",
    ]);
    assert_eq!(got, expected);
    let types = |body: &Body| match body {
        Body::Multipart(fields) => (super::multipart::parts(fields).0, super::multipart::parts(&fields[1..]).0),
        _ => panic!("no form"),
    };
    let (whole, half) = types(&form.body);
    assert_eq!((whole == types(&form.body).0, whole == half), (true, false));
}

#[tokio::test]
async fn get_calls_reach_their_query() {
    let echo = |request: Request| async move { as_json(request.uri().to_string()) };
    let address = serve(Router::new().route("/poll", get(echo))).await;
    let mut poll = free(call(address, "/poll?id=7"));
    (poll.method, poll.body) = (Method::Get, Body::Empty);
    assert_eq!(answer(bench().door.send(&poll).await).body, json!("/poll?id=7"));
}

/// Collects what is logged.
#[derive(Clone, Default)]
struct Log(std::sync::Arc<std::sync::Mutex<Vec<u8>>>);

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn logs_tell_of_each_call_and_hold_no_secret() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_ansi(false)
        .with_span_events(tracing_subscriber::fmt::format::FmtSpan::CLOSE)
        .with_writer(move || writer.clone())
        .finish();
    let guard = tracing::subscriber::set_default(subscriber);
    let bench = bench();
    let closing = raw(|stream| async { drop(stream) }).await;
    for address in [echo().await, closing] {
        let mut secret = call(address, "/?key=sk-query");
        secret.headers = vec![("authorization".to_owned(), Field::Secret(Secret::new("Bearer sk-header")))];
        bench.door.send(&secret).await;
    }
    drop(guard);
    let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(!text.contains("sk-"), "{text}");
    let closed: Vec<_> = text.lines().filter(|line| line.contains("vendor_call") && line.contains("close")).collect();
    assert_eq!(closed.len(), 2, "{text}");
    for part in ["method=POST", "host=\"127.0.0.1\"", "path=\"/\"", "status=200", "ms=", "bytes="] {
        assert!(closed[0].contains(part), "{part} is missing in {}", closed[0]);
    }
}

/// Who lost the right to send while the connection was made sends nothing, and knows it.
#[tokio::test]
async fn a_request_that_may_not_leave_any_more_leaves_nothing() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let call = call(listener.local_addr().unwrap(), "/paid");
    let (bench, vendor) = (bench(), async {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut arrived = Vec::new();
        // A reset says the same as an end: nothing came.
        let _ = stream.read_to_end(&mut arrived).await;
        arrived
    });
    let ready = bench.door.ready(&call).await.unwrap().leaving_if(|| false);
    let (sent, arrived) = tokio::join!(bench.door.send_ready(&call, ready), vendor);
    assert!(matches!(sent, Sent::Unsent { .. }), "{sent:?}");
    assert_eq!(arrived, b"", "bytes left: {}", String::from_utf8_lossy(&arrived));
}

#[tokio::test]
async fn media_in_pieces_is_joined_into_one() {
    let bench = bench();
    let lines = "{\"code\":0,\"data\":\"aGVs\"}\n{\"code\":0,\"data\":\"bG8=\"}\n{\"code\":20000000,\"data\":null}\n";
    let address = answering(StatusCode::OK, "application/json", lines).await;
    let mut speech = call(address, "/speech");
    speech.media = vec![MediaAt::Joined { pointer: "/data".to_owned(), encoding: Encoding::Base64 }];
    let got = answer(bench.door.send(&speech).await);
    assert_eq!(bench.staged_bytes(&got.staged[0]), b"hello");
    assert_eq!((got.staged.len(), &got.body[2]), (1, &json!({ "code": 20_000_000, "data": null })));
}

/// What is signed is what leaves: the body's hash is of the bytes that arrive, blobs encoded.
#[tokio::test]
async fn a_signature_is_made_of_what_leaves() {
    fn sign(leaving: &Leaving<'_>) -> Vec<(String, Field)> {
        let key = leaving.credential.0.first().map_or("", Secret::reveal);
        let plain = |name: &str, text: &str| (name.to_owned(), Field::Plain(text.to_owned()));
        vec![
            plain("x-hash", leaving.body_sha256),
            plain("x-nonce", leaving.nonce),
            plain("x-type", leaving.content_type),
            ("x-key".to_owned(), Field::Secret(Secret::new(key))),
        ]
    }
    let bench = bench();
    let picture = put(&bench.blobs, &[7; 100_000]).unwrap();
    let mut signed = call(echo().await, "/");
    let blob = blob_part(&picture.sha256, picture.bytes, BlobForm::Base64);
    signed.body = Body::Parts(
        "application/json".to_owned(),
        vec![Part::Bytes(b"\"".to_vec()), blob, Part::Bytes(b"\"".to_vec())],
    );
    signed.sign = Some(Signer { credential: Credential(vec![Secret::new("k-1")]), hashes_body: true, sign });
    let [first, second] = [bench.door.send(&signed).await, bench.door.send(&signed).await].map(answer);
    let sent = format!("\"{}\"", STANDARD.encode([7; 100_000]));
    let hash: String = Sha256::digest(sent.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect();
    let made = &first.body["made"];
    assert_eq!((&made[0], &made[2], &made[3]), (&json!(hash), &json!("application/json"), &json!("k-1")));
    assert_eq!(made[1].as_str().unwrap().len(), 32);
    assert_ne!(made[1], second.body["made"][1], "a nonce is used once");
    assert!(!format!("{signed:?}").contains("k-1"));
}
