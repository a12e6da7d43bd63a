//! Pictures of many megapixels: what decoding them takes, and what the reduced-scale decode does to the answer.
#![allow(clippy::print_stderr, clippy::print_stdout)] // figures for the record; a child answers on standard output
use crate::support::figures::Difference;
use crate::support::jpegs::{self, Kind};
use crate::support::pictures::{LIMITS, decoded, noise, plain};
use crate::support::shared::{root, shared};
use dermai::input::{Axis, Color, Filter, Layout, Limits, Order, Preprocessing, Resize, Resizer, Source, Stream};
use dermai::model::{Prepared, SessionOptions};
use dermai::units::{Bytes, Size};
use std::fs::{self, File};
use std::io::{BufWriter, Cursor};
use std::path::Path;
use std::process::Command;

/// Names the picture that a child decodes.
const PICTURE: &str = "DERMAI_TEST_PICTURE";
/// How many pictures [`reduced_decode_keeps_the_answer`] enlarges; 50 were measured for the record.
const ENLARGED: &str = "DERMAI_TEST_ENLARGED";

/// What decoding and resizing may take over the process's size at its start, whatever the picture's size.
const STAGE_MOST: Bytes = Bytes::mb(24);
/// The worst that a reduced-scale decode may do to a probability.
const REDUCED_MOST: f64 = 0.02;

const BASELINE: Kind = Kind { quality: 90.0, halved: true, progressive: false };
const PHOTO_48: Size = Size { width: 8000, height: 6000 };

/// The default model's preprocessing: 160x160 from the centre of 184.
fn spec() -> Preprocessing {
    Preprocessing {
        layout: Layout::Nchw,
        size: [160, 160],
        color: Color::Rgb,
        resize: Resize::Crop { shortest: 184, filter: Filter::Bilinear },
        scale: 1.0 / 255.0,
        mean: [0.5; 3],
        std: [0.2; 3],
    }
}

// --- memory ---

/// Runs only in a child of [`peak_of`]: a process of its own, so that no other test's memory counts.
#[test]
fn measured_in_a_process_of_its_own() {
    let Some(picture) = std::env::var_os(PICTURE) else { return };
    let source = Source::Path(picture.into());
    // Setting the peak back to the present size takes no privilege (proc(5), clear_refs).
    fs::write("/proc/self/clear_refs", "5").expect("the peak can be set back");
    let before = status("VmRSS");
    let read = source.open(&LIMITS).and_then(|stream| spec().read(stream, &LIMITS));
    let after = status("VmHWM");
    match read {
        Ok(picture) => println!("peak {} size {}", after.saturating_sub(before), picture.size),
        Err(error) => println!("refused {} with {error:#}", after.saturating_sub(before)),
    }
}

/// A size of this process in bytes, by its name in `/proc/self/status`.
fn status(name: &str) -> u64 {
    let text = fs::read_to_string("/proc/self/status").expect("Linux");
    let line = text.lines().find_map(|line| line.strip_prefix(name)).expect("the kernel tells it");
    line.trim_matches(|c: char| !c.is_ascii_digit()).parse::<u64>().expect("a number") << 10
}

/// What a child says about decoding a file: how far its memory rose, and the rest of its line.
fn peak_of(path: &Path) -> (Bytes, String) {
    let child = Command::new(std::env::current_exe().expect("a path"))
        .args(["--exact", "large_jpeg::measured_in_a_process_of_its_own", "--nocapture"])
        .env(PICTURE, path)
        .output()
        .expect("a child");
    let text = String::from_utf8_lossy(&child.stdout);
    let line =
        text.lines().find_map(|line| line.split_once("peak ").or(line.split_once("refused "))).map(|(_, rest)| rest);
    let (bytes, rest) = line.and_then(|rest| rest.split_once(' ')).unwrap_or_else(|| panic!("the child said: {text}"));
    (Bytes(bytes.parse().expect("bytes")), rest.to_owned())
}

fn write_jpeg(path: &Path, size: Size, kind: Kind) {
    let file = BufWriter::new(File::create(path).expect("a file"));
    jpegs::jpeg(size, kind, file, jpegs::texture(size)).into_inner().expect("written");
}

type Write = fn(&Path);

#[test]
fn a_48_megapixel_picture_is_decoded_in_24_mb() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("photo"); // told by its content
    let kinds: [(&str, Write); 3] = [
        ("JPEG 4:2:0", |path| write_jpeg(path, PHOTO_48, BASELINE)),
        ("JPEG 4:4:4", |path| write_jpeg(path, PHOTO_48, Kind { halved: false, ..BASELINE })),
        ("PNG", |path| write_png(path, PHOTO_48)),
    ];
    for (name, write) in kinds {
        write(&path);
        let (peak, rest) = peak_of(&path);
        let length = Bytes(path.metadata().expect("a file").len());
        eprintln!("{PHOTO_48} {name} of {length}: the decode stage rises by {peak}");
        assert_eq!(rest, format!("size {PHOTO_48}"), "{name}");
        assert!(peak <= STAGE_MOST, "{name}: {peak}");
    }
}

/// Rows of one colour each, so that it is written in no time; to a decoder by rows it is like any other.
fn write_png(path: &Path, size: Size) {
    let mut encoder = png::Encoder::new(BufWriter::new(File::create(path).expect("a file")), size.width, size.height);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_compression(png::Compression::Fast);
    let mut writer = encoder.write_header().expect("a header");
    let mut stream = writer.stream_writer().expect("a stream");
    let mut row = vec![0; size.width as usize * 3];
    for y in 0..size.height {
        row.fill((y / 24) as u8);
        std::io::Write::write_all(&mut stream, &row).expect("a row");
    }
    stream.finish().expect("an end");
}

#[test]
fn a_progressive_jpeg_is_decoded_up_to_the_limit() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("photo.jpg");
    let photo = Size { width: 4000, height: 3000 };
    write_jpeg(&path, photo, Kind { progressive: true, ..BASELINE });
    let (peak, rest) = peak_of(&path);
    // All coefficients at once: 16 bits for each pixel, and half as many again for the halved chroma.
    let coefficients = Bytes(photo.pixels() * 3);
    eprintln!("{photo} progressive: the decode stage rises by {peak}, of which coefficients {coefficients}");
    assert_eq!(rest, format!("size {photo}"));
    assert!(peak.0 <= coefficients.0 + STAGE_MOST.0, "{peak}");

    let mut file = fs::read(&path).expect("the file");
    jpegs::pretend(&mut file, PHOTO_48);
    fs::write(&path, file).expect("the file");
    let (peak, rest) = peak_of(&path);
    eprintln!("{PHOTO_48} progressive: refused within {peak}: {rest}");
    for part in ["a progressive or multi-scan JPEG needs 137.", "over the limit of 128 MB (`--max-decode`)", "baseline"]
    {
        assert!(rest.contains(part), "{rest}");
    }
    assert!(peak <= Bytes::mb(8), "{peak}");
}

// --- the reduced-scale decode ---

/// Limits under which every JPEG is decoded in full.
const IN_FULL: Limits = Limits { full_decode: u64::MAX, ..LIMITS };

/// The tensors of the reduced-scale and of the full decode.
fn both(spec: &Preprocessing, file: &[u8]) -> [Vec<f32>; 2] {
    [LIMITS, IN_FULL].map(|limits| {
        let picture = spec.read(Stream::Memory(Cursor::new(file.to_vec())), &limits).expect("a picture");
        picture.tensor.into_raw_vec_and_offset().0
    })
}

/// A size that no reduction divides: the reduced picture then ends within its last pixel, which on a mirrored axis lies first.
#[test]
fn a_reduced_decode_lies_where_the_full_one_lies_in_any_orientation() {
    /// Of 255. A shift by 7 of 4807 pixels, what a wrong end of the axis gives, shows as 3 and more.
    const MOST: f64 = 1.5;
    let size = Size { width: 4807, height: 3605 };
    let mut file = jpegs::jpeg(size, BASELINE, Vec::new(), |y, row| {
        for (x, pixel) in row.as_chunks_mut::<3>().0.iter_mut().enumerate() {
            let value = 128.0 + 60.0 * ((x as f64 / 110.0).sin() + (f64::from(y) / 90.0).sin());
            *pixel = [value as u8; 3];
        }
    });
    let spec = plain(Size { width: 170, height: 160 }, Resize::Crop { shortest: 184, filter: Filter::Bilinear });
    let mut worst = Difference::default();
    for orientation in 1..=8 {
        jpegs::turn(&mut file, orientation);
        let [reduced, full] = both(&spec, &file);
        assert_ne!(reduced, full, "the decode was not reduced");
        worst.add(&reduced, &full, &format!("orientation {orientation}"));
    }
    eprintln!("reduced against full decode, {size}, eight orientations, of 255: {worst}");
    assert!(worst.max <= MOST, "{worst}");
}

/// Dermatoscopic images enlarged to 20 megapixels, as they are and with a camera's grain on them.
#[test]
fn reduced_decode_keeps_the_answer() {
    let Some(shared) = shared() else { return };
    let count = std::env::var(ENLARGED).map_or(6, |text| text.parse().expect("a number"));
    let mut images: Vec<_> = fs::read_dir(shared.join("images/ham"))
        .expect("images")
        .map(|entry| entry.expect("an image").path())
        .filter(|path| path.extension().is_some_and(|e| e == "jpg"))
        .collect();
    images.sort();
    let prepared = Prepared::find(Some(&root().join("models/default"))).expect("the default model");
    let mut model = prepared.start(&SessionOptions { threads: 1, spinning: false }).expect("a session");
    let spec = model.card.input.clone();
    let (mut plain, mut grainy, mut other_answers) = (Difference::default(), Difference::default(), 0);
    for path in images.iter().step_by((images.len() / count).max(1)).take(count) {
        for (grain, difference) in [(0, &mut plain), (24, &mut grainy)] {
            let file = enlarged(path, grain);
            let [reduced, full] = both(&spec, &file).map(|tensor| {
                let [height, width] = spec.size.map(|side| side as usize);
                let tensor = ndarray::Array4::from_shape_vec((1, 3, height, width), tensor).expect("the card's shape");
                model.probabilities(&tensor).expect("an answer")
            });
            let best = |all: &[f32]| (0..all.len()).max_by(|&a, &b| all[a].total_cmp(&all[b]));
            other_answers += u32::from(best(&reduced) != best(&full));
            difference.add(&reduced, &full, &path.file_name().unwrap_or_default().to_string_lossy());
        }
    }
    eprintln!(
        "reduced against full decode, probabilities of {count} images at {ENLARGED_TO}: {plain}; with grain {grainy}; other answers {other_answers} of {}",
        2 * count
    );
    assert!(plain.max > 0.0, "the decode was not reduced");
    assert!(plain.max.max(grainy.max) <= REDUCED_MOST, "{plain}; {grainy}");
}

const ENLARGED_TO: Size = Size { width: 5200, height: 3900 };

/// An image of 200x150, bicubically enlarged, with `grain` steps of noise, as a JPEG of quality 90.
fn enlarged(path: &Path, grain: u16) -> Vec<u8> {
    let from = Size { width: 200, height: 150 };
    let axis = |from: u32, to: u32| Axis::new(Filter::Bicubic, from, 0.0..from.into(), to, 0..to);
    let (across, down) = (axis(from.width, ENLARGED_TO.width), axis(from.height, ENLARGED_TO.height));
    let mut resizer = Resizer::new(from.width, across, down, Order::AcrossFirst);
    decoded(path, from).chunks_exact(from.width as usize * 3).for_each(|row| resizer.push(row));
    let (pixels, _) = resizer.finish();
    let noise = noise(11, 1 << 16);
    jpegs::jpeg(ENLARGED_TO, BASELINE, Vec::new(), |y, row| {
        let noise = &noise[(y as usize * 7919) % (1 << 15)..];
        let source = &pixels[y as usize * row.len()..][..row.len()];
        for ((to, &from), &noise) in row.iter_mut().zip(source).zip(noise) {
            *to = (i32::from(from) + ((i32::from(noise) * i32::from(grain)) >> 8) - i32::from(grain / 2)).clamp(0, 255)
                as u8;
        }
    })
}
