//! kill -9 under load. The witnesses are the vendor's ledger, the public API and the stored files;
//! the server's own word counts for nothing.

use crate::support::{IMAGE, SOON};
use pixel_testkit::{Client, Method, Rig, S3, Script, Server, Stub, media, on_postgres, on_sqlite, stub};
use serde_json::{Value, json};
use std::{
    collections::HashMap,
    fs,
    path::Path,
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use tokio::task::JoinSet;

on_sqlite!(twenty_kills_lose_and_repeat_nothing, eight_kills_over_a_bucket_lose_and_repeat_nothing);
on_postgres!(
    five_kills_of_two_replicas_lose_and_repeat_nothing,
    five_kills_of_two_replicas_over_a_bucket_lose_and_repeat_nothing,
);

/// Callers at the same time, and the most that each asks for in one round.
const CALLERS: u64 = 6;
const ASKED_MAX: usize = 10;

/// What one caller asked for.
struct Asked {
    mark: String,
    /// Results, and so submissions at most.
    n: usize,
    /// The id, if the server acknowledged.
    id: Option<String>,
}

pub fn seed() -> u64 {
    let given = std::env::var("PIXEL_TEST_SEED").ok().and_then(|text| text.parse().ok());
    let seed = given.unwrap_or_else(|| SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()));
    eprintln!("seed {seed} (repeat with PIXEL_TEST_SEED={seed})");
    seed
}

/// A vendor that takes its time, so that a kill meets every stage.
fn slow_vendor(rng: &mut fastrand::Rng) -> Script {
    let latency = Duration::from_millis(rng.u64(5..120));
    Script { size: Some((64, 64)), ..Script::default().latency(latency).polls(rng.u32(0..4)) }
}

fn request(rng: &mut fastrand::Rng, mark: &str) -> (Value, usize) {
    let (model, n) = match rng.u8(0..10) {
        0 => ("sandbox/painter", 1),
        1..=4 => ("openai/gpt-image-2", 1),
        5..=8 => ("dashscope/qwen-image", 1),
        _ => ("dashscope/qwen-image", 2),
    };
    let mut body = json!({ "model": model, "prompt": mark, "n": n });
    if !model.starts_with("dashscope") {
        body["resolution"] = json!("64x64");
    }
    (body, n)
}

/// Asks until the server is gone or enough is asked.
async fn caller(client: Client, mut rng: fastrand::Rng) -> Vec<Asked> {
    let mut asked = Vec::new();
    for _ in 0..ASKED_MAX {
        let mark = stub::marker();
        let (body, n) = request(&mut rng, &mark);
        let answer = client.try_send(Method::POST, IMAGE, &[], Some(body.to_string().into_bytes())).await;
        let id = match &answer {
            Ok(answer) if answer.status == 200 => answer.data()["task_id"].as_str().map(str::to_owned),
            Ok(answer) => panic!("the server refused under load: {} {}", answer.status, answer.text()),
            Err(_) => None,
        };
        let gone = id.is_none();
        asked.push(Asked { mark, n, id });
        if gone {
            break;
        }
    }
    asked
}

/// Load on all servers while one is killed at a random moment and started again.
async fn round(servers: &mut [Server], rng: &mut fastrand::Rng) -> Vec<Asked> {
    let mut callers = JoinSet::new();
    for at in 0..CALLERS {
        let server = &servers[at as usize % servers.len()];
        callers.spawn(caller(server.client(), rng.fork()));
    }
    let victim = rng.usize(0..servers.len());
    tokio::time::sleep(Duration::from_millis(rng.u64(10..500))).await;
    servers[victim].kill9();
    let asked = callers.join_all().await.into_iter().flatten().collect();
    servers[victim].restart().await;
    asked
}

async fn judge(servers: &[Server], stub: &Stub, asked: &[Asked], objects: impl FnOnce() -> usize) {
    let client = servers[0].client();
    let acknowledged: Vec<&Asked> = asked.iter().filter(|asked| asked.id.is_some()).collect();
    let mut ended: HashMap<&str, Value> = HashMap::new();
    for Asked { id, .. } in &acknowledged {
        let id = id.as_deref().expect("it was acknowledged");
        ended.insert(id, client.rest_of(id, SOON).await);
    }
    for Asked { mark, n, id } in asked {
        let accepted = stub.accepted(mark);
        assert!(accepted <= *n, "{mark} was paid {accepted} times for {n} results (task {id:?})");
    }
    let count = |word: &str| ended.values().filter(|task| task["status"] == word).count();
    let (completed, failed, held) = (count("completed"), count("failed"), count("processing"));
    eprintln!(
        "{} asked, {} acknowledged: {completed} completed, {failed} failed, {held} held",
        asked.len(),
        acknowledged.len()
    );
    assert_eq!(failed, 0, "nothing here may fail: {:#?}", ended.values().find(|task| task["status"] == "failed"));
    assert!(completed > 0 && acknowledged.len() > 20, "the load was too small to prove anything");
    for task in ended.values().filter(|task| task["status"] == "completed") {
        for image in task["result"]["images"].as_array().expect("a list") {
            let path = image["url"].as_str().expect("an address").splitn(4, '/').nth(3).expect("a path").to_owned();
            let file = client.get(&format!("/{path}")).await;
            assert_eq!(
                (file.status, media::sha256_hex(&file.bytes).as_str()),
                (200, image["sha256"].as_str().expect("a hash"))
            );
        }
    }
    assert!(objects() > 0, "no stored object was found");
}

/// Every stored object equals its name; returns how many there are.
pub fn check_objects(folder: &Path) -> usize {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let check = |entry: fs::DirEntry| {
        let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
        if path.is_dir() {
            return check_objects(&path);
        }
        if name.len() != 64 {
            return 0;
        }
        let bytes = fs::read(&path).expect("a stored object can be read");
        assert_eq!(media::sha256_hex(&bytes), name, "{} is not what its name says", path.display());
        1
    };
    entries.map(|entry| check(entry.expect("a folder can be read"))).sum()
}

async fn kills(rig: &Rig, names: &[&str], rounds: usize, s3: Option<&S3>) {
    let mut rng = fastrand::Rng::with_seed(seed());
    let stub = Stub::start();
    stub.by_default(slow_vendor(&mut rng));
    let mut servers = Vec::new();
    for name in names {
        let launch = rig.replica(name).vendors(&stub).env("PIXEL_LEASE_S", 3).env("PIXEL_LOG", "warn");
        let launch = match s3 {
            // With a bucket, each server has a disk of its own.
            Some(s3) => launch.bucket(s3).data(&rig.folder().join(format!("data-{name}"))),
            None => launch,
        };
        servers.push(launch.start().await);
    }
    let mut asked = Vec::new();
    for _ in 0..rounds {
        stub.by_default(slow_vendor(&mut rng));
        asked.extend(round(&mut servers, &mut rng).await);
    }
    let folder = servers[0].data().join("blobs");
    judge(&servers, &stub, &asked, || s3.map_or_else(|| check_objects(&folder), S3::check_blobs)).await;
}

async fn twenty_kills_lose_and_repeat_nothing(rig: Rig) {
    kills(&rig, &["server"], 20, None).await;
}

async fn five_kills_of_two_replicas_lose_and_repeat_nothing(rig: Rig) {
    kills(&rig, &["first", "second"], 5, None).await;
}

async fn eight_kills_over_a_bucket_lose_and_repeat_nothing(rig: Rig) {
    kills(&rig, &["server"], 8, Some(&S3::start())).await;
}

async fn five_kills_of_two_replicas_over_a_bucket_lose_and_repeat_nothing(rig: Rig) {
    kills(&rig, &["first", "second"], 5, Some(&S3::start())).await;
}
