//! `pixel simulate` as its users run it: a process beside `pixel serve`.

use crate::{
    browser::node,
    support::{SOON, picture, with},
};
use pixel_testkit::{Client, Rig, Simulation, media, on_sqlite, server::Launch, stub};
use serde_json::{Value, json};

on_sqlite!(
    pictures_are_made_and_the_ledger_survives,
    models_of_the_lab_are_offered_where_it_is_set_up,
    a_person_signs_in_on_the_page,
);

/// Points every vendor at the simulator.
fn at(launch: Launch, simulation: &Simulation) -> Launch {
    let names = ["OPENAI", "DASHSCOPE", "LAB"];
    let set = |launch: Launch, name: &&str| {
        let variable = format!("{name}_BASE_URL");
        launch.env(&variable, simulation.variable(&variable)).env(&format!("{name}_API_KEY"), stub::KEY)
    };
    let launch = names.iter().fold(launch, set);
    launch.env("PIXEL_FETCH_ALLOW", "127.0.0.1").env("PIXEL_POLL_MIN_MS", 50)
}

async fn accepted(client: &Client, mark: &str) -> Vec<Value> {
    let ledger = client.get(&format!("/_ledger?marker={mark}")).await.json();
    ledger["accepted"].as_array().expect("a list").clone()
}

async fn pictures_are_made_and_the_ledger_survives(rig: Rig) {
    let ledger = rig.folder().join("ledger.jsonl");
    let args = ["--ledger", ledger.to_str().expect("plain")];
    let mut simulation = Simulation::start(rig.binary(), &rig.folder().join("simulator"), &args).await;
    let server = at(rig.server(), &simulation).start().await;
    let client = server.client();
    let models = ["openai/gpt-image-2", "dashscope/qwen-image", "lab/keyed", "lab/searchable", "lab/plain"];
    let mut marks = Vec::new();
    for model in models {
        let mark = stub::marker();
        let task = client.make("image", &picture(model, &format!("a kite {mark}")), SOON).await;
        let url = task["result"]["images"][0]["url"].as_str().expect("a link").to_owned();
        assert!(media::png_size(&client.get(&url).await.bytes).is_some(), "{model}");
        assert_eq!(accepted(&simulation.client(), &mark).await.len(), 1, "{model}");
        marks.push(mark);
    }
    // A job that is under way when the simulator is killed.
    let mark = stub::marker();
    let slow = json!({ "marker": mark, "polls": 1_000_000 });
    assert_eq!(simulation.client().post("/_script", &slow).await.status, 200);
    let id = client.create("image", &picture("lab/plain", &mark)).await;
    pixel_testkit::wait::until("acceptance", SOON, || async {
        (accepted(&simulation.client(), &mark).await.len() == 1).then_some(())
    })
    .await;
    simulation.kill9();
    let text = std::fs::read_to_string(&ledger).expect("the ledger's file");
    assert_eq!(text.lines().count(), models.len() + 1);
    assert!(marks.iter().chain([&mark]).all(|mark| text.contains(mark.as_str())));
    simulation.restart().await;
    // The next life knows it, and its script is gone.
    let task = client.end_of(&id, SOON).await;
    assert_eq!(task["status"], "completed", "{task:#}");
    assert_eq!(accepted(&simulation.client(), &mark).await.len(), 1);
    let more = stub::marker();
    client.make("image", &with(picture("lab/plain", &more), &json!({ "n": 2 })), SOON).await;
    let entries = accepted(&simulation.client(), &more).await;
    assert_eq!((&entries[0]["number"], &entries[0]["outputs"]), (&json!(models.len() + 2), &json!(2)));
    let again = std::fs::read_to_string(&ledger).expect("the ledger's file");
    assert!(again.starts_with(&text) && again.lines().count() == models.len() + 2, "it was not continued");
    let violations = simulation.client().get("/_ledger").await.json()["violations"].clone();
    assert_eq!(violations, json!([]));
}

async fn models_of_the_lab_are_offered_where_it_is_set_up(rig: Rig) {
    let stub = pixel_testkit::Stub::start();
    let mut server = rig.server().vendors(&stub).start().await;
    let offered = async |client: Client| {
        let models = client.get("/api/v1/models").await.data();
        models["image"].as_object().expect("a group").keys().filter(|id| id.starts_with("lab/")).count()
    };
    assert_eq!(offered(server.client()).await, 0);
    server.relaunch(|launch| launch.lab(&stub)).await;
    assert_eq!(offered(server.client()).await, 4);
    for model in ["lab/keyed", "lab/searchable", "lab/plain"] {
        let mark = stub::marker();
        let task = server.client().make("image", &with(picture(model, &mark), &json!({ "n": 5 })), SOON).await;
        assert_eq!(task["result"]["images"].as_array().map(Vec::len), Some(5), "{task:#}");
        // Four results a submission.
        assert_eq!((stub.accepted(&mark), stub.received(&mark)), (2, 2));
    }
}

/// The page that others are judged with, judged by a browser that knows nothing of ours.
async fn a_person_signs_in_on_the_page(rig: Rig) {
    let simulation = Simulation::start(rig.binary(), &rig.folder().join("simulator"), &[]).await;
    let root = simulation.variable("PIXVERSE_WEB_URL");
    let sign_in = async |password: &str, presses: &str| {
        node(&rig, "sign_in.mjs", &[&root, stub::HOLDER, password, presses]).await
    };
    let seen = sign_in(stub::PASSWORD, "1").await;
    assert_eq!((&seen["words"], &seen["seen"]), (&json!("Login"), &json!("home")), "{seen}");
    assert!(seen["text"].as_str().is_some_and(|text| text.contains("Home")), "{seen}");
    assert!(
        seen["cookie"].is_string() && seen["cookie"] == seen["stored"] && seen["cookie"] == seen["tokens"][0],
        "{seen}"
    );
    assert_eq!(sign_in("wrong", "1").await["seen"], "refused");
    simulation.script(&json!({ "site": { "presses": 2, "language": "ru" } })).await;
    let seen = sign_in(stub::PASSWORD, "2").await;
    assert_eq!((&seen["words"], &seen["seen"]), (&json!("Войти"), &json!("home")), "{seen}");
    assert_eq!(seen["logins"], 1, "the first press did something: {seen}");
    simulation.script(&json!({ "site": { "verification": true } })).await;
    let seen = sign_in(stub::PASSWORD, "1").await;
    assert_eq!((&seen["seen"], &seen["tokens"]), (&json!("verification"), &json!([])), "{seen}");
    assert_eq!(simulation.account().await["sign_ins"], 2);
    simulation.befall("sign-in-elsewhere").await;
    assert_eq!(simulation.account().await["elsewhere"], 1);
    assert_eq!((simulation.calls("user/credits").await, simulation.account_urls().len()), (2, 2));
}
