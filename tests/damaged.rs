//! Damaged pictures: whatever bytes are changed, reading ends with a picture or an error, within a stated amount of memory.
#![cfg(target_os = "linux")]
#![allow(clippy::print_stderr)] // what a failed run needs to say
use crate::support::memory::peak_of;
use crate::support::pictures::plain;
use crate::support::program::fixture;
use dermai::input::{Filter, Limits, Resize, Stream, panics_are_errors};
use dermai::units::{Bytes, Size};
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::{RngSeed, TestRunner};
use std::cell::RefCell;
use std::env;
use std::fs;
use std::io::Cursor;
use std::path::Path;
use std::process::Command;

/// Set in the process that does the work.
const INSIDE: &str = "DERMAI_TEST_INSIDE";
/// Damaged pictures that are read.
const CASES: u32 = 20_000;

/// Small, so that a few changed bytes of a fixture go beyond them.
const LIMITS: Limits =
    Limits { file: Bytes::mb(1), pixels: 100_000, frames: 4, decode: Bytes::mb(1), full_decode: 16_000_000 };
/// What reading may hold through Rust's allocator: the decode limit, and a few rows of the widest picture let through.
const MOST: u64 = (1 << 20) + 100_000 * 40;
/// `image-webp` makes room for a partition of a lossy picture as long as its 24-bit length says, before it reads into it.
const WEBP_PARTITION: u64 = 1 << 24;
/// What the whole process may hold: its own start, threads, and C's allocations too.
const MOST_OF_PROCESS: u64 = 48 << 20;

/// One change to a file.
#[derive(Clone, Debug)]
enum Change {
    /// A byte becomes another.
    Set(Index, u8),
    /// A byte near the start, where headers are, becomes another.
    SetEarly(usize, u8),
    /// The rest is missing.
    Cut(Index),
    /// A piece stands there twice.
    Repeat(Index, usize),
    /// A piece is missing.
    Remove(Index, usize),
}

impl Change {
    fn apply(&self, file: &mut Vec<u8>) {
        let length = file.len();
        match self {
            _ if length == 0 => {}
            Self::Set(at, value) => file[at.index(length)] = *value,
            Self::SetEarly(at, value) => file[at % length] = *value,
            Self::Cut(at) => file.truncate(at.index(length)),
            Self::Repeat(at, piece) => {
                let start = at.index(length);
                let copy = file[start..(start + piece).min(length)].to_vec();
                file.splice(start..start, copy);
            }
            Self::Remove(at, piece) => {
                let start = at.index(length);
                file.drain(start..(start + piece).min(length));
            }
        }
    }
}

fn changes() -> impl Strategy<Value = Vec<Change>> {
    let byte = || prop_oneof![any::<u8>(), prop::sample::select(vec![0, 1, 0x7f, 0x80, 0xff])];
    let change = prop_oneof![
        4 => (any::<Index>(), byte()).prop_map(|(at, value)| Change::Set(at, value)),
        4 => (0..200usize, byte()).prop_map(|(at, value)| Change::SetEarly(at, value)),
        1 => any::<Index>().prop_map(Change::Cut),
        1 => (any::<Index>(), 1..64usize).prop_map(|(at, piece)| Change::Repeat(at, piece)),
        1 => (any::<Index>(), 1..64usize).prop_map(|(at, piece)| Change::Remove(at, piece)),
    ];
    prop::collection::vec(change, 1..6)
}

/// Makes the checksums of a PNG right again, so that what lies behind them is reached.
fn mend(file: &mut [u8]) {
    let mut at = 8;
    while file.starts_with(b"\x89PNG") && at + 12 <= file.len() {
        let length = u32::from_be_bytes([file[at], file[at + 1], file[at + 2], file[at + 3]]) as usize;
        let Some(end) = at.checked_add(8 + length).filter(|end| end + 4 <= file.len()) else { return };
        let sum = crc(&file[at + 4..end]);
        file[end..end + 4].copy_from_slice(&sum.to_be_bytes());
        at = end + 4;
    }
}

/// CRC-32 as PNG has it (PNG specification, annex D), bit by bit.
fn crc(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| crc >> 1 ^ if crc & 1 == 1 { 0xedb8_8320 } else { 0 })
    })
}

/// Every fixture, good and bad.
fn files() -> Vec<(String, Vec<u8>)> {
    let folders = ["images", "bad"].map(fixture);
    let entries = folders.iter().flat_map(|folder| fs::read_dir(folder).expect("a folder"));
    let mut files: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
    files.retain(|file| file.extension().is_some_and(|e| e != "md"));
    files.sort();
    files.into_iter().map(|file| (file.display().to_string(), fs::read(&file).expect("a file"))).collect()
}

/// Runs the work in a process of its own, because a limit holds for a whole process and a failed allocation ends it.
#[test]
fn damaged_pictures_neither_panic_nor_take_memory() {
    if env::var_os(INSIDE).is_some() {
        return read_damaged_pictures();
    }
    let name = "damaged::damaged_pictures_neither_panic_nor_take_memory";
    let mut command = Command::new(env::current_exe().expect("this program"));
    command.args([name, "--exact", "--nocapture", "--test-threads", "1"]).env(INSIDE, "1");
    let output = command.output().expect("a process");
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text);
    assert!(output.status.success() && text.contains("1 passed"), "{}: {text}", output.status);
}

fn read_damaged_pictures() {
    limit_memory();
    std::panic::set_hook(Box::new(|panic| {
        if !panics_are_errors() {
            eprintln!("{panic}");
        }
    }));
    let files = files();
    let config = ProptestConfig {
        cases: CASES,
        rng_seed: RngSeed::Fixed(20),
        failure_persistence: None,
        max_shrink_iters: 300,
        ..ProptestConfig::default()
    };
    let spec = plain(Size { width: 16, height: 12 }, Resize::Stretch { filter: Filter::Bilinear });
    let tally = RefCell::new(Tally::default());
    let result = TestRunner::new(config).run(&(any::<Index>(), changes()), |(at, changes)| {
        let (name, file) = &files[at.index(files.len())];
        let mut file = file.clone();
        for change in &changes {
            change.apply(&mut file);
        }
        mend(&mut file);
        let (result, peak) = peak_of(|| spec.read(Stream::Memory(Cursor::new(file)), &LIMITS).map(drop));
        tally.borrow_mut().add(name, &result, peak);
        let is_webp = Path::new(name).extension().is_some_and(|e| e == "webp");
        if let Err(error) = result {
            let error = format!("{error:#}");
            // A panic comes as an error; `image-webp` 0.2.4, the newest, panics over some Huffman codes. Lack of memory comes from libjpeg.
            let panic = error.contains("gave up") && !is_webp;
            prop_assert!(!panic && !error.contains("nsufficient memory"), "{}: {}", name, error);
        }
        let bound = MOST + if is_webp { WEBP_PARTITION } else { 0 };
        prop_assert!(peak <= bound, "{name}: {peak} bytes");
        Ok(())
    });
    let tally = tally.into_inner();
    eprintln!("{tally:?}");
    if let Err(error) = result {
        panic!("{error}");
    }
    assert!(
        tally.pictures * 10 > CASES && tally.errors * 10 > CASES,
        "the changes are too weak or too strong: {tally:?}"
    );
}

#[derive(Debug, Default)]
struct Tally {
    pictures: u32,
    errors: u32,
    most_bytes: u64,
    worst: String,
}

impl Tally {
    fn add(&mut self, name: &str, result: &anyhow::Result<()>, peak: u64) {
        *(if result.is_ok() { &mut self.pictures } else { &mut self.errors }) += 1;
        if peak > self.most_bytes {
            (self.most_bytes, self.worst) = (peak, name.to_owned());
        }
    }
}

/// Private writable memory of this process (getrlimit(2), `RLIMIT_DATA`).
fn limit_memory() {
    let limit = libc::rlimit { rlim_cur: MOST_OF_PROCESS, rlim_max: MOST_OF_PROCESS };
    // SAFETY: `limit` is only read, before setrlimit returns.
    assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_DATA, &raw const limit) }, 0);
}
