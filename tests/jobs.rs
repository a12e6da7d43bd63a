//! `dermai predict` over many images: folders, globs, shards, standard input, odd names.
use crate::support::models::folder;
use crate::support::program::{Outcome, fixture, predict, predict_in, snapshot};
use serde_json::Value;
use std::fs;
use tempfile::TempDir;

/// The names of the images with a result, in order.
fn names(outcome: &Outcome) -> Vec<String> {
    let name = |result: &Value| result["image"]["name"].as_str().expect("a name").to_owned();
    outcome.json()["results"].as_array().expect("a list").iter().map(name).collect()
}

/// A folder with folders, a bad image in the middle, and what is no image.
fn photos() -> TempDir {
    folder(&[
        ("photos/z.png", "images/png-rgb8.png"),
        ("photos/a/2.JPG", "images/jpeg-420.jpg"),
        ("photos/a/10.jpeg", "images/jpeg-444.jpg"),
        ("photos/b.jpg", "bad/truncated.jpg"),
        ("photos/c.tif", "images/tiff-rgb8.tiff"),
        ("photos/notes.txt", "bad/text.jpg"),
        ("photos/empty/notes.md", "bad/text.jpg"),
    ])
}

#[test]
fn a_folder_is_read_in_sorted_order_and_a_bad_image_does_not_stop_the_rest() {
    let photos = photos();
    let run = |format: &[&str]| predict_in(photos.path(), ["photos", "--top", "1"]).args(format).run().exits(2);
    snapshot!(run(&[]), @r#"
        exit status 2
        --- out ---
         photos/a/10.jpeg  Melanocytic nevus  49.8 %  ██████   uncertain
         photos/a/2.JPG    Melanocytic nevus  49.6 %  ██████   uncertain
         photos/c.tif      Melanocytic nevus  51.6 %  ██████▎
         photos/z.png      Melanocytic nevus  51.6 %  ██████▎

        Not a diagnosis.  (ham7-resnet160, ONNX Runtime [VERSION])

        --- error ---
        error: 1 of 5 images failed:
          `photos/b.jpg`: not a readable JPEG, row 223 of 450: it is cut short
    "#);
    let outcome = run(&["--json"]);
    assert_eq!(names(&outcome), ["photos/a/10.jpeg", "photos/a/2.JPG", "photos/c.tif", "photos/z.png"]);
    let document = outcome.json();
    assert_eq!(document["errors"].as_array().map(Vec::len), Some(1));
    assert_eq!(document["errors"][0]["image"], "photos/b.jpg");
    assert_eq!(document["errors"][0]["error"], "not a readable JPEG, row 223 of 450: it is cut short");
    let lines = run(&["--jsonl"]).lines();
    let order = lines.iter().map(|line| line["image"]["name"].as_str().or(line["image"].as_str()).expect("a name"));
    let all = ["photos/a/10.jpeg", "photos/a/2.JPG", "photos/b.jpg", "photos/c.tif", "photos/z.png"];
    assert_eq!(order.collect::<Vec<_>>(), all);
    let csv = run(&["--csv"]);
    assert_eq!(csv.stdout.lines().count(), 1 + 4, "{}", csv.text());
    for format in [&[][..], &["--json"], &["--jsonl"], &["--csv"]] {
        let told =
            "error: 1 of 5 images failed:\n  `photos/b.jpg`: not a readable JPEG, row 223 of 450: it is cut short\n";
        assert_eq!(run(format).stderr, told);
    }
}

#[test]
fn globs_find_images_in_sorted_order() {
    let photos = photos();
    let run = |pattern: &str| predict_in(photos.path(), [pattern, "--json"]).run();
    assert_eq!(names(&run("photos/**/*.jp*").exits(2)), ["photos/a/10.jpeg"], "patterns tell case apart");
    assert_eq!(names(&run("photos/?/[0-9]*").exits(0)), ["photos/a/10.jpeg", "photos/a/2.JPG"]);
    assert_eq!(names(&run("photos/[cz]*").exits(0)), ["photos/c.tif", "photos/z.png"]);
    for (pattern, expected) in [("photos/*.gif", "`photos/*.gif`: no image matches"), ("photos/[", "not a valid glob")]
    {
        assert!(run(pattern).exits(2).one_error().contains(expected));
    }
    // A file that exists is no pattern.
    fs::rename(photos.path().join("photos/z.png"), photos.path().join("z[1]*.png")).expect("a rename");
    assert_eq!(names(&run("z[1]*.png").exits(0)), ["z[1]*.png"]);
}

#[test]
fn shards_are_disjoint_and_complete() {
    let whole = names(&predict(["images", "--json"]).run().exits(0));
    for of in [1, 3] {
        let part = |part| names(&predict(["images", "--json", "--shard", &format!("{part}/{of}")]).run().exits(0));
        let parts: Vec<_> = (1..=of).map(part).collect();
        assert!(parts.iter().all(|part| part.len() <= whole.len().div_ceil(of)), "{of}: not even: {parts:?}");
        let mut together = parts.concat();
        together.sort_by_key(|name| whole.iter().position(|known| known == name));
        assert_eq!(together, whole, "{of} parts");
    }
    let beyond = predict(["images/lesion.jpg", "--json", "--shard", "2/2"]).run().exits(0);
    assert_eq!(names(&beyond), [""; 0], "a part may be empty");
    for wrong in ["0/3", "4/3", "1", "1/0", "a/b", "1/2/3", "-1/2"] {
        let outcome = predict(["images", &format!("--shard={wrong}")]).run().exits(2);
        assert!(outcome.stderr.contains("expected I/N") && outcome.stdout.is_empty(), "{wrong}: {}", outcome.text());
    }
}

#[test]
fn standard_input_is_an_image() {
    let bytes = fs::read(fixture("images/lesion.jpg")).expect("a file");
    let from_file = predict(["images/lesion.jpg", "--json"]).run().exits(0).json();
    let outcome = predict(["images/png-rgb8.png", "-", "--json"]).input(bytes.clone()).run().exits(0);
    assert_eq!(names(&outcome), ["images/png-rgb8.png", "-"]);
    let (ours, its) = (&outcome.json()["results"][1], &from_file["results"][0]);
    assert_eq!((&ours["image"]["sha256"], &ours["predictions"]), (&its["image"]["sha256"], &its["predictions"]));
    for (arguments, input, expected) in [
        (vec!["-", "-"], bytes.clone(), "`-` is named twice: standard input holds one image"),
        (vec!["-"], vec![], "`-`: is empty"),
        (vec!["-"], b"hello\n".to_vec(), "`-`: is text"),
        (vec!["-", "--max-bytes", "1k"], bytes, "`-`: over the limit of 1.0 KB (`--max-bytes`)"),
    ] {
        let outcome = predict(&arguments).input(input).run().exits(2);
        assert!(outcome.one_error().contains(expected), "{}", outcome.text());
    }
}

#[test]
#[cfg(unix)]
fn names_are_kept_whatever_they_hold() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    let photos = folder(&[]);
    let odd: [&[u8]; 6] = [
        b"with space, comma and \"quotes\".jpg",
        "mắt trái 目.jpg".as_bytes(),
        b"line\nbreak.jpg",
        b"\x1b[31mred.jpg",
        b"latin-\xe9.jpg",
        b"latin-\xe8.jpg",
    ];
    for name in odd {
        fs::copy(fixture("images/jpeg-420.jpg"), photos.path().join(OsStr::from_bytes(name))).expect("a copy");
    }
    fs::copy(fixture("bad/text.jpg"), photos.path().join("bad\r\x1b[2J.jpg")).expect("a copy");
    let expected = [
        "./\u{1b}[31mred.jpg",
        "./latin-\\xe8.jpg",
        "./latin-\\xe9.jpg",
        "./line\nbreak.jpg",
        "./mắt trái 目.jpg",
        "./with space, comma and \"quotes\".jpg",
    ];
    let run = |format: &[&str]| predict_in(photos.path(), [".", "--top", "1"]).args(format).run().exits(2);
    assert_eq!(names(&run(&["--json"])), expected);
    let csv = run(&["--csv"]).stdout;
    let mut reader = csv::Reader::from_reader(csv.as_bytes());
    assert_eq!(reader.records().map(|row| row.expect("a row")[0].to_owned()).collect::<Vec<_>>(), expected);
    let table = run(&[]);
    assert!(!table.text().contains(['\u{1b}', '\r']), "a name reached the terminal as a code: {}", table.text());
    assert!(table.stdout.contains(r" ./line\nbreak.jpg ") && table.stdout.contains(r" ./\u{1b}[31mred.jpg "));
    assert!(table.stderr.contains(r"`./bad\r\u{1b}[2J.jpg`: is text"), "{}", table.text());
}

#[test]
fn nothing_to_do_is_an_error() {
    let empty = folder(&[("empty/notes.txt", "bad/text.jpg")]);
    let error = |arguments: &[&str]| predict_in(empty.path(), arguments).run().exits(2).one_error().to_owned();
    assert!(error(&[]).contains("no image is named"));
    assert!(error(&["empty"]).contains("`empty`: no image in this folder (looked for .jpg "));
    assert!(error(&["absent.jpg"]).contains("`absent.jpg`: cannot be opened: No such file or directory"));
    assert!(error(&["absent"]).contains("`absent`: cannot be opened: "));
}
