//! Documentation pages and the operator's endpoints.

use pixel_testkit::{Client, Rig, on_both, on_sqlite};
use serde_json::json;

on_sqlite!(pages_carry_their_own_assets, the_document_names_every_route);
on_both!(operators_can_look_in);

/// Values of `src` and `href` of tags that load something.
fn assets(page: &str) -> Vec<String> {
    let tags =
        page.split('<').filter(|tag| ["script", "link", "img", "iframe"].iter().any(|name| tag.starts_with(name)));
    let value = |tag: &str, name: &str| {
        let (_, rest) = tag.split_once(&format!("{name}="))?;
        let quote = rest.chars().next().filter(|c| matches!(c, '"' | '\''))?;
        Some(rest[1..].split(quote).next()?.to_owned())
    };
    tags.flat_map(|tag| [value(tag, "src"), value(tag, "href")]).flatten().collect()
}

async fn loads_only_from_itself(client: &Client, path: &str) {
    let page = client.get(path).await;
    assert!(
        page.status == 200 && page.header("content-type").is_some_and(|kind| kind.starts_with("text/html")),
        "{path}"
    );
    let found = assets(&page.text());
    assert!(!found.is_empty(), "{path} loads nothing");
    for asset in found.iter().filter(|asset| !asset.starts_with("data:")) {
        assert!(!asset.contains("//"), "{path} loads {asset} from elsewhere");
        let address =
            if asset.starts_with('/') { asset.clone() } else { format!("/{}", asset.trim_start_matches("./")) };
        let answer = client.get(&address).await;
        assert!(answer.status == 200 && !answer.bytes.is_empty(), "{path} loads {asset}: {}", answer.status);
    }
}

async fn pages_carry_their_own_assets(rig: Rig) {
    let server = rig.server().start().await;
    for path in ["/docs", "/redoc"] {
        loads_only_from_itself(&server.client(), path).await;
    }
}

async fn the_document_names_every_route(rig: Rig) {
    let server = rig.server().start().await;
    let document = server.client().get("/openapi.json").await.json();
    assert!(document["openapi"].as_str().is_some_and(|version| version.starts_with("3.1")), "{}", document["openapi"]);
    let routes = [
        ("/api/v1/models", "get"),
        ("/api/v1/models/{provider}/{model_key}", "get"),
        ("/api/v1/generations/image", "post"),
        ("/api/v1/generations/video", "post"),
        ("/api/v1/generations/audio", "post"),
        ("/api/v1/tasks", "get"),
        ("/api/v1/tasks/{task_id}", "get"),
        ("/api/v1/tasks/{task_id}/resolve", "post"),
        ("/v1/chat/completions", "post"),
        ("/api/v1/usage", "get"),
        ("/text2video", "post"),
        ("/image2video", "post"),
        ("/get_status", "get"),
    ];
    for (path, method) in routes {
        assert!(document["paths"][path][method].is_object(), "{method} {path} is not described");
    }
    let mut operations: Vec<&str> = document["paths"]
        .as_object()
        .expect("paths")
        .values()
        .flat_map(|path| path.as_object().expect("methods").values())
        .filter_map(|operation| operation["operationId"].as_str())
        .collect();
    let all = operations.len();
    operations.sort_unstable();
    operations.dedup();
    assert_eq!(operations.len(), all, "two operations share an id");
}

async fn operators_can_look_in(rig: Rig) {
    let server = rig.server().start().await;
    let client = server.client();
    for path in ["/healthz", "/readyz"] {
        assert_eq!(client.get(path).await.status, 200, "{path}");
    }
    client.make("audio", &json!({ "model": "sandbox/speaker", "prompt": "hello" }), crate::support::SOON).await;
    let metrics = client.get("/metrics").await;
    assert!(metrics.status == 200 && metrics.header("content-type").is_some_and(|kind| kind.starts_with("text/plain")));
    let text = metrics.text();
    assert!(text.contains("# TYPE "), "{text}");
    let samples = text.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    for sample in samples {
        let value = sample.rsplit(' ').next().unwrap_or_default();
        assert!(value.parse::<f64>().is_ok(), "'{sample}' is no Prometheus sample");
    }
}
