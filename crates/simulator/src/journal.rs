//! The ledger's file: a line of JSON for every acceptance, on stable storage before it is answered.

use crate::ledger::Entry;
use std::{
    fs::{File, OpenOptions, TryLockError},
    io::{self, Read, Seek, SeekFrom, Write},
    path::Path,
    sync::mpsc,
    thread::JoinHandle,
};
use tokio::sync::oneshot;

/// Appends to the file; what waits is written and flushed together.
pub(crate) struct Journal {
    /// Taken when it closes.
    lines: Option<mpsc::Sender<Line>>,
    writer: Option<JoinHandle<()>>,
}

impl Drop for Journal {
    /// The file is free for the next one when this returns.
    fn drop(&mut self) {
        drop(self.lines.take());
        if let Some(writer) = self.writer.take() {
            // A writer that panicked has closed the file as well.
            let _ = writer.join();
        }
    }
}

struct Line {
    text: String,
    flushed: oneshot::Sender<io::Result<()>>,
}

impl Journal {
    /// Opens or makes the file and reads what an earlier simulator wrote into it.
    pub fn open(path: &Path) -> io::Result<(Self, Vec<Entry>)> {
        let named = |error: io::Error| io::Error::new(error.kind(), format!("the ledger {}: {error}", path.display()));
        let mut file = OpenOptions::new().read(true).append(true).create(true).open(path).map_err(named)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(named(io::Error::other("another simulator writes to it; choose another file")));
            }
            Err(TryLockError::Error(error)) => return Err(named(error)),
        }
        let entries = read(&mut file).map_err(named)?;
        let (lines, waiting) = mpsc::channel();
        let writer = std::thread::Builder::new().name("ledger".to_owned());
        let writer = writer.spawn(move || write(&mut file, &waiting))?;
        Ok((Self { lines: Some(lines), writer: Some(writer) }, entries))
    }

    /// The receiver hears when the entry is on stable storage. The flush does not wait for it.
    pub fn append(&self, entry: &Entry) -> oneshot::Receiver<io::Result<()>> {
        let (flushed, receiver) = oneshot::channel();
        // Our own types always serialise.
        let text = serde_json::to_string(entry).unwrap_or_default() + "\n";
        // A writer that has gone drops the sender, which the receiver hears.
        let _ = self.lines.as_ref().map(|lines| lines.send(Line { text, flushed }));
        receiver
    }
}

fn write(file: &mut File, waiting: &mpsc::Receiver<Line>) {
    while let Ok(first) = waiting.recv() {
        let mut batch = vec![first];
        batch.extend(waiting.try_iter());
        let text: String = batch.iter().map(|line| line.text.as_str()).collect();
        let result = file.write_all(text.as_bytes()).and_then(|()| file.sync_data());
        for line in batch {
            let told = match &result {
                Ok(()) => Ok(()),
                Err(error) => Err(io::Error::new(error.kind(), error.to_string())),
            };
            // A client that hung up no longer waits for it.
            let _ = line.flushed.send(told);
        }
    }
}

/// Whole lines are entries; a last one without its end was never answered for and is taken away.
#[expect(clippy::verbose_file_reads, reason = "the handle that holds the lock reads, and cuts what is torn")]
fn read(file: &mut File) -> io::Result<Vec<Entry>> {
    let mut text = Vec::new();
    file.seek(SeekFrom::Start(0))?;
    file.read_to_end(&mut text)?;
    let whole = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    if whole < text.len() {
        file.set_len(whole as u64)?;
        file.sync_data()?;
    }
    let lines = text[..whole].split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    let entry = |(at, line): (usize, &[u8])| {
        serde_json::from_slice(line)
            .map_err(|error| io::Error::other(format!("line {} is no entry of a ledger: {error}", at + 1)))
    };
    lines.enumerate().map(entry).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(number: u64) -> Entry {
        Entry { number, vendor: "lab".to_owned(), job: format!("job-{number}"), ..Entry::default() }
    }

    #[tokio::test]
    async fn entries_are_found_again_and_a_torn_line_is_not() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("ledger.jsonl");
        let (journal, before) = Journal::open(&path).expect("it is made");
        assert!(before.is_empty());
        for number in 1..=3 {
            journal.append(&entry(number)).await.expect("the writer lives").expect("it is flushed");
        }
        let error = Journal::open(&path).err().expect("it is taken").to_string();
        assert!(error.contains("another simulator"), "{error}");
        // What a power cut leaves behind.
        let text = std::fs::read_to_string(&path).expect("it is there");
        let torn = folder.path().join("torn.jsonl");
        std::fs::write(&torn, &text[..text.len() - 5]).expect("written");
        let (journal, entries) = Journal::open(&torn).expect("it opens");
        assert_eq!(entries.iter().map(|entry| entry.number).collect::<Vec<_>>(), [1, 2]);
        journal.append(&entry(3)).await.expect("the writer lives").expect("it is flushed");
        assert_eq!(std::fs::read_to_string(&torn).expect("it is there"), text);
    }

    #[test]
    fn a_file_that_is_no_ledger_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("notes.txt");
        std::fs::write(&path, "{}\nmilk\n").expect("written");
        let error = Journal::open(&path).err().expect("it is none").to_string();
        assert!(error.contains("notes.txt") && error.contains("line 1"), "{error}");
        assert_eq!(std::fs::read_to_string(&path).expect("it is there"), "{}\nmilk\n");
    }
}
