//! Overlays: heat where the network looked, whatever the orientation and the resizing; nothing else of the photo touched; bounded memory.
#![allow(clippy::print_stderr, clippy::print_stdout)] // figures for the record; a child answers on standard output
mod memory;
mod sheet;
mod upright;

use crate::support::pictures::{LIMITS, noise, plain, png};
use crate::support::shared::root;
use dermai::explain::Map;
use dermai::explain::overlay::{Caption, Colormap, Flat, Heat, Style, write_grey, write_npy, write_overlay};
use dermai::input::{Filter, Geometry, Preprocessing, Resize, Stream, UprightRows};
use dermai::units::Size;
use ndarray::{Array2, array};
use ndarray_npy::ReadNpyExt;
use std::fs;
use std::io::Cursor;

/// Only the heat's colours, of a map whose brightness grows with the value.
const BARE: Style =
    Style { alpha: 1.0, colormap: Colormap::Inferno, heatmap_only: false, contour: None, side_by_side: None };

fn memory(file: &[u8]) -> Stream {
    Stream::Memory(Cursor::new(file.to_vec()))
}

fn rows_of(file: &[u8]) -> UprightRows {
    UprightRows::open(memory(file), &LIMITS, UprightRows::BUFFER).expect("a picture")
}

/// The PNG of an overlay.
fn overlay(file: &[u8], spec: &Preprocessing, map: &Map, style: &Style) -> Vec<u8> {
    let mut rows = rows_of(file);
    let geometry = Geometry::of(rows.size(), spec);
    let mut out = Vec::new();
    write_overlay(&mut rows, &geometry, &Heat::new(map).expect("heat"), style, &mut out, None).expect("an overlay");
    out
}

/// A PNG's pixels as stored, its size, and its samples per pixel.
fn pixels(file: &[u8]) -> (Vec<u8>, Size, usize) {
    let mut reader = png::Decoder::new(Cursor::new(file)).read_info().expect("a PNG");
    let mut pixels = vec![0; reader.output_buffer_size().expect("a size")];
    let info = reader.next_frame(&mut pixels).expect("pixels");
    (pixels, Size { width: info.width, height: info.height }, info.color_type.samples())
}

/// All rows, one after the other.
fn all_rows(mut rows: UprightRows) -> (Vec<u8>, Size) {
    let size = rows.size();
    let mut pixels = vec![0; size.pixels() as usize * 3];
    for row in pixels.chunks_exact_mut(size.width as usize * 3) {
        rows.next_row(row).expect("a row");
    }
    rows.next_row(&mut vec![0; size.width as usize * 3]).expect_err("one row too many");
    (pixels, size)
}

/// Stores an upright picture as EXIF `orientation` says (Exif 2.32, 4.6.4.A: what the 0th row and column are), and gives the PNG.
fn stored(upright: &[u8], size: Size, orientation: u8) -> Vec<u8> {
    let (width, height) = (size.width as usize, size.height as usize);
    let stored = if orientation >= 5 { size.transposed() } else { size };
    let mut pixels = Vec::with_capacity(upright.len());
    for row in 0..stored.height as usize {
        for column in 0..stored.width as usize {
            let (right, bottom) = (width - 1, height - 1);
            let (x, y) = match orientation {
                1 => (column, row),                  // top, left side
                2 => (right - column, row),          // top, right side
                3 => (right - column, bottom - row), // bottom, right side
                4 => (column, bottom - row),         // bottom, left side
                5 => (row, column),                  // left side, top
                6 => (right - row, column),          // right side, top
                7 => (right - row, bottom - column), // right side, bottom
                _ => (row, bottom - column),         // left side, bottom
            };
            pixels.extend_from_slice(&upright[(y * width + x) * 3..][..3]);
        }
    }
    png(&pixels, stored, Some(orientation))
}

const RESIZES: [(&str, Resize); 3] = [
    ("stretch", Resize::Stretch { filter: Filter::Bilinear }),
    ("crop", Resize::Crop { shortest: 72, filter: Filter::Bilinear }),
    ("pad", Resize::Pad { color: [9, 9, 9], filter: Filter::Bilinear }),
];

/// Size of the pictures of [`RESIZES`]' tests, and of the network's input.
const PICTURE: Size = Size { width: 200, height: 130 };
const INPUT: Size = Size { width: 60, height: 48 };

// --- where ---

/// A dot in the photo is found in the network's tensor; the cell there is made hot; the overlay's hottest pixels have to lie on the dot.
#[test]
fn heat_lies_where_the_network_saw_it() {
    const DOT: u32 = 5;
    let mut tried = 0;
    for (name, resize) in RESIZES {
        let spec = plain(INPUT, resize);
        let scale = match resize {
            Resize::Crop { .. } => 130.0 / 72.0,
            _ => 200.0 / 60.0,
        };
        for orientation in 1..=8 {
            for (left, top) in [(70, 30), (118, 35), (75, 88), (104, 61)] {
                let mut upright = vec![40; PICTURE.pixels() as usize * 3];
                for (x, y) in (0..DOT).flat_map(|y| (0..DOT).map(move |x| (left + x, top + y))) {
                    upright[(y * PICTURE.width + x) as usize * 3..][..3].fill(255);
                }
                let file = stored(&upright, PICTURE, orientation);
                let tensor = spec.read(memory(&file), &LIMITS).expect("a picture").tensor;
                let cells: Vec<_> = tensor.iter().copied().step_by(3).collect();
                let brightest = (0..cells.len()).max_by(|&a, &b| cells[a].total_cmp(&cells[b])).expect("a cell");
                let mut map = Array2::zeros((INPUT.height as usize, INPUT.width as usize));
                map[[brightest / INPUT.width as usize, brightest % INPUT.width as usize]] = 7.0;
                let (painted, size, _) = pixels(&overlay(&file, &spec, &map, &BARE));
                assert_eq!(size, PICTURE, "{name}, orientation {orientation}");
                let (x, y) = lightest(&painted, &Geometry::of(PICTURE, &spec));
                let off = (x - f64::from(left + DOT / 2)).abs().max((y - f64::from(top + DOT / 2)).abs());
                assert!(off <= scale, "{name}, orientation {orientation}, dot at {left}, {top}: heat at {x}, {y}");
                tried += 1;
            }
        }
    }
    assert_eq!(tried, 3 * 8 * 4);
}

/// The middle of the lightest pixels among those that were seen.
fn lightest(pixels: &[u8], geometry: &Geometry) -> (f64, f64) {
    let light = |&(x, y): &(u32, u32)| {
        let at = (y * geometry.picture.width + x) as usize * 3;
        pixels[at..at + 3].iter().map(|&value| u32::from(value)).sum::<u32>()
    };
    let places: Vec<_> = geometry.y.seen().flat_map(|y| geometry.x.seen().map(move |x| (x, y))).collect();
    let most = places.iter().map(light).max().expect("pixels");
    let lightest: Vec<_> = places.iter().filter(|place| light(place) == most).collect();
    let middle = |sum: u32| f64::from(sum) / lightest.len() as f64;
    (middle(lightest.iter().map(|p| p.0).sum()), middle(lightest.iter().map(|p| p.1).sum()))
}

/// A photo of noise, and a map with every value in it.
fn noisy() -> (Vec<u8>, Map) {
    let map = Array2::from_shape_fn((6, 7), |(y, x)| ((y * 5 + x * 3) % 11) as f32);
    (noise(3, PICTURE.pixels() as usize * 3), map)
}

/// The pixels that differ, as places.
fn changed(a: &[u8], b: &[u8], width: u32) -> Vec<(u32, u32)> {
    assert_eq!(a.len(), b.len());
    let differing = a.chunks_exact(3).zip(b.chunks_exact(3)).enumerate().filter(|(_, (a, b))| a != b);
    differing.map(|(at, _)| (at as u32 % width, at as u32 / width)).collect()
}

#[test]
fn nothing_changes_where_the_network_did_not_look() {
    let (photo, map) = noisy();
    for (name, resize) in RESIZES {
        let spec = plain(INPUT, resize);
        let geometry = Geometry::of(PICTURE, &spec);
        let seen = geometry.x.seen().len() * geometry.y.seen().len();
        assert_eq!(seen < PICTURE.pixels() as usize, name == "crop");
        for orientation in [1, 6, 8] {
            let file = stored(&photo, PICTURE, orientation);
            // The heat's colours, and the outline alone.
            let outline = Style { alpha: 0.0, contour: Some(0.5), ..BARE };
            for (what, style, least) in [("heat", BARE, seen * 9 / 10), ("outline", outline, seen / 200)] {
                let (painted, size, _) = pixels(&overlay(&file, &spec, &map, &style));
                assert_eq!(size, PICTURE);
                let changed = changed(&painted, &photo, PICTURE.width);
                let outside =
                    |&&(x, y): &&(u32, u32)| !(geometry.x.seen().contains(&x) && geometry.y.seen().contains(&y));
                assert_eq!(changed.iter().find(outside), None, "{name}, {what}, orientation {orientation}");
                assert!(changed.len() >= least, "{name}, {what}: only {} pixels", changed.len());
            }
        }
    }
}

#[test]
fn the_outline_follows_the_threshold_and_grows_with_the_picture() {
    for (width, height, white, black) in [(200, 150, 1, 1), (1600, 1000, 4, 1), (4000, 3000, 12, 4)] {
        let size = Size { width, height };
        let file = png(&vec![90; size.pixels() as usize * 3], size, None);
        let spec = plain(INPUT, RESIZES[0].1);
        let style = Style { alpha: 0.0, contour: Some(0.75), ..BARE };
        // Heat rises from left to right, or from top to bottom: 0 in the middle of the first half, 1 in the middle of the second.
        for (map, length, step) in [(array![[0.0, 1.0]], width, 1), (array![[0.0], [1.0]], height, width)] {
            let (painted, ..) = pixels(&overlay(&file, &spec, &map, &style));
            let across = size.pixels() as u32 / length;
            for line in [0, across / 2, across - 1] {
                let start = line * if step == 1 { width } else { 1 };
                let places = |value: u8| {
                    let is = |at: &u32| painted[((start + at * step) * 3) as usize..][..3] == [value; 3];
                    (0..length).filter(is).collect::<Vec<_>>()
                };
                let edge = (length * 5).div_ceil(8); // where the heat is 0.75
                assert_eq!(places(255), (edge..edge + white).collect::<Vec<_>>(), "{size}, line {line}, step {step}");
                assert_eq!(places(0), (edge - black..edge).collect::<Vec<_>>(), "{size}, line {line}, step {step}");
            }
        }
    }
}

#[test]
fn heat_without_the_photo_is_transparent_where_the_network_did_not_look() {
    let (photo, map) = noisy();
    let file = png(&photo, PICTURE, None);
    let spec = plain(INPUT, RESIZES[1].1);
    let geometry = Geometry::of(PICTURE, &spec);
    let (bare, ..) = pixels(&overlay(&file, &spec, &map, &BARE));
    let (rgba, _, samples) = pixels(&overlay(&file, &spec, &map, &Style { alpha: 0.3, heatmap_only: true, ..BARE }));
    assert_eq!(samples, 4);
    for (at, (rgba, rgb)) in rgba.chunks_exact(4).zip(bare.chunks_exact(3)).enumerate() {
        let (x, y) = (at as u32 % PICTURE.width, at as u32 / PICTURE.width);
        if geometry.x.seen().contains(&x) && geometry.y.seen().contains(&y) {
            assert_eq!(rgba, [rgb, &[255]].concat(), "{x}, {y}");
        } else {
            assert_eq!(rgba, [255, 255, 255, 0], "{x}, {y}");
        }
    }
}

// --- what is written ---

#[test]
fn alpha_mixes_photo_and_colours() {
    let (photo, map) = noisy();
    let file = png(&photo, PICTURE, None);
    let spec = plain(INPUT, RESIZES[0].1);
    let mixed = |alpha| pixels(&overlay(&file, &spec, &map, &Style { alpha, ..BARE })).0;
    let (colours, half) = (mixed(1.0), mixed(0.5));
    assert!(mixed(0.0) == photo, "without heat it is the photo");
    for (at, &value) in half.iter().enumerate() {
        let middle = f64::from(u16::from(photo[at]) + u16::from(colours[at])) / 2.0;
        assert!((f64::from(value) - middle).abs() <= 0.5, "byte {at}: {value}, not {middle}");
    }
}

/// Kinds of the chunks in a PNG.
fn chunks(file: &[u8]) -> Vec<String> {
    let (mut found, mut at) = (Vec::new(), 8);
    while at < file.len() {
        let length = u32::from_be_bytes(file[at..at + 4].try_into().expect("four bytes")) as usize;
        found.push(String::from_utf8_lossy(&file[at + 4..at + 8]).into_owned());
        at += length + 12;
    }
    found.dedup();
    found
}

#[test]
fn nothing_but_pixels_is_written_and_always_the_same() {
    let (_, map) = noisy();
    let caption = Caption {
        class: "U hắc tố ác tính".into(),
        probability: Some(0.87),
        method: "Grad-CAM".into(),
        layer: "top_activation".into(),
        notice: String::new(),
    };
    let spec = plain(INPUT, RESIZES[1].1);
    for name in ["exif-secrets.jpg", "exif-6.png", "exif-6.webp", "exif-6.tiff"] {
        let file = fs::read(root().join("fixtures/images").join(name)).expect("a fixture");
        for side_by_side in [None, Some(caption.clone())] {
            let style = Style { side_by_side, contour: Some(0.5), alpha: Style::ALPHA, ..BARE };
            let once = overlay(&file, &spec, &map, &style);
            assert_eq!(chunks(&once), ["IHDR", "IDAT", "IEND"], "{name}");
            assert!(overlay(&file, &spec, &map, &style) == once, "{name}: other bytes on the second run");
        }
    }
}

#[test]
fn photo_and_overlay_lie_beside_each_other_above_the_legend() {
    let (photo, map) = noisy();
    let spec = plain(INPUT, RESIZES[1].1);
    let caption = |class: &str| Caption {
        class: class.into(),
        probability: Some(0.87),
        method: "Grad-CAM".into(),
        layer: "/features/18/Relu".repeat(90),
        notice: "not a diagnosis".into(),
    };
    let sheet = |file: &[u8], class: &str| {
        let style = Style { side_by_side: Some(caption(class)), ..BARE };
        let (pixels, size, _) = pixels(&overlay(file, &spec, &map, &style));
        (pixels, size)
    };
    let file = png(&photo, PICTURE, None);
    let (whole, size) = sheet(&file, "U hắc tố ác tính");
    assert!(size.width >= 2 * PICTURE.width && size.height > PICTURE.height, "{size}");
    let part = |left: u32| -> Vec<u8> {
        let line = |y: u32| &whole[((y * size.width + left) * 3) as usize..][..PICTURE.width as usize * 3];
        (0..PICTURE.height).flat_map(line).copied().collect()
    };
    // The margin is white on both sides; noise is white nowhere for a whole column.
    let white = |x: &u32| (0..PICTURE.height).all(|y| whole[((y * size.width + x) * 3) as usize..][..3] == [255; 3]);
    let inked: Vec<u32> = (0..size.width).filter(|x| !white(x)).collect();
    let (left, right) = (inked[0], inked[inked.len() - 1] + 1 - PICTURE.width);
    assert!(part(left) == photo, "the photo is not on the left");
    assert!(part(right) == pixels(&overlay(&file, &spec, &map, &BARE)).0, "the overlay is not on the right");
    assert!(right >= left + PICTURE.width + 4, "{left}, {right}");
    // The legend says something, and something else for another class.
    assert!(sheet(&file, "Nốt ruồi").0[part(0).len()..] != whole[part(0).len()..]);
    // Pictures of any shape have room for it.
    for (width, height) in [(1, 1), (3, 900), (2000, 2)] {
        let size = Size { width, height };
        let class = "rất dài ".repeat(200);
        sheet(&png(&noise(5, size.pixels() as usize * 3), size, None), &class);
    }
}

#[test]
fn numbers_are_written_as_they_are() {
    let map = Array2::from_shape_fn((4, 6), |(y, x)| (y * 6 + x) as f32 / 7.0);
    let mut npy = Vec::new();
    write_npy(&map.clone().reversed_axes(), &mut npy).expect("written");
    assert_eq!(Map::read_npy(Cursor::new(npy)).expect("an array"), map.t());

    let heat = Heat::new(&map).expect("heat");
    let grey = |resize| {
        let geometry = Geometry::of(Size { width: 60, height: 30 }, &plain(Size { width: 60, height: 60 }, resize));
        let mut out = Vec::new();
        let size = write_grey(&heat, &geometry, &mut out).expect("written");
        let (bytes, in_file, samples) = pixels(&out);
        assert_eq!((in_file, samples, chunks(&out)), (size, 1, ["IHDR", "IDAT", "IEND"].map(str::to_owned).to_vec()));
        let values: Vec<_> = bytes.as_chunks::<2>().0.iter().map(|&pair| u16::from_be_bytes(pair)).collect();
        (values, size)
    };
    let level = |value: usize| (value as f32 / 23.0 * 65535.0).round() as u16;
    let all: Vec<_> = (0..24).map(level).collect();
    for (_, resize) in &RESIZES[..2] {
        assert_eq!(grey(*resize), (all.clone(), Size { width: 6, height: 4 }));
    }
    // Twice as wide as high: a quarter of the square above and below it is padding, one row of four each.
    assert_eq!(grey(RESIZES[2].1), (all[6..18].to_vec(), Size { width: 6, height: 2 }));
}

#[test]
fn flat_maps_and_wrong_options_are_told() {
    assert_eq!(Heat::new(&Map::zeros((3, 4))), Err(Flat::Zero));
    assert_eq!(Heat::new(&Map::from_elem((3, 4), -1.0)), Err(Flat::Zero));
    assert_eq!(Heat::new(&Map::from_elem((3, 4), 2.5)), Err(Flat::Constant(2.5)));
    assert_eq!(Heat::new(&array![[2.5]]), Err(Flat::Constant(2.5)));
    assert_eq!(Heat::new(&array![[2.5, f32::NAN]]), Err(Flat::NotFinite));
    assert_eq!(Heat::new(&array![[-3.0, 1e-30, 2e-30]]).expect("heat").values(), &array![[0.0, 0.5, 1.0]]);
    assert_eq!(Heat::new(&array![[1.0, 2.0, 4.0]]).expect("heat").values(), &array![[0.25, 0.5, 1.0]]);
    for (style, flag) in [
        (Style { alpha: 1.5, ..BARE }, "`--alpha` is 1.5"),
        (Style { alpha: f32::NAN, ..BARE }, "`--alpha` is NaN"),
        (Style { contour: Some(0.0), ..BARE }, "`--contour` is 0"),
    ] {
        assert!(style.check().expect_err(flag).to_string().contains(flag));
    }
}
