//! Bad input: two thousand and more requests that must be refused, each in the right shape and in
//! time, and without a trace: no task, no call to a vendor, no panic, no file, little memory.
//!
//! The cases are made by code, the same in every run, and have names. To repeat one, or all whose
//! names hold some text:
//!
//! ```sh
//! BAD_INPUT=image/truncated/17 cargo nextest run -p pixel-server --no-capture bad_input
//! ```
//!
//! What the contract tells us to tolerate stands among the cases as *taken*, with the reason.

mod bodies;
mod documents;
mod fields;
pub mod files;
mod lab;
mod links;
mod media;
mod polyglots;
mod urls;
mod wire;

use lab::{Case, Lab};
use pixel_testkit::{Rig, on_both, on_sqlite};

on_both!(bodies_are_refused, addresses_are_refused);
on_sqlite!(
    media_are_refused,
    requests_that_are_none_are_refused,
    linked_media_end_the_task_before_the_vendor_is_asked,
    a_vendors_bad_media_are_never_announced,
);

async fn bodies_are_refused(rig: Rig) {
    let lab = Lab::open(&rig).await;
    let cases = bodies::all(&lab.task);
    lab.try_all(cases, 1_200).await;
}

async fn addresses_are_refused(rig: Rig) {
    let lab = Lab::open(&rig).await;
    let cases = urls::all(&lab.task, &lab.media);
    lab.try_all(cases, 300).await;
}

async fn media_are_refused(rig: Rig) {
    let lab = Lab::open(&rig).await;
    let originals = files::originals(rig.folder());
    let cases: Vec<Case> = media::all(&originals).into_iter().chain(polyglots::all(&originals)).collect();
    lab.try_all(cases, 400).await;
}

async fn requests_that_are_none_are_refused(rig: Rig) {
    let lab = Lab::open(&rig).await;
    wire::try_all(&lab).await;
    wire::newer_version(&lab).await;
    lab.try_all(Vec::new(), 0).await;
}

async fn linked_media_end_the_task_before_the_vendor_is_asked(rig: Rig) {
    links::fetched_inputs(&rig).await;
}

async fn a_vendors_bad_media_are_never_announced(rig: Rig) {
    links::vendor_results(&rig).await;
}
