//! An entry for fuzzing: whatever a vendor answers, an adapter says something about it, and says
//! that a result is there only where the answer holds one.

use pixel_core::{
    Stamp,
    catalog::{Catalog, Model},
    id::ModelId,
    request::{Checked, Role},
    size::Size,
    task::{Facts, StoredInput},
    vendor::{Answer, Credential, Job, Next, Reply, Secret, Source, Vendor},
};
use serde_json::Value;
use std::sync::{Arc, LazyLock};

/// A name and what takes the bytes.
pub type Entry = (&'static str, fn(&[u8]));

/// The entries by name; each has a folder of seeds.
pub const TARGETS: &[Entry] = &[("answers", answers)];

/// The catalogue, read once.
static CATALOG: LazyLock<Catalog> = LazyLock::new(|| Catalog::parse(crate::CATALOG).unwrap_or_default());

/// Replies to one slot, at most.
const REPLIES_MAX: usize = 8;

/// Which adapter, with inputs or without, and the status; then JSON, of which a list is the bodies
/// of several answers, or text that is no JSON.
pub fn answers(data: &[u8]) {
    let [which, how, rest @ ..] = data else { return };
    let statuses = [200, 200, 201, 400, 401, 404, 429, 500];
    let status = statuses[usize::from(how >> 2) % statuses.len()];
    let bodies = match serde_json::from_slice(rest) {
        Ok(Value::Array(list)) => list,
        Ok(body) => vec![body],
        Err(_) => vec![Value::Null],
    };
    let text = bodies == [Value::Null];
    let text = text.then(|| String::from_utf8_lossy(&rest[..rest.len().min(2048)]).into_owned());
    let adapters = crate::all();
    let spoken: Vec<(&Arc<dyn Vendor>, &Model)> = adapters
        .iter()
        .filter(|adapter| adapter.id() != crate::SANDBOX)
        .flat_map(|adapter| CATALOG.models.iter().map(move |card| (adapter, card)))
        .filter(|(adapter, card)| adapter.id() == card.provider && adapter.speaks(card))
        .collect();
    let (adapter, card) = spoken[usize::from(*which) % spoken.len()];
    let Some(model) = ModelId::parse(&card.id()) else { return };
    let request = Checked { n: 1 + u32::from(how & 1), ..Checked::plain(card.kind, model, "a cat") };
    let inputs = if how & 2 == 0 { Vec::new() } else { vec![picture()] };
    let Ok(plan) = adapter.plan(&request, card) else { return };
    let credential = Credential(vec![Secret::new("key-2f9c41d7"), Secret::new("secret-91b0")]);
    let job = Job {
        request: &request,
        card,
        inputs: &inputs,
        reference: "att_00000000000000000000000000000001",
        first: 0,
        outputs: plan.slots.first().copied().unwrap_or(1),
        credential: &credential,
        base_url: "http://127.0.0.1:9",
        urls: &[],
        now: Stamp(1_795_176_000_000_000),
    };
    let Ok((_, mut mark)) = adapter.first(&job) else { return };
    for body in bodies.into_iter().take(REPLIES_MAX) {
        let headers = vec![("retry-after".to_owned(), text.clone().unwrap_or_default())];
        let answer = Answer { status, headers, body, text: text.clone(), staged: Vec::new() };
        let shown = answer.body.to_string();
        let next = adapter.next(&job, &mark, &Reply::Answer(answer.clone()));
        if let Err(error) = &next {
            assert!(!error.message.contains("key-2f9c41d7") && !error.message.is_empty());
        }
        let Ok(next) = next else { continue };
        mark = match next {
            Next::Done(outputs, mark) => {
                assert!(answer.is_success(), "done, although the status is {status}");
                assert_eq!(outputs.len(), job.outputs as usize);
                assert!(outputs.iter().any(|output| output.failed.is_none()), "done without a result");
                outputs.iter().filter(|output| output.failed.is_none()).for_each(|o| check(&o.media, &shown));
                mark
            }
            Next::Wait(_, mark) | Next::Send(_, mark) => mark,
        };
        if let Ok(Next::Done(..)) = adapter.next(&job, &mark, &Reply::Due) {
            panic!("done, although nobody answered");
        }
        let _ = adapter.search(&job, &mark).map(|_| adapter.found(&job, &mark, &answer));
    }
}

/// The answer itself holds what a result is made of.
fn check(media: &Source, shown: &str) {
    let (named, word) = match media {
        Source::Staged(handle) => (&handle.0, "$staged"),
        Source::Link { url, .. } => (url, ""),
        Source::Missing => panic!("a result that is missing and has not failed"),
    };
    let quoted = Value::from(named.as_str()).to_string();
    let quoted = quoted.trim_matches('"').trim_start_matches("https").trim_start_matches("http");
    assert!(shown.contains(quoted) && shown.contains(word), "{named} is not in {shown}");
}

fn picture() -> StoredInput {
    let facts = Facts {
        sha256: "cafe".repeat(16),
        bytes: 100,
        content_type: "image/png".to_owned(),
        ext: "png".to_owned(),
        size: Some(Size::new(8, 8)),
        duration_ms: None,
    };
    StoredInput { role: Role::Reference, facts }
}

#[cfg(test)]
mod tests {
    /// What a run of the fuzzer began with, and what one found.
    #[test]
    fn seeds_are_survived() {
        for (name, entry) in super::TARGETS {
            let folder = format!("{}/../../fuzz/seeds/{name}", env!("CARGO_MANIFEST_DIR"));
            let files: Vec<_> = std::fs::read_dir(&folder).unwrap_or_else(|e| panic!("{folder}: {e}")).collect();
            assert!(!files.is_empty(), "{folder} is empty");
            files.into_iter().for_each(|file| entry(&std::fs::read(file.unwrap().path()).unwrap()));
        }
    }
}
