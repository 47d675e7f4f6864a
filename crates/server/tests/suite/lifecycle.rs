//! Starting, refusing to start, and ending.

use crate::support::{SOON, picture};
use pixel_testkit::{Rig, Script, Stub, on_both, on_sqlite, stub, stub::Submit};
use std::time::Duration;

on_both!(sigterm_ends_in_time_and_tidily);
on_sqlite!(
    strangers_are_not_let_in_by_accident,
    wrong_settings_are_said_before_anything_starts,
    one_folder_has_one_server
);

async fn sigterm_ends_in_time_and_tidily(rig: Rig) {
    let (stub, mark) = (Stub::start(), stub::marker());
    stub.script(&mark, Script::submits([Submit::HangAfterAccept]));
    let mut server = rig.server().vendors(&stub).env("PIXEL_LEASE_S", 3).start().await;
    let client = server.client();
    client.make("audio", &picture("sandbox/speaker", "hello"), SOON).await;
    let id = client.create("image", &picture("openai/gpt-image-2", &mark)).await;
    pixel_testkit::wait::until("submission", SOON, || async { (stub.accepted(&mark) == 1).then_some(()) }).await;
    let (status, took) = server.sigterm().await;
    assert!(status.success(), "{status}");
    assert!(took < Duration::from_secs(11), "it took {took:?}");
    // What was under way is not sent again by the next life.
    server.restart().await;
    server.client().attention_of(&id, SOON).await;
    assert_eq!(stub.accepted(&mark), 1);
}

async fn strangers_are_not_let_in_by_accident(rig: Rig) {
    let (status, said) = rig.server().listen("0.0.0.0:0").start_refused().await;
    assert!(!status.success());
    assert!(said.contains("0.0.0.0"), "{said}");
    let open = rig.server().listen("0.0.0.0:0").env("PIXEL_ALLOW_UNAUTHENTICATED", "true").start().await;
    assert!(open.url().starts_with("http://"));
}

async fn wrong_settings_are_said_before_anything_starts(rig: Rig) {
    for (name, value) in [
        ("PIXEL_LEASE_S", "soon"),
        ("DATABASE_URL", "mysql://x"),
        ("PIXEL_FETCH_ALLOW", "http://"),
        ("PIXEL_HOLD_S", "-1"),
    ] {
        let (status, said) = rig.server().env(name, value).start_refused().await;
        assert!(!status.success() && said.contains(name), "{name}={value}: {said}");
    }
}

async fn one_folder_has_one_server(rig: Rig) {
    let first = rig.server().start().await;
    let (status, said) = rig.replica("second").start_refused().await;
    assert!(!status.success(), "two servers write one SQLite file");
    assert!(!said.trim().is_empty());
    assert!(first.client().is_ready().await);
}
