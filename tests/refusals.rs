//! What `dermai predict` refuses: one line of error, exit status 2, and no runtime loaded for it.
use crate::support::models::{CARD, card, folder, model};
use crate::support::program::{Outcome, fixture, predict, predict_in};
use std::ffi::OsStr;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

/// What a refused image may take: the program itself and its threads, not the picture.
const MOST: u64 = 24 << 20;

/// Runs where the runtime is missing, and where it is no library; both have to end with the image's own error, which is given.
#[track_caller]
fn refused<A: AsRef<OsStr> + Clone>(at: &Path, arguments: &[A]) -> String {
    let broken = fixture("bad/text.jpg");
    let [missing, broken] = [Path::new("/absent/libonnxruntime.so"), &broken].map(|library| {
        let outcome = predict_in(at, arguments).env("ORT_DYLIB_PATH", library).within(MOST).run().exits(2);
        assert_eq!(outcome.stdout, "", "{}", outcome.text());
        outcome.one_error().to_owned()
    });
    assert_eq!(missing, broken);
    assert!(!missing.contains("panicked") && !missing.contains("ONNX Runtime"), "{missing}");
    missing
}

/// The control: these libraries cannot be loaded, so whoever needs the runtime fails.
#[test]
fn without_a_runtime_no_image_is_classified() {
    let run = |library: &Path| predict(["images/lesion.jpg"]).env("ORT_DYLIB_PATH", library).run().exits(2);
    let missing = run(Path::new("/absent/libonnxruntime.so"));
    assert_eq!(missing.one_error(), "error: `ORT_DYLIB_PATH` is `/absent/libonnxruntime.so`, which does not exist");
    let broken = run(&fixture("bad/text.jpg"));
    assert!(broken.one_error().contains("text.jpg` cannot be used as ONNX Runtime; run `cargo xtask setup`"));
}

#[test]
fn every_bad_image_is_refused_in_one_line() {
    let folder = fixture("bad");
    let entries = fs::read_dir(&folder).expect("the bad images").map(|entry| entry.expect("an entry").file_name());
    let mut names: Vec<_> = entries.collect();
    names.sort();
    let mut errors = String::new();
    for name in names {
        writeln!(errors, "{}", refused(&folder, &[name])).expect("memory");
    }
    insta::assert_snapshot!(errors, @r#"
        error: `README.md`: is text; supported are JPEG, PNG, WebP, BMP, GIF and TIFF
        error: `archive.jpg`: is a zip archive; supported are JPEG, PNG, WebP, BMP, GIF and TIFF
        error: `bomb.png`: not a readable PNG: 20000x20000 is 400000000 pixels, over the limit of 100000000 (`--max-pixels`)
        error: `directory-loop.tiff`: not a readable TIFF: format error: file contained a cycle in the list of IFDs
        error: `directory-outside.tiff`: not a readable TIFF: it is cut short
        error: `empty.jpg`: is empty
        error: `header-100000x100000.png`: not a readable PNG: 100000x100000 is 10000000000 pixels, over the limit of 100000000 (`--max-pixels`)
        error: `header-65500x65500.jpg`: not a readable JPEG: 65500x65500 is 4290250000 pixels, over the limit of 100000000 (`--max-pixels`)
        error: `html.png`: is text; supported are JPEG, PNG, WebP, BMP, GIF and TIFF
        error: `huge.bmp`: not a readable BMP: Format error decoding Bmp: Image too large (one of (2147483647, 2147483647) > soft limit of 65535)
        error: `negative.bmp`: not a readable BMP: Format error decoding Bmp: Negative width (-120)
        error: `no-frames.gif`: not a readable GIF: it is cut short
        error: `riff-size.webp`: not a readable WebP: Corrupt bitstream
        error: `start-only.jpg`: is no known image format; supported are JPEG, PNG, WebP, BMP, GIF and TIFF
        error: `strip-outside.tiff`: not a readable TIFF, row 1 of 90: it is cut short
        error: `text.jpg`: is text; supported are JPEG, PNG, WebP, BMP, GIF and TIFF
        error: `truncated.jpg`: not a readable JPEG, row 223 of 450: it is cut short
        error: `truncated.png`: not a readable PNG, row 44 of 90: it is cut short
        error: `wrong-crc.png`: not a readable PNG, row 90 of 90: a checksum is wrong: it was damaged on its way
    "#);
}

/// All of them at once, with good ones between: every one is listed.
#[test]
fn bad_images_among_good_ones_are_all_listed() {
    let bad = fs::read_dir(fixture("bad")).expect("the bad images").count() - 1; // the list of them is no image
    let outcome = predict(["images/lesion.jpg", "bad", "images/png-rgb8.png", "--json"]).run().exits(2);
    let document = outcome.json();
    assert_eq!(document["results"].as_array().map(Vec::len), Some(2));
    assert_eq!(document["errors"].as_array().map(Vec::len), Some(bad));
    assert_eq!(outcome.stderr.lines().count(), 1 + bad, "{}", outcome.text());
    assert!(!outcome.stderr.contains("panicked"), "{}", outcome.text());
}

#[test]
fn what_is_no_file_is_refused() {
    let at = folder(&[("without/notes.txt", "bad/text.jpg")]);
    for (name, expected) in [
        ("absent.jpg", "error: `absent.jpg`: cannot be opened: No such file or directory (os error 2)"),
        (
            "without",
            "error: `without`: no image in this folder (looked for .jpg .jpeg .jpe .jfif .png .webp .bmp .gif .tif .tiff)",
        ),
        (
            "without/notes.txt/x.jpg",
            "error: `without/notes.txt/x.jpg`: cannot be opened: Not a directory (os error 20)",
        ),
        ("without/notes.txt", "error: `without/notes.txt`: is text; supported are JPEG, PNG, WebP, BMP, GIF and TIFF"),
    ] {
        assert_eq!(refused(at.path(), &[name]), expected);
    }
}

#[test]
#[cfg(unix)]
fn special_files_are_refused_and_do_not_block() {
    use std::ffi::CString;
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::net::UnixListener;
    let at = tempfile::tempdir().expect("a folder");
    let pipe = CString::new(at.path().join("pipe.jpg").as_os_str().as_bytes()).expect("a name");
    // SAFETY: the name ends in NUL and lives until mkfifo returns.
    assert_eq!(unsafe { libc::mkfifo(pipe.as_ptr(), 0o600) }, 0);
    let _socket = UnixListener::bind(at.path().join("socket.jpg")).expect("a socket");
    let why = "is not a regular file (a pipe, a socket or a device); give the image itself, or `-` for standard input";
    for name in ["pipe.jpg", "socket.jpg", "/dev/zero", "/dev/null", "/dev/tty0"] {
        if Path::new(name).is_absolute() && !Path::new(name).exists() {
            continue; // not every machine has every device
        }
        assert_eq!(refused(at.path(), &[name]), format!("error: `{name}`: {why}"));
    }
    // Found in a folder, they are images that failed.
    fs::copy(fixture("images/png-rgb8.png"), at.path().join("z.png")).expect("a copy");
    let outcome = predict_in(at.path(), [".", "--csv", "--top", "1"]).run().exits(2);
    assert!(outcome.stdout.contains("\n./z.png,1,"), "{}", outcome.text());
    assert!(outcome.stderr.starts_with("error: 2 of 3 images failed:\n"), "{}", outcome.text());
}

#[test]
fn limits_refuse_by_length_and_header() {
    for (arguments, expected) in [
        (["images/lesion.jpg", "--max-bytes", "10k"], "KB is over the limit of 10.0 KB (`--max-bytes`)"),
        (
            ["images/lesion.jpg", "--max-pixels", "269999"],
            "600x450 is 270000 pixels, over the limit of 269999 (`--max-pixels`)",
        ),
        (["images/png-rgb8.png", "--max-pixels", "10799"], "(`--max-pixels`)"),
        (["images/webp-lossy.webp", "--max-pixels", "10799"], "(`--max-pixels`)"),
        (["images/bmp-rgb24.bmp", "--max-pixels", "10799"], "(`--max-pixels`)"),
        (["images/gif-animated.gif", "--max-pixels", "10799"], "(`--max-pixels`)"),
        (["images/tiff-lzw.tiff", "--max-pixels", "10799"], "(`--max-pixels`)"),
        (["images/gif-animated.gif", "--max-frames", "1"], "it holds more than 1 frames or pages (`--max-frames`)"),
        (["images/webp-animated.webp", "--max-frames", "1"], "it holds more than 1 frames or pages (`--max-frames`)"),
        (["images/tiff-rgb8.tiff", "--max-frames", "0"], "it holds more than 0 frames or pages (`--max-frames`)"),
        (["images/jpeg-progressive.jpg", "--max-decode", "8k"], "a progressive or multi-scan JPEG needs "),
        (["images/png-interlaced.png", "--max-decode", "8k"], "(`--max-decode`)"),
        (["images/bmp-rgb24.bmp", "--max-decode", "8k"], "this format cannot be decoded by rows: it needs "),
        (["images/gif-animated.gif", "--max-decode", "8k"], "this format cannot be decoded by rows: it needs "),
        (["images/webp-lossless.webp", "--max-decode", "8k"], "(`--max-decode`)"),
        (["images/tiff-rgb8.tiff", "--max-decode", "2k"], "a TIFF in strips or tiles of this size needs "),
    ] {
        let error = refused(&fixture(""), &arguments);
        assert!(error.contains(arguments[0]) && error.contains(expected), "{arguments:?}: {error}");
    }
    // At the limit they pass.
    for arguments in [
        ["images/lesion.jpg", "--max-pixels", "270000"],
        ["images/gif-animated.gif", "--max-frames", "2"],
        ["images/jpeg-420.jpg", "--max-decode", "0"],
        ["images/png-rgb8.png", "--max-decode", "100k"],
    ] {
        predict(arguments).run().exits(0);
    }
}

/// What the header of a format says in a second place: files that are changed here, because Pillow would not write them.
#[test]
fn sizes_within_a_file_are_checked_too() {
    let at = folder(&[]);
    let changed = |name: &str, fixture_name: &str, change: &dyn Fn(&mut Vec<u8>)| {
        let mut file = fs::read(fixture(fixture_name)).expect("a file");
        change(&mut file);
        fs::write(at.path().join(name), file).expect("a file");
        refused(at.path(), &[name])
    };
    let find =
        |file: &[u8], what: &[u8]| file.windows(what.len()).position(|window| window == what).expect("it is there");
    // The image descriptor: a comma, left, top, width, height.
    let frame = changed("frame.gif", "images/gif-animated.gif", &|file| {
        let start = find(file, &[0x2c, 0, 0, 0, 0]) + 5;
        file[start..start + 4].fill(0xff);
    });
    assert!(
        frame.ends_with("65535x65535 is 4294836225 pixels, over the limit of 100000000 (`--max-pixels`)"),
        "{frame}"
    );
    // The tag StripOffsets (273), type LONG: its number of values, in a file of 114 bytes.
    let strips = |count: u32| {
        changed("strips.tiff", "bad/strip-outside.tiff", &|file| {
            let start = find(file, &[0x11, 1, 4, 0]) + 4;
            file[start..start + 4].copy_from_slice(&count.to_le_bytes());
        })
    };
    assert!(
        strips(u32::MAX).contains("a TIFF of so many strips or tiles needs 196608.0 MB at once"),
        "{}",
        strips(u32::MAX)
    );
    assert!(strips(1000).ends_with("not a readable TIFF: it is cut short"), "{}", strips(1000));
    let exif = changed("exif.webp", "images/exif-6.webp", &|file| {
        let start = find(file, b"EXIF") + 4;
        file[start..start + 4].copy_from_slice(&0x7fff_0000_u32.to_le_bytes());
    });
    assert!(exif.starts_with("error: `exif.webp`: not a readable WebP: "), "{exif}");
    // A JPEG's header, cut in the middle of a segment.
    let cut = changed("cut.jpg", "images/jpeg-420.jpg", &|file| file.truncate(30));
    assert_eq!(cut, "error: `cut.jpg`: not a readable JPEG: it is cut short");
}

/// A damaged Huffman code over which `image-webp` 0.2.4 panics.
#[test]
fn a_decoder_that_panics_is_one_image_s_error() {
    let at = folder(&[("good.png", "images/png-rgb8.png")]);
    let mut file = fs::read(fixture("images/webp-lossless-alpha.webp")).expect("a file");
    file[31] = 64;
    fs::write(at.path().join("damaged.webp"), file).expect("a file");
    assert!(refused(at.path(), &["damaged.webp"]).starts_with("error: `damaged.webp`: "));
    let outcome = predict_in(at.path(), [".", "--csv", "--top", "1"]).run().exits(2);
    assert!(outcome.stdout.contains("\n./good.png,1,"), "{}", outcome.text());
    assert_eq!(outcome.stderr.lines().count(), 2, "{}", outcome.text());
}

#[test]
fn sizes_and_counts_that_make_no_sense_name_their_flag() {
    for (flag, value, expected) in [
        ("--max-bytes", "many", "expected a number and a unit, such as `512MB`"),
        ("--max-decode", "-1", "expected a number and a unit"),
        ("--max-pixels", "1e6", "invalid digit"),
        ("--max-frames", "5000000000", "not in 0..=4294967295"),
        ("--threads", "0", "0 is not in 1..=1024"),
        ("--threshold", "50%", "expected a number from 0 to 1"),
        ("--lang", "fr", "possible values: en, vi"),
    ] {
        let outcome = predict(["images/lesion.jpg", &format!("{flag}={value}")]).run().exits(2);
        assert!(outcome.stderr.contains(flag) && outcome.stderr.contains(expected), "{}", outcome.text());
    }
}

#[test]
fn numbers_that_are_not_finite_name_their_output() {
    let logits = card("kind: softmax", "kind: logits");
    for (onnx, value) in [("tiny-nan", "NaN at position 0"), ("tiny-inf", "inf at position 1")] {
        let broken = model(onnx, &logits);
        let run = |more: &[&str]| -> Outcome {
            predict(["images/lesion.jpg", "images/png-rgb8.png", "--model"])
                .args([broken.path()])
                .args(more)
                .run()
                .exits(2)
        };
        let why = format!("output `logits` holds {value}: the model cannot judge this image, or is broken");
        let told =
            format!("error: 2 of 2 images failed:\n  `images/lesion.jpg`: {why}\n  `images/png-rgb8.png`: {why}\n");
        let table = run(&[]);
        assert_eq!((table.stdout.as_str(), table.stderr.as_str()), ("", told.as_str()));
        let document = run(&["--json"]).json();
        assert_eq!(document["results"].as_array().map(Vec::len), Some(0));
        assert_eq!((&document["errors"][0]["error"], &document["model"]["name"]), (&why.into(), &"tiny".into()));
    }
    // The same picture and card with a sound network pass.
    let sound = model("tiny-nchw-softmax", CARD);
    predict(["images/lesion.jpg", "--model"]).args([sound.path()]).run().exits(0);
}
