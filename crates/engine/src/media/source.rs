//! A file read from front to back, with the difference between "ends too early" and "is wrong".

use crc32fast::Hasher;
use std::{
    fs::File,
    io::{self, BufRead, BufReader, Read, Seek, SeekFrom},
    path::Path,
};

const HEAD_BYTES: u64 = 4096;

/// Why a walk did not reach its end.
#[derive(Debug)]
pub(super) enum Stop {
    /// The file ends before its structure does.
    Truncated(String),
    Bad(String),
    Io(io::Error),
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

pub(super) type Walk<T = ()> = Result<T, Stop>;

pub(super) fn bad<T>(why: impl Into<String>) -> Walk<T> {
    Err(Stop::Bad(why.into()))
}

pub(super) fn truncated<T>(place: impl Into<String>) -> Walk<T> {
    Err(Stop::Truncated(place.into()))
}

#[derive(Debug)]
pub(super) struct Source {
    file: BufReader<File>,
    at: u64,
    length: u64,
}

impl Source {
    pub fn open(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        let length = file.metadata()?.len();
        Ok(Self { file: BufReader::with_capacity(64 * 1024, file), at: 0, length })
    }

    pub fn length(&self) -> u64 {
        self.length
    }

    pub fn at(&self) -> u64 {
        self.at
    }

    pub fn left(&self) -> u64 {
        self.length.saturating_sub(self.at)
    }

    /// The first bytes, without moving.
    pub fn head(&mut self) -> io::Result<Vec<u8>> {
        let mut head = Vec::new();
        self.file.by_ref().take(HEAD_BYTES).read_to_end(&mut head)?;
        self.file.seek(SeekFrom::Start(0))?;
        Ok(head)
    }

    pub fn read<const N: usize>(&mut self) -> Walk<[u8; N]> {
        let mut bytes = [0; N];
        self.fill(&mut bytes)?;
        Ok(bytes)
    }

    pub fn fill(&mut self, bytes: &mut [u8]) -> Walk {
        if self.left() < bytes.len() as u64 {
            return self.ends();
        }
        self.file.read_exact(bytes)?;
        self.at += bytes.len() as u64;
        Ok(())
    }

    pub fn byte(&mut self) -> Walk<u8> {
        Ok(self.read::<1>()?[0])
    }

    pub fn u16_be(&mut self) -> Walk<u16> {
        Ok(u16::from_be_bytes(self.read()?))
    }

    pub fn u16_le(&mut self) -> Walk<u16> {
        Ok(u16::from_le_bytes(self.read()?))
    }

    pub fn u32_be(&mut self) -> Walk<u32> {
        Ok(u32::from_be_bytes(self.read()?))
    }

    pub fn u32_le(&mut self) -> Walk<u32> {
        Ok(u32::from_le_bytes(self.read()?))
    }

    pub fn u64_be(&mut self) -> Walk<u64> {
        Ok(u64::from_be_bytes(self.read()?))
    }

    /// Moves on over bytes that must be there.
    pub fn skip(&mut self, bytes: u64) -> Walk {
        match self.at.checked_add(bytes) {
            Some(to) if to <= self.length => self.go(to),
            _ => self.ends(),
        }
    }

    /// Moves on over bytes that must be there and adds them to a checksum.
    pub fn sum(&mut self, bytes: u64, sum: &mut Hasher) -> Walk {
        if self.left() < bytes {
            return self.ends();
        }
        let mut left = bytes;
        while left > 0 {
            let buffer = self.file.fill_buf()?;
            if buffer.is_empty() {
                return self.ends();
            }
            let used = buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            sum.update(&buffer[..used]);
            self.file.consume(used);
            self.at += used as u64;
            left -= used as u64;
        }
        Ok(())
    }

    /// Moves to a place at or before the end.
    pub fn go(&mut self, to: u64) -> Walk {
        if to > self.length {
            return self.ends();
        }
        // Both are at most the file's length, which is an i64.
        let by = i64::try_from(to).unwrap_or(i64::MAX) - i64::try_from(self.at).unwrap_or(0);
        self.file.seek_relative(by)?;
        self.at = to;
        Ok(())
    }

    /// Moves behind the next byte of this value.
    pub fn find(&mut self, value: u8) -> Walk {
        loop {
            let buffer = self.file.fill_buf()?;
            if buffer.is_empty() {
                self.at = self.length;
                return self.ends();
            }
            let found = buffer.iter().position(|byte| *byte == value);
            let used = found.map_or(buffer.len(), |at| at + 1);
            self.file.consume(used);
            self.at += used as u64;
            if found.is_some() {
                return Ok(());
            }
        }
    }

    fn ends<T>(&self) -> Walk<T> {
        truncated(format!("it ends after {} bytes, before its structure does", self.length))
    }
}
