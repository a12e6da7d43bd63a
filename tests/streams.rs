//! Where `dermai predict` writes: what goes to which stream, terminals, closed pipes, full disks, and the help.
#![cfg(unix)]
use crate::support::models::{CARD, folder, model};
use crate::support::program::{fixture, memcheck_in, predict, predict_in, snapshot};
use crate::support::terminal::{left_standing, on_terminal};
use clap::Parser;
use dermai::cli::Cli;
use std::fs::{self, File};
use std::io::Read;
use std::process::Stdio;

#[test]
fn quiet_keeps_errors_and_drops_warnings() {
    let run = |quiet: &[&str]| {
        let arguments =
            ["images/lesion.jpg", "bad/text.jpg", "--csv", "--top", "1", "--model", "onnx/tiny-nchw-softmax.onnx"];
        predict(arguments).args(quiet).run()
    };
    assert!(run(&[]).exits(2).stderr.contains("warning: no card"));
    snapshot!(run(&["--quiet"]), @r#"
        exit status 2
        --- out ---
        image,rank,index,label,probability
        images/lesion.jpg,1,0,0,0.897…

        --- error ---
        error: 1 of 2 images failed:
          `bad/text.jpg`: is text; supported are JPEG, PNG, WebP, BMP, GIF and TIFF
    "#);
}

#[test]
fn nothing_is_coloured_where_no_terminal_is() {
    for arguments in [&["images", "bad/text.jpg"][..], &["images/lesion.jpg", "--no-such-flag"], &["--help"]] {
        let outcome = predict(arguments).run();
        assert!(!outcome.text().contains('\u{1b}'), "{}", outcome.text());
    }
}

/// Five images and one that fails.
fn pictures() -> tempfile::TempDir {
    let names = ["a.jpg", "b.jpg", "c.jpg", "d.jpg", "e.jpg"];
    let files: Vec<_> =
        names.iter().map(|name| (*name, "images/jpeg-420.jpg")).chain([("f.jpg", "bad/text.jpg")]).collect();
    folder(&files)
}

#[test]
fn a_folder_shows_a_bar_on_a_terminal_and_clears_it() {
    let pictures = pictures();
    let out = pictures.path().join("out.csv");
    for variable in ["NO_COLOR", "OTHER"] {
        let program = predict_in(pictures.path(), [".", "--csv", "out.csv"]).env(variable, "1");
        let (status, drawn) = on_terminal(program.command, true);
        assert_eq!(status.code(), Some(2), "{drawn}");
        assert!(drawn.contains("/6 images, "), "no bar: {drawn:?}");
        let left = left_standing(&drawn);
        assert!(left.starts_with("error: 1 of 6 images failed:\n  `./f.jpg`: is text"), "{drawn:?}");
        assert!(!left.contains("images, "), "the bar is not cleared: {drawn:?}");
        let colours = drawn
            .split("\u{1b}[")
            .skip(1)
            .any(|code| code.trim_start_matches(|c: char| c.is_ascii_digit() || c == ';').starts_with('m'));
        assert!(!colours, "{drawn:?}");
        assert_eq!(fs::read_to_string(&out).expect("results").lines().count(), 1 + 5 * 5);
    }
}

#[test]
fn no_bar_is_drawn_where_it_would_disturb() {
    let pictures = pictures();
    for (arguments, stdout_too) in [
        (&[".", "--csv"][..], true), // rows appear one by one
        (&[".", "--jsonl"], true),
        (&[".", "--quiet"], true),
        (&["a.jpg"], true), // one image is done at once
    ] {
        let (_, drawn) = on_terminal(predict_in(pictures.path(), arguments).command, stdout_too);
        assert!(!drawn.contains("images, "), "{arguments:?}: {drawn:?}");
    }
    let (_, drawn) = on_terminal(predict_in(pictures.path(), [".", "--csv"]).command, false);
    assert!(drawn.contains("/6 images, "), "rows that go elsewhere leave the terminal to the bar: {drawn:?}");
}

#[test]
fn a_run_that_ends_with_an_error_leaves_no_bar() {
    let pictures = pictures();
    let tiny = model("tiny-nchw-softmax", &CARD.replace("{file: model.onnx}", "{file: model.onnx, sha256: 00}"));
    let program = predict_in(pictures.path(), ["f.jpg", "a.jpg", "--model"]).args([tiny.path()]);
    let (status, drawn) = on_terminal(program.command, true);
    assert_eq!(status.code(), Some(2));
    assert!(drawn.contains("/2 images, "), "no bar: {drawn:?}");
    let left = left_standing(&drawn);
    assert!(left.starts_with("error: `model.sha256`: ") && !left.contains("images, "), "{drawn:?}");
}

/// The making of a form is a work within a work.
#[test]
fn bars_within_bars_are_cleared_too() {
    let short = ["--measure-options", "--runs", "1", "--requests", "0", "--one-at-a-time", "--no-gradcam"];
    let images = fixture("images");
    let program = memcheck_in(&images, short).args(["--budget", "512MB", "--calibrate"]).args([&images]);
    let (status, drawn) = on_terminal(program.command, false);
    assert_eq!(status.code(), Some(0), "{drawn}");
    assert!(drawn.contains(" runs, ") && drawn.contains(" graphs, ") && drawn.contains(" images, "), "{drawn:?}");
    let left = left_standing(&drawn);
    assert!(!left.contains(" runs, ") && !left.contains(" graphs, ") && !left.contains(" images, "), "{left}");
}

#[test]
fn a_closed_pipe_is_no_error() {
    for format in [&[][..], &["--json"], &["--jsonl"], &["--csv"]] {
        let mut command = predict(["images", "--top", "0"]).args(format).command;
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("a process");
        drop(child.stdout.take()); // before the first result is there
        let mut error = String::new();
        child.stderr.take().expect("a pipe").read_to_string(&mut error).expect("text");
        let status = child.wait().expect("a status");
        assert_eq!((status.code(), error.as_str()), (Some(0), ""), "{format:?}");
    }
}

#[test]
fn a_failure_counts_even_when_nobody_reads_of_it() {
    let mut command = predict(["images/lesion.jpg", "bad/text.jpg"]).command;
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("a process");
    drop(child.stderr.take());
    assert_eq!(child.wait().expect("a status").code(), Some(2));
}

#[test]
#[cfg(target_os = "linux")]
fn a_full_disk_is_told() {
    for format in [&[][..], &["--json"], &["--jsonl"], &["--csv"]] {
        let mut command = predict(["images/lesion.jpg"]).args(format).command;
        let full = File::options().write(true).open("/dev/full").expect("a device");
        let output = command.stdout(full).output().expect("a process");
        let error = String::from_utf8(output.stderr).expect("text");
        assert_eq!(output.status.code(), Some(2), "{format:?}");
        assert_eq!(
            error, "error: standard output cannot be written: No space left on device (os error 28)\n",
            "{format:?}"
        );
    }
}

/// A command line as a shell takes it apart, up to a pipe or a comment; quotes are single ones.
fn words(line: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut quoted = false;
    for c in line.chars() {
        match c {
            '\'' => quoted = !quoted,
            '|' | '#' if !quoted => break,
            ' ' if !quoted => words.push(String::new()),
            c => words.last_mut().expect("a word").push(c),
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

#[test]
fn every_example_is_a_valid_command() {
    let help = predict(["--help"]).run().exits(0).stdout;
    let (_, examples) = help.split_once("Examples:\n").expect("examples");
    let examples = examples.split_once("\n\n").expect("an end").0;
    let readme = fs::read_to_string(fixture("../README.md")).expect("a file");
    let readme = readme.lines().filter_map(|line| line.strip_prefix("$ "));
    let mut parsed = 0;
    for line in examples.lines().chain(readme) {
        let Some(at) = line.find("dermai ") else { continue };
        let words = words(&line[at..]);
        Cli::try_parse_from(&words).unwrap_or_else(|e| panic!("{line}: {words:?}: {e}"));
        parsed += 1;
    }
    assert!(examples.lines().count() >= 5 && parsed >= examples.lines().count(), "{parsed} examples");
}

#[test]
fn a_result_file_has_its_format_s_ending() {
    snapshot!(predict(["images/lesion.jpg", "--csv", "out.txt"]).run(), @r#"
        exit status 2
        --- error ---
        error: `--csv out.txt`: `out.txt` is no image that exists, and a result file has to end in `.csv`
    "#);
    // What stands behind the flag may be the image.
    let outcome = predict(["--csv", "images/lesion.jpg", "--top", "1"]).run().exits(0);
    assert!(outcome.stdout.contains("\nimages/lesion.jpg,1,"), "{}", outcome.text());
}
