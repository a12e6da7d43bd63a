//! Pixels: decoding, resizing and normalising against Pillow's goldens (`fixtures/golden/make.py`), and what has to hold for any picture.
#![allow(clippy::print_stderr)] // figures for the record
use crate::support::figures::Difference;
use crate::support::npz::Npz;
use crate::support::pictures::{FILTERS, bytes, decoded, noise, plain, png, read};
use crate::support::shared::{root, shared};
use dermai::input::{Axis, Filter, Limits, Order, Preprocessing, Resize, Resizer, Source};
use dermai::units::{Bytes, Size};
use proptest::prelude::*;
use serde::Deserialize;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

/// Required of resizing, in steps of 255; the arithmetic is Pillow's, so 0 is expected. A `sin` that rounds otherwise moves one weight by
/// one unit of 22 bits, which can tip a pixel over: 1.
const RESIZE_MAX: f64 = 1.0;
const RESIZE_MEAN: f64 = 0.1;
/// Required of JPEG and lossy WebP; both sides use libjpeg-turbo's integer DCT and fancy upsampling, so 0 is expected.
const JPEG_MAX: f64 = 3.0;
/// `image-webp` 0.2.4 blends the frames of an animation even where they are opaque and loses one step of 255 to its rounding; libwebp does not.
const ANIMATED_WEBP_MAX: f64 = 1.0;
/// Every step is one float32 operation, as in NumPy.
const PREPROCESS_MAX: f64 = 1e-6;

fn golden(name: &str) -> PathBuf {
    root().join("fixtures/golden").join(name)
}

fn image(name: &str) -> PathBuf {
    root().join("fixtures/images").join(name)
}

fn resized(rgb: &[u8], from: Size, to: Size, filter: Filter) -> Vec<u8> {
    let across = Axis::new(filter, from.width, 0.0..from.width.into(), to.width, 0..to.width);
    let down = Axis::new(filter, from.height, 0.0..from.height.into(), to.height, 0..to.height);
    let mut resizer = Resizer::new(from.width, across, down, Order::of_pillow(from, to));
    rgb.chunks_exact(from.width as usize * 3).for_each(|row| resizer.push(row));
    let (pixels, size) = resizer.finish();
    assert_eq!(size, to);
    pixels
}

#[test]
fn resizing_is_pillow_s() {
    let mut npz = Npz::open(&golden("resize.npz"));
    let cases = npz.array::<i64>("cases");
    let mut by_filter = vec![Difference::default(); FILTERS.len()];
    for case in cases.outer_iter() {
        let [number, filter, from_width, from_height, width, height] =
            std::array::from_fn(|at| u32::try_from(case[at]).expect("a small number"));
        let (from, to) = (Size { width: from_width, height: from_height }, Size { width, height });
        let source = noise(number.into(), from.pixels() as usize * 3);
        let ours = resized(&source, from, to, FILTERS[filter as usize]);
        let theirs = npz.array::<u8>(&number.to_string()).into_raw_vec_and_offset().0;
        by_filter[filter as usize].add(&ours, &theirs, &format!("case {number}: {from} to {to}"));
    }
    assert_eq!(cases.shape()[0], 200);
    for (filter, difference) in FILTERS.iter().zip(&by_filter) {
        eprintln!("resize {filter:?} against Pillow, of 255: {difference}");
    }
    for difference in &by_filter {
        assert!(difference.max <= RESIZE_MAX && difference.mean() <= RESIZE_MEAN, "{difference}");
    }
}

#[test]
fn every_format_decodes_to_pillow_s_pixels() {
    let mut npz = Npz::open(&golden("decode.npz"));
    let [mut lossy, mut lossless, mut animated] = std::array::from_fn(|_| Difference::default());
    for name in npz.names() {
        let theirs = npz.array::<u8>(&name);
        let size = Size { width: theirs.shape()[1] as u32, height: theirs.shape()[0] as u32 };
        let ours = decoded(&image(&name), size);
        let difference = match name.as_str() {
            "webp-animated.webp" => &mut animated,
            "webp-lossy.webp" => &mut lossy,
            jpeg if image(jpeg).extension().is_some_and(|e| e == "jpg") => &mut lossy,
            _ => &mut lossless,
        };
        difference.add(&ours, &theirs.into_raw_vec_and_offset().0, &name);
    }
    eprintln!("decode against Pillow, of 255: lossy {lossy}; lossless {lossless}; animated WebP {animated}");
    assert!(lossless.max == 0.0, "{lossless}");
    assert!(lossy.max <= JPEG_MAX, "{lossy}");
    assert!(animated.max <= ANIMATED_WEBP_MAX, "{animated}");
}

/// Orientation is a matter of rows and columns: whatever is stored, the upright picture is one and the same.
#[test]
fn all_orientations_show_the_same_picture() {
    let mut npz = Npz::open(&golden("decode.npz"));
    let upright = npz.array::<u8>("exif-1.jpg");
    let size = Size { width: upright.shape()[1] as u32, height: upright.shape()[0] as u32 };
    assert_ne!(size.width, size.height, "a square picture would hide a transposition");
    let upright = decoded(&image("exif-1.jpg"), size);
    let mut difference = Difference::default();
    for orientation in 2..=8 {
        let name = format!("exif-{orientation}.jpg");
        difference.add(&decoded(&image(&name), size), &upright, &name);
    }
    eprintln!("orientations 2 to 8 against 1, of 255 (each is a JPEG of its own): {difference}");
    // The stored pictures were compressed each on its own; a wrong orientation differs by far more in the mean.
    assert!(difference.mean() < 2.0, "{difference}");
}

#[derive(Deserialize)]
struct Golden {
    image: String,
    input: Preprocessing,
}

#[test]
fn tensors_are_numpy_s() {
    let text = fs::read_to_string(golden("preprocess.json")).expect("the cards");
    let cards: BTreeMap<String, Golden> = serde_json::from_str(&text).expect("the cards");
    let mut npz = Npz::open(&golden("preprocess.npz"));
    assert_eq!(npz.names(), cards.keys().cloned().collect::<Vec<_>>());
    let mut difference = Difference::default();
    for (name, golden) in &cards {
        let ours = read(&golden.input, fs::read(image(&golden.image)).expect("an image")).tensor;
        let theirs = npz.array::<f32>(name);
        assert_eq!(ours.shape(), theirs.shape(), "{name}");
        difference.add(&ours.into_raw_vec_and_offset().0, &theirs.into_raw_vec_and_offset().0, name);
    }
    eprintln!("tensors of {} cards against NumPy: {difference}", cards.len());
    assert!(difference.max <= PREPROCESS_MAX, "{difference}");
}

/// Ordinary photos of `shared/images`: only digests of Pillow's pixels are in the repository (`fixtures/golden/make_digests.py`).
///
/// When one differs: decode that file with Pillow (`np.asarray(Image.open(f).convert("RGB"))`) and compare with `decoded` above. A
/// difference of 1 or 2 all over means another DCT or upsampling (was libjpeg replaced, or built with another default?); one along
/// edges of 8 or 16 pixels the upsampling alone; a shift means that rows were lost.
#[test]
fn ordinary_photos_decode_to_pillow_s_pixels() {
    let Some(shared) = shared() else { return };
    let text = fs::read_to_string(golden("digests.json")).expect("the digests");
    let digests: BTreeMap<String, String> = serde_json::from_str(&text).expect("the digests");
    let mut wrong = Vec::new();
    for (name, expected) in &digests {
        let path = shared.join("images").join(name);
        let limits = Limits::within(Bytes::mb(512));
        let one = plain(Size { width: 1, height: 1 }, Resize::Stretch { filter: Filter::Nearest });
        let stream = Source::Path(path.clone()).open(&limits).expect("a file");
        let size = one.read(stream, &limits).unwrap_or_else(|e| panic!("`{name}`: {e:#}")).size;
        let mut hash = Sha256::new();
        hash.update(format!("{size}\n"));
        hash.update(decoded(&path, size));
        let ours = hash.finalize().iter().fold(String::new(), |mut text, byte| {
            write!(text, "{byte:02x}").expect("memory");
            text
        });
        if ours != *expected {
            wrong.push(name);
        }
    }
    eprintln!("ordinary photos with Pillow's very pixels: {} of {}", digests.len() - wrong.len(), digests.len());
    assert!(digests.len() >= 60 && wrong.is_empty(), "{} of {} differ: {wrong:?}", wrong.len(), digests.len());
}

// --- any picture ---

/// Stored pixels that EXIF `orientation` shows as `upright` (Exif 2.32, 4.6.4.A: where the 0th row and the 0th column are).
fn stored(upright: &[u8], size: Size, orientation: u8) -> (Vec<u8>, Size) {
    let (w, h) = (size.width as usize, size.height as usize);
    let stored = if orientation >= 5 { size.transposed() } else { size };
    let mut pixels = Vec::new();
    for row in 0..stored.height as usize {
        for column in 0..stored.width as usize {
            // 0th row and 0th column of what is stored: 1 top left, 2 top right, 3 bottom right, 4 bottom left, 5 left top, 6 right top, …
            let (x, y) = match orientation {
                1 => (column, row),
                2 => (w - 1 - column, row),
                3 => (w - 1 - column, h - 1 - row),
                4 => (column, h - 1 - row),
                5 => (row, column),
                6 => (w - 1 - row, column),
                7 => (w - 1 - row, h - 1 - column),
                _ => (row, h - 1 - column),
            };
            pixels.extend_from_slice(&upright[(y * w + x) * 3..][..3]);
        }
    }
    (pixels, stored)
}

fn filters() -> impl Strategy<Value = Filter> {
    proptest::sample::select(FILTERS.to_vec())
}

fn sizes(most: u32) -> impl Strategy<Value = Size> {
    (1..=most, 1..=most).prop_map(|(width, height)| Size { width, height })
}

/// Any way of resizing to a size of at most 24x24.
fn resizes() -> impl Strategy<Value = (Size, Resize)> {
    (sizes(24), filters(), 0..3, 0..20u32, any::<[u8; 3]>()).prop_map(|(size, filter, mode, more, color)| {
        let resize = match mode {
            0 => Resize::Stretch { filter },
            1 => Resize::Crop { shortest: size.width.max(size.height) + more, filter },
            _ => Resize::Pad { color, filter },
        };
        (size, resize)
    })
}

/// Half of `n`, rounded to the nearest, an odd half to the even neighbour, in whole numbers.
fn half_to_even(n: u32) -> u32 {
    if n % 4 == 3 { n / 2 + 1 } else { n / 2 }
}

/// Resizing told plainly: the whole picture is resized, then cut or laid on a ground.
fn reference(rgb: &[u8], from: Size, to: Size, resize: Resize) -> Vec<u8> {
    let row = |pixels: &[u8], width: u32, y: u32, x: u32, length: u32| {
        let start = ((y * width + x) * 3) as usize;
        pixels[start..start + length as usize * 3].to_vec()
    };
    match resize {
        Resize::Stretch { filter } => resized(rgb, from, to, filter),
        Resize::Crop { shortest, filter } => {
            let whole = if from.width <= from.height {
                Size { width: shortest, height: shortest * from.height / from.width }
            } else {
                Size { width: shortest * from.width / from.height, height: shortest }
            };
            let pixels = resized(rgb, from, whole, filter);
            let (left, top) = (half_to_even(whole.width - to.width), half_to_even(whole.height - to.height));
            (top..top + to.height).flat_map(|y| row(&pixels, whole.width, y, left, to.width)).collect()
        }
        Resize::Pad { color, filter } => {
            // Python's arithmetic, as in `fixtures/golden/make.py`.
            let by = (f64::from(to.width) / f64::from(from.width)).min(f64::from(to.height) / f64::from(from.height));
            let side = |n: u32| ((f64::from(n) * by).round_ties_even() as u32).max(1);
            let inner = Size { width: side(from.width), height: side(from.height) };
            let pixels = resized(rgb, from, inner, filter);
            let (left, top) = ((to.width - inner.width) / 2, (to.height - inner.height) / 2);
            let mut canvas = Vec::new();
            for y in 0..to.height {
                if y < top || y >= top + inner.height {
                    canvas.extend(color.repeat(to.width as usize));
                    continue;
                }
                canvas.extend(color.repeat(left as usize));
                canvas.extend(row(&pixels, inner.width, y - top, 0, inner.width));
                canvas.extend(color.repeat((to.width - left - inner.width) as usize));
            }
            canvas
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_picture_lies_as_the_plain_reference_lays_it((to, resize) in resizes(), from in sizes(40), seed: u64) {
        let rgb = noise(seed, from.pixels() as usize * 3);
        let ours = bytes(&read(&plain(to, resize), png(&rgb, from, None)));
        prop_assert_eq!(ours, reference(&rgb, from, to, resize));
    }

    #[test]
    fn any_orientation_gives_the_upright_tensor((to, resize) in resizes(), from in sizes(40), orientation in 1..=8u8, seed: u64) {
        let rgb = noise(seed, from.pixels() as usize * 3);
        let upright = read(&plain(to, resize), png(&rgb, from, None));
        let (rgb, size) = stored(&rgb, from, orientation);
        let turned = read(&plain(to, resize), png(&rgb, size, Some(orientation)));
        prop_assert_eq!(turned.size, from);
        prop_assert_eq!(bytes(&turned), bytes(&upright));
    }

    #[test]
    fn the_same_size_changes_nothing(size in sizes(40), filter in filters(), seed: u64) {
        let rgb = noise(seed, size.pixels() as usize * 3);
        prop_assert_eq!(resized(&rgb, size, size, filter), rgb);
    }

    #[test]
    fn one_colour_stays_that_colour(from in sizes(60), to in sizes(60), filter in filters(), color: [u8; 3]) {
        let rgb = color.repeat(from.pixels() as usize);
        prop_assert_eq!(resized(&rgb, from, to, filter), color.repeat(to.pixels() as usize));
    }
}
