//! What an overlay of a large photo takes, in a process of its own.
use super::BARE;
use crate::support::jpegs::{self, Kind};
use crate::support::pictures::{LIMITS, plain};
use dermai::explain::overlay::{Caption, Heat, Style, Thumbnail, write_overlay};
use dermai::input::{Filter, Geometry, Resize, Source, UprightRows};
use dermai::units::{Bytes, Size};
use ndarray::Array2;
use std::fs::{self, File};
use std::io::{BufWriter, Read};
use std::path::Path;
use std::process::Command;

/// Names the picture that a child paints.
const PICTURE_OF_CHILD: &str = "DERMAI_TEST_OVERLAY";
/// What an overlay of a photo of 12 megapixels may take in all, decoding included, over the process's size before.
const MOST: Bytes = Bytes::mb(16);

/// Runs only in a child: a process of its own, so that no other test's memory counts.
#[test]
fn painted_in_a_process_of_its_own() {
    let Some(path) = std::env::var_os(PICTURE_OF_CHILD) else { return };
    let spec = plain(Size { width: 160, height: 160 }, Resize::Crop { shortest: 184, filter: Filter::Bilinear });
    let map = Array2::from_shape_fn((10, 10), |(y, x)| (y * x) as f32);
    let style = Style {
        contour: Some(0.5),
        side_by_side: Some(Caption {
            class: "U hắc tố ác tính".into(),
            probability: Some(0.87),
            method: "Grad-CAM".into(),
            layer: "/features/18/Relu".repeat(90),
            notice: "not a diagnosis".into(),
        }),
        alpha: Style::ALPHA,
        ..BARE
    };
    let source = Source::Path(path.clone().into());
    let target = Path::new(&path).with_extension("png");
    // Setting the peak back to the present size takes no privilege (proc(5), clear_refs).
    fs::write("/proc/self/clear_refs", "5").expect("the peak can be set back");
    let before = status("VmRSS");
    let stream = source.open(&LIMITS).expect("a file");
    let mut rows = UprightRows::open(stream, &LIMITS, UprightRows::BUFFER).expect("a picture");
    let (size, heat) = (rows.size(), Heat::new(&map).expect("heat"));
    let mut thumbnail = Thumbnail::of(size);
    let out = BufWriter::new(File::create(&target).expect("a file"));
    write_overlay(&mut rows, &Geometry::of(size, &spec), &heat, &style, out, Some(&mut thumbnail)).expect("an overlay");
    println!("peak {} size {size}", status("VmHWM") - before);
}

/// A size of this process in bytes, by its name in `/proc/self/status`.
fn status(name: &str) -> u64 {
    let text = fs::read_to_string("/proc/self/status").expect("Linux");
    let line = text.lines().find_map(|line| line.strip_prefix(name)).expect("the kernel tells it");
    line.trim_matches(|c: char| !c.is_ascii_digit()).parse::<u64>().expect("a number") << 10
}

#[test]
fn an_overlay_of_12_megapixels_takes_16_mb() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("photo.jpg");
    let photo = Size { width: 4000, height: 3000 };
    let mut file =
        jpegs::jpeg(photo, Kind { quality: 90.0, halved: true, progressive: false }, Vec::new(), jpegs::texture(photo));
    for orientation in [1, 3, 6] {
        jpegs::turn(&mut file, orientation);
        fs::write(&path, &file).expect("a file");
        let child = Command::new(std::env::current_exe().expect("a path"))
            .args(["--exact", "overlay::memory::painted_in_a_process_of_its_own", "--nocapture"])
            .env(PICTURE_OF_CHILD, &path)
            .output()
            .expect("a child");
        let text = String::from_utf8_lossy(&child.stdout);
        let line = text.lines().find_map(|line| line.split_once("peak ")).map(|(_, rest)| rest);
        let (bytes, size) =
            line.and_then(|rest| rest.split_once(" size ")).unwrap_or_else(|| panic!("the child said: {text}"));
        let peak = Bytes(bytes.parse().expect("bytes"));
        eprintln!("{size}, orientation {orientation}: decoding, painting, legend and thumbnail rise by {peak}");
        let upright = if orientation == 6 { photo.transposed() } else { photo };
        assert_eq!(size, upright.to_string());
        assert!(peak <= MOST, "orientation {orientation}: {peak}");
        let mut head = [0; 24];
        File::open(path.with_extension("png")).and_then(|mut png| png.read_exact(&mut head)).expect("a PNG");
        assert!(u32::from_be_bytes(head[16..20].try_into().expect("a width")) > upright.width * 2);
    }
}
