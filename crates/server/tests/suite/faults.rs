//! The fault matrix: every way in which a vendor can misbehave, at every stage, with each promise
//! that a vendor may give about a repeated submission. The simulator is the witness: no task may
//! cost more than one submission, each must end or say what it waits for, and none may claim to be
//! complete without the whole of what was made.

use crate::support::{failure, picture, with};
use futures_util::{FutureExt, future::join_all};
use pixel_simulator::{Fault, Group, Rule, Script, Stage};
use pixel_testkit::{Client, Rig, Server, Stub, client::is_terminal, media, on_sqlite, stub, wait};
use serde_json::{Value, json};
use std::{collections::BTreeSet, panic::AssertUnwindSafe, time::Duration};

on_sqlite!(
    no_fault_costs_twice_or_is_passed_off_as_a_result,
    refusals_of_the_account_park_it_and_cost_nothing,
    accounts_that_fail_while_jobs_run_lose_none,
    what_never_left_is_sent_when_the_way_is_clear,
);

/// A vendor that takes a key, one that can be searched, and one that can neither.
const CLASSES: [&str; 3] = ["keyed", "searchable", "plain"];
/// The breaker's pause and the longest time-outs, twice over.
const LIMIT: Duration = Duration::from_secs(300);
/// Slow enough that a submission's answer outlasts its time, and a small picture does not.
const PACE_MS: u64 = 200;

/// Faults after which the vendor's whole lane rests, so that others would wait for it.
const OF_THE_ACCOUNT: [Fault; 4] =
    [Fault::Unauthorized, Fault::PaymentRequired, Fault::Forbidden, Fault::RateLimitTenYears];

/// One cell of the matrix, and its task.
struct Case {
    kind: Fault,
    stage: Stage,
    class: &'static str,
    mark: String,
    task: String,
}

impl Case {
    fn name(&self) -> String {
        format!("{} at {} of lab/{} ({})", self.kind.name(), self.stage.name(), self.class, self.mark)
    }
}

/// Creates a task of two pictures, which are one submission. Polls that the rule spares find the
/// job at work.
async fn begin(client: &Client, stub: &Stub, rule: Rule, class: &'static str) -> Case {
    let (kind, stage, mark) = (rule.kind, rule.at().expect("a stage"), stub::marker());
    let polls = if stage == Stage::Poll && rule.skip > 0 { u64::from(rule.skip) + 1 } else { 0 };
    let script = Script { pace_ms: PACE_MS, polls: polls.into(), faults: vec![rule], ..Script::default() };
    stub.simulator().script(Some(&mark), script);
    let body = with(picture(&format!("lab/{class}"), &format!("a kite {mark}")), &json!({ "n": 2 }));
    Case { kind, stage, class, task: client.create("image", &body).await, mark }
}

/// What is there is whole, and is what this very task paid for.
async fn check_media(client: &Client, stub: &Stub, case: &Case, task: &Value) {
    let mut made = BTreeSet::new();
    for entry in stub.simulator().entries(Some(&case.mark), None) {
        made.extend((0..entry.outputs).map(|at| media::sha256_hex(&stub.simulator().file(&entry, at))));
    }
    let images = task["result"]["images"].as_array().unwrap_or_else(|| panic!("{}: {task:#}", case.name()));
    assert!(!images.is_empty(), "{}: {task:#}", case.name());
    for image in images {
        let bytes = client.get(image["url"].as_str().expect("a link")).await.bytes;
        let hash = media::sha256_hex(&bytes);
        assert_eq!(image["sha256"], hash, "{}", case.name());
        assert!(made.contains(&hash), "{}: completed with something else: {task:#}", case.name());
    }
    let whole = images.len() == 2 || (case.kind == Fault::MissingOutput && images.len() == 1);
    assert!(whole, "{}: {task:#}", case.name());
    assert!(images.len() == 2 || !task["warnings"].as_array().expect("a list").is_empty(), "{task:#}");
}

/// What must hold of every task, whatever was done to it.
async fn check(client: &Client, stub: &Stub, case: &Case, task: &Value) {
    let name = case.name();
    let (accepted, received) = (stub.accepted(&case.mark), stub.received(&case.mark));
    assert!(accepted <= 1, "{name}: {accepted} submissions were accepted: {task:#}");
    // A submission always has a connection of its own, which is what the rule spares.
    let struck = stub.simulator().counts(Some(&case.mark), None).struck;
    assert!(struck > 0 || case.kind == Fault::ClosedOnReuse, "{name} was not tried: {task:#}");
    let unclear = case.stage == Stage::Submit && case.kind.is_unclear();
    match task["status"].as_str() {
        Some("completed") => {
            assert_eq!(accepted, 1, "{name}: {task:#}");
            check_media(client, stub, case, task).await;
        }
        Some("failed") => drop(failure(task)),
        _ => {
            let reason = task["attention"]["reason"].as_str().unwrap_or_else(|| panic!("{name} rests: {task:#}"));
            assert!(unclear && case.class == "plain" && !reason.is_empty(), "{name} is held: {task:#}");
        }
    }
    if unclear && case.class == "plain" {
        // Nobody can know, so nobody sends again.
        assert_eq!(received, 1, "{name}: {task:#}");
        assert!(!is_terminal(task), "{name} ended although nobody decided: {task:#}");
    }
}

/// How a task must end where the fault leaves no choice.
fn must_be(case: &Case) -> Option<&'static str> {
    let unclear = case.kind.is_unclear();
    Some(match (case.stage, case.kind.group(), case.kind) {
        // A clear no, for good.
        (Stage::Submit, Group::Refusal, Fault::BadRequest | Fault::NotFound | Fault::Unprocessable) => "failed",
        (Stage::Submit, Group::Refusal, Fault::Moderation) => "failed",
        (Stage::Submit, Group::Refusal, _) => "completed",
        (Stage::Submit, _, _) if unclear && case.class == "plain" => return None,
        // A way that is never clear is tried until the deadline, and then given up.
        (Stage::Fetch, Group::Before, _) => "failed",
        // The key, or the look-up, absorbs it.
        (Stage::Submit, _, _) => "completed",
        (Stage::Poll, Group::End, _) => "failed",
        (Stage::Poll, _, Fault::RunningForEver) => "failed",
        (Stage::Poll, _, _) => "completed",
        // What lies there for good is refused; everything else is asked for again.
        (Stage::Fetch, _, Fault::PrivateRedirect | Fault::TenGigabytes | Fault::EndlessBody) => "failed",
        (Stage::Fetch, _, _) => "completed",
        (Stage::Connect, _, _) => return None,
    })
}

async fn no_fault_costs_twice_or_is_passed_off_as_a_result(rig: Rig) {
    let stub = Stub::start();
    let server = rig.server().lab(&stub).env("PIXEL_LEASE_S", 5).env("PIXEL_HOLD_S", 3_600).start().await;
    let client = server.client();
    let all = Fault::ALL.iter().flat_map(|kind| kind.stages().iter().map(|stage| (*kind, *stage)));
    let wanted = all.filter(|(kind, stage)| {
        // Those of the account have tests of their own, below.
        let is_here = *stage != Stage::Connect && kind.group() != Group::Account;
        is_here && (*stage == Stage::Fetch || !OF_THE_ACCOUNT.contains(kind))
    });
    let mut cases = Vec::new();
    for (kind, stage) in wanted {
        for class in CLASSES {
            cases.push(begin(&client, &stub, Rule::new(kind, stage), class).await);
        }
    }
    assert!(cases.len() >= 270, "only {} cases", cases.len());
    // One that is wrong must not hide the others.
    let end = async |case: &Case| {
        let task = client.rest_of(&case.task, LIMIT).await;
        check(&client, &stub, case, &task).await;
        task
    };
    let ends = join_all(cases.iter().map(|case| AssertUnwindSafe(end(case)).catch_unwind())).await;
    let mut wrong = Vec::new();
    for (case, end) in cases.iter().zip(&ends) {
        let Ok(task) = end else {
            wrong.push(format!("{}: see above", case.name()));
            continue;
        };
        let status = task["status"].as_str().unwrap_or_default();
        if must_be(case).is_some_and(|wanted| wanted != status) {
            wrong.push(format!("{} is {status}: {}", case.name(), task["error"]));
        }
    }
    let ends: Vec<_> = ends.into_iter().flatten().collect();
    let count = |status: &str| ends.iter().filter(|task| task["status"] == status).count();
    let held = ends.iter().filter(|task| task["attention"].is_object()).count();
    println!("{} cases: {} completed, {} failed, {held} held", cases.len(), count("completed"), count("failed"));
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
    assert_eq!(stub.violations(), Vec::<String>::new());
}

async fn refusals_of_the_account_park_it_and_cost_nothing(rig: Rig) {
    let stub = Stub::start();
    let mut server = rig.server().lab(&stub).start().await;
    for kind in OF_THE_ACCOUNT {
        for class in CLASSES {
            // A restart forgets the parking.
            server.restart().await;
            let client = server.client();
            let case = begin(&client, &stub, Rule::new(kind, Stage::Submit), class).await;
            wait::until("submission", LIMIT, || async { (stub.received(&case.mark) == 1).then_some(()) }).await;
            if kind == Fault::RateLimitTenYears {
                let task = client.task(&case.task).await;
                assert!(!is_terminal(&task) && task["attention"].is_null(), "{}: {task:#}", case.name());
            } else {
                let code = if kind == Fault::PaymentRequired { "vendor_balance" } else { "vendor_auth" };
                assert_eq!(failure(&client.end_of(&case.task, LIMIT).await), code, "{}", case.name());
            }
            assert_eq!((stub.accepted(&case.mark), stub.received(&case.mark)), (0, 1), "{}", case.name());
        }
    }
}

/// Their jobs were paid for before the account failed.
async fn accounts_that_fail_while_jobs_run_lose_none(rig: Rig) {
    let stub = Stub::start();
    let server = rig.server().lab(&stub).start().await;
    let client = server.client();
    let mut cases = Vec::new();
    for kind in OF_THE_ACCOUNT {
        for class in CLASSES {
            // Late enough that all are submitted before the first parks the others.
            cases.push(begin(&client, &stub, Rule::new(kind, Stage::Poll).skip(8), class).await);
        }
    }
    join_all(cases.iter().map(async |case| {
        let task = client.rest_of(&case.task, LIMIT).await;
        check(&client, &stub, case, &task).await;
        assert_eq!(task["status"], "completed", "{}: {task:#}", case.name());
    }))
    .await;
}

async fn what_never_left_is_sent_when_the_way_is_clear(rig: Rig) {
    let stub = Stub::start();
    let listed = Client::new(&format!("http://{}", stub.address())).get("/_faults").await.json();
    let rows: Vec<_> = listed.as_array().expect("a list").iter().filter(|row| row["address"].is_string()).collect();
    let kinds: BTreeSet<_> = rows.iter().filter_map(|row| row["kind"].as_str()).collect();
    assert_eq!(kinds.len(), 6, "{kinds:?}");
    join_all(rows.iter().map(async |row| {
        let kind = Fault::named(row["kind"].as_str().expect("a name")).expect("it is known");
        // Each has a database of its own: what rests here must not be another's work.
        let home = rig.folder().join(kind.name());
        std::fs::create_dir_all(&home).expect("the test's folder can be written");
        let launch = rig.replica(kind.name()).data(&home.join("data")).lab(&stub);
        let nowhere = format!("{}/lab", row["address"].as_str().expect("an address"));
        let server = launch.env("LAB_BASE_URL", nowhere).start().await;
        one_address(&stub, server, kind).await;
    }))
    .await;
}

async fn one_address(stub: &Stub, mut server: Server, kind: Fault) {
    let client = server.client();
    let mut tasks = Vec::new();
    for class in CLASSES {
        let mark = stub::marker();
        let id = client.create("image", &picture(&format!("lab/{class}"), &mark)).await;
        tasks.push((class, mark, id));
    }
    let is_clear = kind.group() == Group::Before;
    let words = if is_clear { "did not leave" } else { "nobody can say whether the vendor accepted" };
    wait::until("try of each", LIMIT, || async { (server.logs().matches(words).count() >= 3).then_some(()) }).await;
    for (class, mark, id) in &tasks {
        let task = client.task(id).await;
        assert!(!is_terminal(&task), "{} of lab/{class}: {task:#}", kind.name());
        assert!(!is_clear || task["attention"].is_null(), "{} of lab/{class} is held: {task:#}", kind.name());
        assert_eq!(stub.received(mark), 0);
    }
    server.relaunch(|launch| launch.env("LAB_BASE_URL", stub.lab_base_url())).await;
    for (class, mark, id) in &tasks {
        let task = server.client().rest_of(id, LIMIT).await;
        let held = !is_clear && *class == "plain";
        assert_eq!(is_terminal(&task), !held, "{} of lab/{class}: {task:#}", kind.name());
        assert_eq!(stub.accepted(mark), usize::from(!held), "{} of lab/{class}", kind.name());
        assert!(held || task["status"] == "completed", "{} of lab/{class}: {task:#}", kind.name());
    }
}
