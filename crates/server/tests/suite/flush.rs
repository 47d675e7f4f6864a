//! A 2xx on create means stable storage: seen from the system calls, not from a kill, because a
//! killed process loses nothing that the kernel already has.

use crate::support::{SOON, picture};
use pixel_testkit::{Rig, Script, Stub, on_sqlite, stub};
use std::{collections::HashMap, ffi::OsString, fs};

on_sqlite!(every_acknowledged_create_was_flushed_first, every_submission_was_flushed_first);

const CREATES: usize = 40;
const CALLS: &str = "trace=pwrite64,pwritev,fdatasync,fsync,write,writev,sendto,sendmsg";

/// One system call; the numbers are lines of the trace.
#[derive(Debug)]
struct Call {
    begin: usize,
    end: usize,
    name: String,
    text: String,
}

/// Reads what `strace -f -o` wrote. A call that another thread interrupted stands on two lines.
fn read_calls(trace: &str) -> Vec<Call> {
    let mut open: HashMap<&str, usize> = HashMap::new();
    let mut calls: Vec<Call> = Vec::new();
    for (line, text) in trace.lines().enumerate() {
        let Some((thread, rest)) = text.split_once(char::is_whitespace) else { continue };
        let rest = rest.trim_start();
        if rest.starts_with("<... ") {
            if let Some(at) = open.remove(thread) {
                calls[at].end = line;
                calls[at].text.push_str(rest);
            }
            continue;
        }
        let Some((name, _)) = rest.split_once('(') else { continue };
        if rest.ends_with("<unfinished ...>") {
            open.insert(thread, calls.len());
        }
        calls.push(Call { begin: line, end: line, name: name.to_owned(), text: rest.to_owned() });
    }
    // A call that never came back proves nothing.
    for at in open.into_values() {
        calls[at].end = usize::MAX;
    }
    calls
}

impl Call {
    fn is_on_wal(&self) -> bool {
        self.text.split_once(">").is_some_and(|(target, _)| target.ends_with("-wal"))
    }

    fn is_write(&self) -> bool {
        self.name.starts_with("pwrite")
    }

    fn is_flush(&self) -> bool {
        matches!(self.name.as_str(), "fdatasync" | "fsync")
    }

    fn is_send(&self) -> bool {
        let socket = self.text.contains("<socket:") || self.text.contains("<TCP");
        matches!(self.name.as_str(), "write" | "writev" | "sendto" | "sendmsg") && socket
    }
}

/// Whether a write of `text` into the log was flushed before the call at line `before`.
fn flushed(calls: &[Call], text: &str, before: usize) -> bool {
    let wal: Vec<&Call> = calls.iter().filter(|call| call.is_on_wal()).collect();
    let written = |call: &&&Call| call.is_write() && call.text.contains(text) && call.end < before;
    wal.iter()
        .filter(written)
        .any(|write| wal.iter().any(|call| call.is_flush() && call.begin > write.end && call.end < before))
}

/// A traced run: creates one behind the other, each with its marker and its task's id.
struct Traced {
    calls: Vec<Call>,
    tasks: Vec<(String, String)>,
}

async fn trace(rig: &Rig) -> Traced {
    let (file, stub) = (rig.folder().join("trace"), Stub::start());
    stub.by_default(Script { size: Some((64, 64)), ..Script::default() });
    let mut words: Vec<OsString> = ["strace", "-f", "-y", "-s", "8192", "-e", CALLS, "-o"].map(OsString::from).into();
    words.push(file.clone().into());
    let mut server = rig.server().vendors(&stub).under(words).start().await;
    let (client, mut tasks) = (server.client(), Vec::new());
    for _ in 0..CREATES {
        let mark = stub::marker();
        let id = client.create("image", &picture("openai/gpt-image-2", &mark)).await;
        tasks.push((mark, id));
    }
    for (_, id) in &tasks {
        client.end_of(id, SOON).await;
    }
    server.sigterm().await;
    let text = fs::read(&file).expect("install strace (Debian: strace): it shows the order of writes and flushes");
    Traced { calls: read_calls(&String::from_utf8_lossy(&text)), tasks }
}

async fn every_acknowledged_create_was_flushed_first(rig: Rig) {
    let Traced { calls, tasks } = trace(&rig).await;
    for (mark, id) in &tasks {
        let is_answer = |call: &&Call| {
            call.is_send()
                && call.text.contains("HTTP/1.1 200")
                && call.text.contains("task_id")
                && call.text.contains(id)
        };
        let answer =
            calls.iter().find(is_answer).unwrap_or_else(|| panic!("the trace does not show the answer of {id}"));
        assert!(flushed(&calls, mark, answer.begin), "{id} was acknowledged before it was flushed");
    }
}

/// The intent is on stable storage before the vendor sees the first byte. An attempt's key is the
/// task's id and its own, side by side in the row.
async fn every_submission_was_flushed_first(rig: Rig) {
    let Traced { calls, tasks } = trace(&rig).await;
    for (mark, id) in &tasks {
        let is_submission =
            |call: &&Call| call.is_send() && call.text.contains(mark) && !call.text.contains("\"HTTP/1.1 ");
        let sent = calls
            .iter()
            .find(is_submission)
            .unwrap_or_else(|| panic!("the trace does not show the submission of {mark}"));
        assert!(flushed(&calls, &format!("{id}att_"), sent.begin), "{id} was submitted before its intent was flushed");
    }
}
