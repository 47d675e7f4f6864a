//! Three servers behind a balancer, replaced one after the other while callers go on asking.

use crate::support::{IMAGE, SOON, with};
use pixel_testkit::{Client, Method, Rig, Script, Server, Stub, on_postgres, on_sqlite, stub, wait};
use serde_json::json;
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::task::JoinSet;

on_postgres!(a_rolling_restart_fails_no_request);
on_sqlite!(a_second_signal_cuts_the_draining_short, ctrl_c_does_not_drain);

const CALLERS: usize = 6;

/// What a load balancer does: it asks every server whether it is ready, and sends each request once,
/// to one of those that are.
struct Balancer {
    servers: Vec<(Client, AtomicBool)>,
    turn: AtomicUsize,
}

impl Balancer {
    fn over(servers: &[Server]) -> Arc<Self> {
        let servers = servers.iter().map(|server| (server.client(), AtomicBool::new(true))).collect();
        Arc::new(Self { servers, turn: AtomicUsize::new(0) })
    }

    async fn look(&self) {
        for (client, ready) in &self.servers {
            ready.store(client.is_ready().await, Ordering::Relaxed);
        }
    }

    fn pick(&self) -> Client {
        let ready: Vec<&Client> =
            self.servers.iter().filter(|(_, ready)| ready.load(Ordering::Relaxed)).map(|(client, _)| client).collect();
        assert!(!ready.is_empty(), "no server is ready");
        ready[self.turn.fetch_add(1, Ordering::Relaxed) % ready.len()].clone()
    }
}

/// One caller: creates, and waits for what it created, until told to stop. Returns what it asked
/// for; a request that fails ends the test.
async fn caller(balancer: Arc<Balancer>, stop: Arc<AtomicBool>) -> Vec<(String, String)> {
    let mut asked = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        let mark = stub::marker();
        let model = if asked.len() % 2 == 0 { "openai/gpt-image-2" } else { "dashscope/qwen-image" };
        let body = json!({ "model": model, "prompt": mark });
        let body = if model.starts_with("openai") { with(body, &json!({ "resolution": "64x64" })) } else { body };
        let answer = balancer.pick().try_send(Method::POST, IMAGE, &[], Some(body.to_string().into_bytes())).await;
        let answer = answer.unwrap_or_else(|error| panic!("a create failed: {error:?}"));
        let id = answer.data()["task_id"].as_str().expect("an id").to_owned();
        // Another server than the one that took the task may be asked for it.
        let wait = if asked.len() % 4 == 0 { 2 } else { 0 };
        let path = format!("/api/v1/tasks/{id}?wait={wait}");
        let answer = balancer.pick().try_send(Method::GET, &path, &[], None).await;
        let answer = answer.unwrap_or_else(|error| panic!("a read failed: {error:?}"));
        assert_eq!(answer.data()["id"], json!(id));
        asked.push((id, mark));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    asked
}

async fn a_rolling_restart_fails_no_request(rig: Rig) {
    let stub = Stub::start();
    stub.by_default(Script { size: Some((64, 64)), ..Script::default().latency(Duration::from_millis(80)).polls(2) });
    let mut servers = Vec::new();
    for name in ["first", "second", "third"] {
        let launch = rig.replica(name).vendors(&stub).env("PIXEL_LEASE_S", 3).env("PIXEL_DRAIN_S", 2);
        servers.push(launch.start().await);
    }
    let (balancer, stop) = (Balancer::over(&servers), Arc::new(AtomicBool::new(false)));
    let watch = tokio::spawn({
        let balancer = balancer.clone();
        async move {
            loop {
                balancer.look().await;
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    });
    let mut callers = JoinSet::new();
    (0..CALLERS).for_each(|_| drop(callers.spawn(caller(balancer.clone(), stop.clone()))));
    for server in &mut servers {
        let url = server.url().to_owned();
        let (status, _) = server.sigterm().await;
        assert!(status.success(), "{status}");
        server.restart().await;
        assert_eq!(server.url(), url, "the balancer knows the old address");
        let back = || async { balancer.servers.iter().all(|(_, ready)| ready.load(Ordering::Relaxed)).then_some(()) };
        wait::until("the server's return", SOON, back).await;
    }
    stop.store(true, Ordering::Relaxed);
    let asked: Vec<_> = callers.join_all().await.into_iter().flatten().collect();
    watch.abort();
    assert!(asked.len() > 50, "only {} tasks: too few to prove anything", asked.len());
    for (id, mark) in &asked {
        let task = servers[0].client().end_of(id, SOON).await;
        assert_eq!((&task["status"], stub.accepted(mark)), (&json!("completed"), 1), "{task:#}");
    }
    eprintln!("{} tasks over three restarts", asked.len());
}

async fn draining(rig: &Rig) -> Server {
    rig.server().env("PIXEL_DRAIN_S", 120).start().await
}

async fn a_second_signal_cuts_the_draining_short(rig: Rig) {
    let mut server = draining(&rig).await;
    let client = server.client();
    server.signal(pixel_testkit::Signal::TERM);
    wait::until("the draining", SOON, || async { (!client.is_ready().await).then_some(()) }).await;
    let answer = client.get("/api/v1/models").await;
    assert_eq!((answer.status, answer.header("connection")), (200, Some("close")), "requests are still answered");
    let begun = Instant::now();
    let (status, _) = server.sigterm().await;
    assert!(status.success() && begun.elapsed() < Duration::from_secs(15), "{status}");
}

async fn ctrl_c_does_not_drain(rig: Rig) {
    let mut server = draining(&rig).await;
    let begun = Instant::now();
    server.signal(pixel_testkit::Signal::INT);
    let (status, _) = server.ending().await;
    assert!(status.success() && begun.elapsed() < Duration::from_secs(15), "{status}");
}
