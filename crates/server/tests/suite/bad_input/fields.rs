//! Fields of the wrong type, beyond their bounds, or with words that they do not know.

use super::{bodies::Route, documents::statuses_of_valid, lab::Case};
use serde_json::{Value, json};

pub fn all(routes: &[Route]) -> Vec<Case> {
    let mut cases = Vec::new();
    for route in routes {
        match route.name {
            "chat" => chat(route, &mut cases),
            "resolve" => resolve(route, &mut cases),
            _ => generation(route, &mut cases),
        }
        cases.extend(tolerated(route));
    }
    cases
}

/// One case for each value of a field; the sentence names the field.
fn wrong(route: &Route, cases: &mut Vec<Case>, field: &str, says: &str, values: &[&str]) {
    for (at, raw) in values.iter().enumerate() {
        let case = route.case(&format!("field/{field}/{says}/{at}"), route.with_raw(field, raw));
        cases.push(case.says(says.to_owned()));
    }
}

const NO_TEXT: &[&str] = &["true", "false", "5", "-1", "1.5", "1e-400", "[]", "{}", "[\"x\"]", "{\"x\":\"y\"}"];
const NO_INTEGER: &[&str] = &[
    "true",
    "false",
    "\"2\"",
    "\"\"",
    "1.5",
    "1e0",
    "-0",
    "1e-400",
    "[]",
    "[1]",
    "{}",
    "99999999999999999999",
    "-99999999999999999999",
    "1e30",
    "9223372036854775808",
    "-9223372036854775809",
];

fn generation(route: &Route, cases: &mut Vec<Case>) {
    for field in ["prompt", "model"] {
        wrong(route, cases, field, field, NO_TEXT);
        wrong(route, cases, field, &format!("{field}'"), &["null"]);
        let mut rest = route.valid.clone();
        rest.as_object_mut().expect("an object").remove(field);
        // Without one the model's sentence is the contract's own.
        cases.push(route.case(&format!("field/{field}/absent"), rest.to_string()).says(if field == "model" {
            "odel"
        } else {
            field
        }));
    }
    wrong(route, cases, "prompt", "'prompt'", &["\"\"", "\" \"", "\"\\n\\t\"", "\"\\u3000\""]);
    for field in ["negativePrompt", "resolution", "aspectRatio", "voice", "projectId", "source", "sourceId"] {
        wrong(route, cases, field, field, NO_TEXT);
    }
    for field in ["projectId", "source", "sourceId"] {
        let long = format!("\"{}\"", "é".repeat(201));
        wrong(route, cases, field, &format!("'{field}'"), &["\"a\\nb\"", "\"\\u0007\"", "\"\\u0085\"", &long]);
    }
    wrong(route, cases, "n", "'n'", NO_INTEGER);
    wrong(route, cases, "n", "'n' must", &["0", "-1", "11", "4294967295", "4294967296", "18446744073709551615"]);
    wrong(route, cases, "seed", "'seed'", NO_INTEGER);
    wrong(route, cases, "seed", "'seed' must", &["-2", "-9223372036854775808"]);
    wrong(route, cases, "speed", "'speed'", &["true", "\"1\"", "\"fast\"", "[]", "{}", "[1.0]"]);
    wrong(route, cases, "speed", "'speed' must", &["0", "-0", "0.2499", "4.001", "-1", "1e300", "1e-400", "5e-324"]);
    wrong(route, cases, "duration", "'duration'", &["true", "false", "[]", "{}", "[5]"]);
    wrong(
        route,
        cases,
        "imageInputs",
        "imageInputs",
        &["true", "5", "\"x\"", "{}", "[5]", "[null]", "[[]]", "[{}]", "[true]", "\"[]\""],
    );
    wrong(route, cases, "extraParams", "extraParams", &["true", "5", "\"x\"", "[]", "[{}]", "\"{}\""]);
    inner(route, cases);
    bounds(route, cases);
    models(route, cases);
    match route.name {
        "image" => sizes(route, cases, "1K"),
        "video" => {
            sizes(route, cases, "720p");
            let bad = [
                "\"long\"",
                "\"s\"",
                "\"0s\"",
                "\"-5s\"",
                "\"3601s\"",
                "\"nan\"",
                "\"infs\"",
                "\"5m\"",
                "\"5 s x\"",
                "\"٥s\"",
                "\"5ss\"",
                "\"0x5s\"",
                "\"1e400s\"",
                "\"5s5\"",
                "\"-0s\"",
                "0",
                "-5",
                "-0",
                "1e300",
                "3601",
            ];
            wrong(route, cases, "duration", "'duration' must", &bad);
        }
        _ => wrong(
            route,
            cases,
            "voice",
            "'voice' must",
            &["\"nobody\"", "\"\"", "\"ARIA_FEMALE\"", "\"aria_female \"", "\"../x\""],
        ),
    }
}

/// What stands in `extraParams` under a name of ours.
fn inner(route: &Route, cases: &mut Vec<Case>) {
    let table: [(&str, &[&str]); 6] = [
        (
            "loras",
            &[
                "5",
                "\"x\"",
                "true",
                "{}",
                "[5]",
                "[{}]",
                "[null]",
                "[{\"model\":5}]",
                "[{\"weight\":1}]",
                "[{\"model\":\"a\",\"weight\":\"x\"}]",
                "[[]]",
            ],
        ),
        ("mode", &["5", "\"banana\"", "\"\"", "[]", "{}", "true", "\"Image\"", "\"first_last\""]),
        ("seed", &["\"x\"", "1.5", "[]", "{}", "true", "9223372036854775808"]),
        ("lastFrame", &["5", "{}", "[]", "true", "[\"x\"]"]),
        ("videoInput", &["5", "{}", "[]", "true", "[\"x\"]"]),
        ("audioInput", &["5", "{}", "[]", "true", "[\"x\"]"]),
    ];
    for (name, values) in table {
        for (at, raw) in values.iter().enumerate() {
            let body = route.with_raw("extraParams", &format!("{{\"{name}\":{raw}}}"));
            cases.push(route.case(&format!("inner/{name}/{at}"), body).says(format!("'extraParams.{name}'")));
        }
    }
    let body = route.with(json!({ "extraParams": { "seed": -2 } }));
    cases.push(route.case("inner/seed/low", body).says("seed"));
}

fn bounds(route: &Route, cases: &mut Vec<Case>) {
    let many: serde_json::Map<String, Value> = (0..65).map(|at| (format!("p{at}"), json!(1))).collect();
    let link = "https://example.com/a.png";
    let table = [
        ("prompt", json!({ "prompt": "x".repeat(100_001) })),
        ("prompt_wide", json!({ "prompt": "語".repeat(100_001) })),
        ("negativePrompt", json!({ "negativePrompt": "x".repeat(100_001) })),
        ("resolution", json!({ "resolution": "1".repeat(201) })),
        ("aspectRatio", json!({ "aspectRatio": "1".repeat(201) })),
        ("duration", json!({ "duration": "1".repeat(201) })),
        ("voice", json!({ "voice": "x".repeat(201) })),
        ("imageInputs", json!({ "imageInputs": vec![link; 65] })),
        ("imageInputs_many", json!({ "imageInputs": vec!["x"; 100_000] })),
        ("extraParams", json!({ "extraParams": many })),
        ("extraParams_long", json!({ "extraParams": { "x": "y".repeat(70_000) } })),
        ("extraParams_name", json!({ "extraParams": { "x".repeat(70_000): 1 } })),
        ("extraParams_list", json!({ "extraParams": { "x": vec![0; 50_000] } })),
        ("loras", json!({ "extraParams": { "loras": vec![json!({ "model": "a/b" }); 10_000] } })),
    ];
    for (name, more) in table {
        let field = name.split('_').next().unwrap_or(name).replace("loras", "extraParams");
        cases.push(route.case(&format!("bound/{name}"), route.with(more)).says(format!("'{field}'")));
    }
}

fn models(route: &Route, cases: &mut Vec<Case>) {
    let forms =
        ["", "x", "/", "a/", "/b", "a/b/c", "a//b", "qwen-image", " ", "https://a/b", "..", "a\\b", "a\nb", "💥"];
    for (at, id) in forms.iter().enumerate() {
        let case = route.case(&format!("model/form/{at}"), route.with(json!({ "model": id })));
        cases.push(case.says(format!("got: '{id}'")));
    }
    let unknown = [
        "invalid/model",
        "a/b",
        "SANDBOX/painter",
        "sandbox/painter ",
        "sandbox/PAINTER",
        " sandbox/painter",
        "sandbox/%70ainter",
        "sandbox/../painter",
        "sandbox\u{200b}/painter",
        "sandbox/päinter",
        "💥/💥",
    ];
    for (at, id) in unknown.iter().filter(|id| id.matches('/').count() == 1).enumerate() {
        cases.push(
            route
                .case(&format!("model/unknown/{at}"), route.with(json!({ "model": id })))
                .status(&[404])
                .says("not found"),
        );
    }
    let others = ["sandbox/painter", "sandbox/animator", "sandbox/speaker", "sandbox/writer"];
    for id in others.iter().filter(|id| route.valid["model"] != json!(id)) {
        cases.push(
            route
                .case(&format!("model/other/{id}"), route.with(json!({ "model": id })))
                .says("'model' must be of type"),
        );
    }
}

fn sizes(route: &Route, cases: &mut Vec<Case>, level: &str) {
    let levels = [
        "huge",
        "K",
        "p",
        "-1K",
        "0K",
        "99999p",
        "infK",
        "nanp",
        "1e400K",
        "17K",
        "63p",
        "8641p",
        "0x0",
        "1x0",
        "0*5",
        "-1x5",
        "16385x1",
        "1x16385",
        "99999999999x1",
        "1x",
        "x1",
        "x",
        "1x1x1",
        "8192*8192",
        "16K",
        "1.5.5K",
        "²K",
        "1k K",
    ];
    for (at, text) in levels.iter().enumerate() {
        let case = route.case(&format!("size/level/{at}"), route.with(json!({ "resolution": text })));
        cases.push(case.says("'resolution'"));
    }
    let ratios = [
        "wide", "16", ":", "16:", ":9", "0:9", "9:0", "a:b", "100:1", "1:100", "-16:9", "-16:-9", "nan:1", "inf:1",
        "inf:inf", "16:9:1", "16/9", "16x9", "1e400:1", "1e-400:1", "16;9",
    ];
    for (at, text) in ratios.iter().enumerate() {
        let case =
            route.case(&format!("size/ratio/{at}"), route.with(json!({ "aspectRatio": text, "resolution": level })));
        cases.push(case.says("'aspectRatio'"));
    }
    let parameters: [(&str, &[&str]); 3] = [
        ("quality", &["5", "\"ultra\"", "null", "[]", "{}", "true", "\"\"", "\"LOW\""]),
        ("output_compression", &["\"5\"", "-1", "101", "1.5", "[]", "null", "1e30"]),
        ("background", &["\"red\"", "0"]),
    ];
    if route.name != "image" {
        return;
    }
    for (name, values) in parameters {
        for (at, raw) in values.iter().enumerate() {
            let body =
                format!("{{\"model\":\"openai/gpt-image-2\",\"prompt\":\"a\",\"extraParams\":{{\"{name}\":{raw}}}}}");
            cases.push(route.case(&format!("parameter/{name}/{at}"), body).says(format!("'extraParams.{name}'")));
        }
    }
    let long =
        json!({ "model": "openai/gpt-image-2", "prompt": "a", "extraParams": { "quality": "x".repeat(60_000) } });
    cases.push(route.case("parameter/quality/long", long.to_string()).says("'extraParams.quality'"));
    let prompts = [("dashscope/qwen-image", 801), ("openai/gpt-image-2", 32_001)];
    for (model, chars) in prompts {
        let body = json!({ "model": model, "prompt": "é".repeat(chars) });
        cases.push(route.case(&format!("bound/prompt_of/{model}"), body.to_string()).says("'prompt'"));
    }
    for (model, most) in [("sandbox/painter", 4), ("dashscope/qwen-image", 3), ("openai/gpt-image-2", 16)] {
        let body = json!({ "model": model, "prompt": "a", "imageInputs": vec!["https://example.com/a.png"; most + 1] });
        cases.push(route.case(&format!("bound/inputs_of/{model}"), body.to_string()).says("imageInputs"));
    }
}

fn chat(route: &Route, cases: &mut Vec<Case>) {
    let body = |messages: &str| format!("{{\"model\":\"sandbox/writer\",\"messages\":{messages}}}");
    wrong(route, cases, "model", "model", NO_TEXT);
    wrong(route, cases, "stream", "'stream'", &["5", "\"true\"", "[]", "{}", "1.0"]);
    for field in ["max_tokens", "max_completion_tokens"] {
        wrong(route, cases, field, &format!("'{field}'"), NO_INTEGER);
        wrong(route, cases, field, &format!("'{field}' must"), &["-1", "4294967296"]);
    }
    wrong(route, cases, "seed", "'seed'", NO_INTEGER);
    wrong(
        route,
        cases,
        "stream_options",
        "stream_options",
        &["5", "\"x\"", "true", "{\"include_usage\":5}", "{\"include_usage\":\"yes\"}"],
    );
    let lists = [
        "null",
        "true",
        "5",
        "\"x\"",
        "{}",
        "[]",
        "[5]",
        "[null]",
        "[\"Hello\"]",
        "[[]]",
        "[{}]",
        "[{\"content\":\"x\"}]",
        "[{\"role\":5,\"content\":\"x\"}]",
        "[{\"role\":null,\"content\":\"x\"}]",
        "[{\"role\":\"user\",\"content\":5}]",
        "[{\"role\":\"user\",\"content\":true}]",
        "[{\"role\":\"user\",\"content\":{}}]",
        "[{\"role\":\"user\",\"content\":[5]}]",
        "[{\"role\":\"user\",\"content\":[null]}]",
        "[{\"role\":\"user\",\"content\":[[]]}]",
        "[{\"role\":\"user\",\"content\":[\"x\"]}]",
    ];
    for (at, list) in lists.iter().enumerate() {
        cases.push(route.case(&format!("field/messages/{at}"), body(list)).says("messages"));
    }
    let many = json!([{ "role": "user", "content": "x" }]).to_string();
    let item = many.trim_matches(['[', ']']);
    for count in [1_001, 50_000] {
        let list = format!("[{}]", vec![item; count].join(","));
        cases.push(route.case(&format!("bound/messages/{count}"), body(&list)).says("'messages'"));
    }
    cases.push(route.case("field/messages/absent", "{\"model\":\"sandbox/writer\"}").says("'messages'"));
    cases.push(
        route
            .case("field/model/kind", route.with(json!({ "model": "sandbox/painter" })))
            .says("'model' must be of type"),
    );
    cases.push(
        route.case("field/model/unknown", route.with(json!({ "model": "a/b" }))).status(&[404]).says("not found"),
    );
}

fn resolve(route: &Route, cases: &mut Vec<Case>) {
    wrong(route, cases, "choice", "'choice'", NO_TEXT);
    let words =
        ["null", "\"\"", "\"maybe\"", "\"LOST\"", "\"lost \"", "\"pay-again\"", "\"payAgain\"", "\"lost\\nsearch\""];
    wrong(route, cases, "choice", "'choice' must", &words);
    cases.push(route.case("field/choice/absent", "{}").says("'choice'"));
    let valid = route.valid.to_string();
    for (at, id) in ["task_0", "x", "med_00000000000000000000000000000000", "task_00000000000000000000000000000000"]
        .iter()
        .enumerate()
    {
        let target = format!("/api/v1/tasks/{id}/resolve");
        cases.push(Case::post(format!("resolve/unknown/{at}"), &target, valid.clone()).status(&[404]));
    }
}

/// What looks odd and must be taken.
fn tolerated(route: &Route) -> Vec<Case> {
    let good = statuses_of_valid(route);
    let valid = route.valid.to_string();
    let take = |name: &str, body: Vec<u8>, why| route.case(&format!("taken/{name}"), body).taken(why, good);
    let mut cases = vec![
        take("unknown", route.with(json!({ "unheard": { "of": [1, null] } })), "unknown fields are ignored"),
        take("space", format!(" \r\n\t{valid}\n\n").into_bytes(), "space around JSON is JSON"),
        take("tiny", route.with_raw("unheard", "1e-400"), "a number too small is nought, and nobody reads it"),
        take(
            "deep",
            route.with_raw("unheard", &format!("{}{}", "[".repeat(120), "]".repeat(120))),
            "it nests within bounds",
        ),
        route
            .case("taken/type", valid.clone())
            .header("content-type", "image/png")
            .taken("JSON is read whatever is declared", good),
        route
            .case("taken/plain", valid.clone())
            .header("content-encoding", "identity")
            .taken("that is no packing", good),
    ];
    if matches!(route.name, "image" | "video" | "audio") {
        let null = json!({ "negativePrompt": null, "n": null, "seed": null, "imageInputs": null, "extraParams": null, "projectId": null });
        cases.push(take("null", route.with(null), "null is absent"));
        cases.push(take("any_seed", route.with(json!({ "seed": -1 })), "-1 means any seed"));
        cases.push(take(
            "empty",
            route.with(json!({ "projectId": "", "source": "", "negativePrompt": "" })),
            "empty is absent",
        ));
        cases.push(take(
            "strange_parameter",
            route.with(json!({ "extraParams": { "x": [1] } })),
            "it becomes a warning",
        ));
    }
    cases
}
