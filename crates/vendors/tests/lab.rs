//! The lab's adapter, which exists only with the feature `lab`.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests fail as tests do")]

use pixel_core::{
    ErrorKind, Stamp,
    catalog::{Catalog, Model},
    id::ModelId,
    request::{Checked, Kind},
    vendor::{Answer, Call, Credential, Field, HttpCall, Job, Next, Repeat, Reply, Secret, Source, Vendor},
};
use pixel_vendors::lab::{Lab, VARIABLE};
use serde_json::{Value, json};

fn catalog() -> Catalog {
    Catalog::parse(&pixel_vendors::catalog(|name| name == VARIABLE)).expect("the catalogue parses")
}

fn card(key: &str) -> Model {
    catalog().model(&ModelId::parse(&format!("lab/{key}")).unwrap()).expect("it is listed").clone()
}

fn with_job<T>(key: &str, use_it: impl FnOnce(&Job<'_>) -> T) -> T {
    let card = card(key);
    let request = Checked::plain(Kind::Image, ModelId::parse(&card.id()).unwrap(), "a kite");
    let credential = Credential(vec![Secret::new("key-1")]);
    use_it(&Job {
        request: &request,
        card: &card,
        inputs: &[],
        reference: "task_1-0-0",
        first: 0,
        outputs: 2,
        credential: &credential,
        base_url: "http://127.0.0.1:9",
        urls: &[],
        now: Stamp(0),
    })
}

fn http(call: Call) -> HttpCall {
    let Call::Http(call) = call else { panic!("local work") };
    *call
}

fn answer(status: u16, body: Value) -> Reply {
    Reply::Answer(Answer { status, body, ..Answer::default() })
}

#[test]
fn it_is_listed_only_where_its_variable_is_set() {
    let without = Catalog::parse(&pixel_vendors::catalog(|_| false)).unwrap();
    assert!(without.vendor("lab").is_none());
    assert_eq!(catalog().models.len(), without.models.len() + 4);
    let adapters = pixel_vendors::adapters();
    let lab = adapters.iter().find(|adapter| adapter.id() == "lab").expect("an adapter");
    assert!(catalog().models.iter().filter(|model| model.provider == "lab").all(|model| lab.speaks(model)));
}

#[test]
fn each_model_gives_another_promise() {
    for (key, found) in [("keyed", false), ("searchable", true), ("plain", false)] {
        with_job(key, |job| {
            let (call, mark) = Lab.first(job).unwrap();
            let call = http(call);
            let fits = match key {
                "keyed" => matches!(call.repeat, Repeat::Keyed { .. }),
                "searchable" => matches!(call.repeat, Repeat::Searchable { .. }),
                _ => call.repeat == Repeat::Never,
            };
            assert!(fits, "{key}: {:?}", call.repeat);
            let key_sent = call.headers.iter().any(|(name, value)| {
                name == "idempotency-key" && matches!(value, Field::Plain(text) if text == "task_1-0-0")
            });
            assert!(key_sent);
            assert_eq!(Lab.search(job, &mark).is_some(), found, "{key}");
        });
    }
}

#[test]
fn answers_are_read_and_nonsense_is_unclear() {
    with_job("searchable", |job| {
        let next = |mark: &Value, reply: &Reply| Lab.next(job, mark, reply);
        let Next::Wait(None, mark) = next(&json!({}), &answer(200, json!({ "id": "j-1" }))).unwrap() else { panic!() };
        assert!(matches!(next(&mark, &answer(200, json!({ "state": "meditating" }))).unwrap(), Next::Wait(None, _)));
        let done = answer(200, json!({ "state": "done", "results": [{ "url": "http://x/1" }, { "error": "failed" }] }));
        let Next::Done(outputs, _) = next(&mark, &done).unwrap() else { panic!("not done") };
        assert!(matches!(outputs[0].media, Source::Link { .. }) && outputs[1].failed.is_some());
        let kind = |mark: &Value, status, body| next(mark, &answer(status, body)).unwrap_err().kind;
        for (status, body) in [(200, json!({})), (200, json!({ "id": "../x" })), (500, Value::Null), (503, Value::Null)]
        {
            assert_eq!(kind(&json!({}), status, body.clone()), ErrorKind::Unclear, "{status} {body}");
        }
        assert_eq!(kind(&mark, 404, Value::Null), ErrorKind::Unclear);
        assert_eq!(kind(&mark, 410, json!({ "error": { "code": "gone" } })), ErrorKind::VendorLost);
        let found = |body| Lab.found(job, &json!({}), &Answer { status: 200, body, ..Answer::default() });
        assert_eq!(found(json!({ "jobs": [{ "id": "j-2" }] })).unwrap(), Some(json!({ "id": "j-2" })));
        assert_eq!(found(json!({ "jobs": [] })).unwrap(), None);
        assert_eq!(found(json!({ "what": 1 })).unwrap_err().kind, ErrorKind::Unclear);
    });
}
