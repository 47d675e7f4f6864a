//! The simulator's own pages: what it was asked, and how it is to behave.

use crate::{
    answer::Whole,
    fault::{Fault, Stage},
    script::{Script, Scripts},
    session::{HOLDER, PASSWORD, is_account},
    state::Shared,
    vendor::{Asked, KEY, SECRET},
    vendors,
};
use http::Method;
use serde_json::{Value, json};

pub(crate) async fn answer(asked: &Asked, shared: &Shared) -> Whole {
    match (&asked.method, asked.path.as_str()) {
        (&Method::GET, "/") => Whole::new(200, "text/plain; charset=utf-8", help(asked)),
        (&Method::GET, "/_ledger") => {
            let (marker, vendor) = (asked.parameter("marker"), asked.parameter("vendor"));
            if let Some(name) = vendor.filter(|name| vendors::ALL.iter().all(|vendor| vendor.id() != *name)) {
                let known: Vec<_> = vendors::ALL.iter().map(|vendor| vendor.id()).collect();
                return wrong(400, &format!("vendor: there is no '{name}' here, but {}", known.join(", ")));
            }
            Whole::json(200, &shared.state().ledger.to_json(marker, vendor))
        }
        (&Method::GET, "/_faults") => faults(shared).await,
        (&Method::GET, "/_script") => Whole::json(200, &shared.state().scripts.to_json()),
        (&Method::POST, "/_script") => match Script::parse(&asked.body) {
            Ok((marker, script)) => {
                let shown = json!({ "marker": marker, "script": script });
                shared.state().scripts.set(marker, script);
                Whole::json(200, &shown)
            }
            Err(why) => wrong(400, &why),
        },
        (&Method::DELETE, "/_script") => {
            shared.state().scripts = Scripts::default();
            Whole::json(200, &json!({}))
        }
        (&Method::POST, "/_reset") => {
            shared.reset();
            Whole::json(200, &json!({}))
        }
        (&Method::GET, "/_accounts") => Whole::json(200, &shared.state().sessions.to_json()),
        (&Method::POST, "/_accounts") => accounts(asked, shared),
        (_, "/" | "/_ledger" | "/_faults" | "/_script" | "/_reset" | "/_accounts") => {
            wrong(405, &format!("{} does not take {}; GET / says what there is", asked.path, asked.method))
        }
        (_, path) => wrong(404, &format!("there is no {path}; GET / says what there is")),
    }
}

/// What befalls an account by command.
fn accounts(asked: &Asked, shared: &Shared) -> Whole {
    let body = asked.json().unwrap_or_default();
    let name = body["name"].as_str().unwrap_or(HOLDER);
    if !is_account(name) {
        return wrong(400, &format!("name: there is no account '{name}'"));
    }
    let mut state = shared.state();
    match body["action"].as_str() {
        Some("expire-token") => state.sessions.expire(name),
        Some("sign-in-elsewhere") => {
            let token_s = state.scripts.site().token_s;
            state.sessions.sign_in(name, token_s, true);
        }
        _ => return wrong(400, "action: one of expire-token, sign-in-elsewhere"),
    }
    Whole::json(200, &state.sessions.to_json())
}

fn wrong(status: u16, why: &str) -> Whole {
    Whole::json(status, &json!({ "error": why }))
}

async fn faults(shared: &Shared) -> Whole {
    let addresses = match shared.addresses().await {
        Ok(addresses) => addresses,
        Err(error) => return wrong(500, &format!("the addresses of faults cannot be opened: {error}")),
    };
    let one = |fault: &Fault| {
        let address = addresses.of(*fault).filter(|_| fault.strikes_at(Stage::Connect));
        json!({
            "kind": fault, "group": fault.group(), "stages": fault.stages(), "accepts": fault.accepts(),
            "about": fault.about(), "address": address,
        })
    };
    Whole::json(200, &Value::Array(Fault::ALL.iter().map(one).collect()))
}

fn help(asked: &Asked) -> String {
    let host = asked.header("host").unwrap_or("127.0.0.1:9900");
    let bases: String = vendors::ALL
        .iter()
        .map(|vendor| {
            let (name, path) = vendor.base_url();
            format!("  {name}=http://{host}/{}{path}\n", vendor.id())
        })
        .collect();
    format!(
        "Pixel's vendor simulator.\n\n\
         It speaks these vendors' wire forms. The only key it knows is {KEY} (and the secret {SECRET}); {KEY}-2 to {KEY}-9 are other accounts:\n\n{bases}\n\
         GET    /_ledger?marker=&vendor=  what was accepted, and how often things were asked\n\
         GET    /_script                  the behaviour in effect\n\
         POST   /_script                  sets it, for all or for one marker: \
         {{\"marker\":\"mk-a1\",\"polls\":2,\"faults\":[{{\"kind\":\"reset-after-accept\",\"stage\":\"submit\"}}]}}\n\
         DELETE /_script                  back to good behaviour\n\
         GET    /_faults                  every fault, where it can strike, and the addresses of those before a request\n\
         GET    /_accounts                sign-ins, calls and uploads of the accounts that sign in: {HOLDER}, {PASSWORD}\n\
         POST   /_accounts                {{\"action\":\"expire-token\"}} or {{\"action\":\"sign-in-elsewhere\"}}\n\
         POST   /_reset                   forgets everything but the ledger's file\n\n\
         A marker is a word mk-… in the prompt. docs/simulator.md of the source tells the rest.\n"
    )
}
