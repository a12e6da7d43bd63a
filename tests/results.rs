//! Result files of `dermai predict`: whole or not at all, and `--resume`, which goes on where a run was ended.
#![cfg(unix)]
use crate::support::models::{CARD, card, folder, model};
use crate::support::program::{fixture, json_lines, predict_in};
use std::fs;
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use tempfile::TempDir;

const FORMATS: [&str; 3] = ["json", "jsonl", "csv"];
/// A result that stands there from before.
const OLD: &str = "what stood there\n";

/// A folder with a model `m`, images `a.jpg` to `d.jpg`, `e.jpg` that cannot be read, and a model that cannot be used, `broken`.
fn workplace() -> TempDir {
    let good = ["a.jpg", "b.jpg", "c.jpg", "d.jpg"].map(|name| (name, "images/jpeg-420.jpg"));
    let files = [&good[..], &[("e.jpg", "bad/text.jpg")]].concat();
    let place = folder(&files);
    for (name, card) in [("m", CARD), ("broken", &card("model.onnx", "model.onnx, sha256: 00"))] {
        fs::rename(model("tiny-nchw-softmax", card).keep(), place.path().join(name)).expect("a rename");
    }
    place
}

fn contents(place: &Path) -> Vec<String> {
    let entries = fs::read_dir(place).expect("a folder");
    let mut names: Vec<_> = entries.map(|entry| entry.expect("an entry").file_name().display().to_string()).collect();
    names.sort();
    names
}

fn read(place: &Path, name: &str) -> String {
    fs::read_to_string(place.join(name)).unwrap_or_else(|e| panic!("`{name}`: {e}"))
}

/// The images that have an answer, by the lines of a file.
fn answered(place: &Path, name: &str) -> Vec<String> {
    let lines = json_lines(&read(place, name));
    lines.iter().filter_map(|line| line["image"]["name"].as_str().map(str::to_owned)).collect()
}

/// A result without what differs from run to run.
fn without_times(text: &str) -> String {
    let is_time = |line: &&str| ["\"decode\"", "\"preprocess\":", "\"infer\""].iter().any(|key| line.contains(key));
    let lines = text.split_inclusive([',', '\n']).filter(|line| !is_time(line));
    lines.collect()
}

#[test]
fn a_file_holds_what_standard_output_would() {
    let place = workplace();
    for format in FORMATS {
        let (flag, name) = (format!("--{format}"), format!("out.{format}"));
        let run = |more: &[&str]| predict_in(place.path(), ["a.jpg", "e.jpg", "-m", "m"]).args(more).run().exits(2);
        let printed = run(&[&flag]);
        let written = run(&[&flag, &name]);
        assert_eq!((written.stdout.as_str(), &written.stderr), ("", &printed.stderr));
        assert_eq!(without_times(&read(place.path(), &name)), without_times(&printed.stdout), "{format}");
    }
    assert_eq!(
        contents(place.path()),
        ["a.jpg", "b.jpg", "broken", "c.jpg", "d.jpg", "e.jpg", "m", "out.csv", "out.json", "out.jsonl"]
    );
}

#[test]
fn a_run_that_fails_leaves_what_stood_there() {
    let place = workplace();
    for format in FORMATS {
        let (flag, name) = (format!("--{format}"), format!("out.{format}"));
        let before = contents(place.path());
        let run = || predict_in(place.path(), ["a.jpg", "-m", "broken", &flag, &name]).run().exits(2);
        assert!(run().one_error().contains("`model.sha256`"));
        assert_eq!(contents(place.path()), before, "{format}: something is left behind");
        fs::write(place.path().join(&name), OLD).expect("a file");
        run();
        assert_eq!(read(place.path(), &name), OLD);
    }
}

#[test]
fn an_impossible_place_is_told_before_the_work() {
    let place = workplace();
    fs::create_dir(place.path().join("folder.csv")).expect("a folder");
    for (file, expected) in [
        ("no/such/out.csv", "error: `no/such/out.csv` cannot be written: No such file or directory (os error 2)"),
        ("folder.csv", "error: `folder.csv` is a folder; name a file"),
        ("a.jpg/out.csv", "error: `a.jpg/out.csv` cannot be written: Not a directory (os error 20)"),
    ] {
        // Without a runtime any work would fail otherwise.
        let outcome =
            predict_in(place.path(), ["a.jpg", "-m", "m", "--csv", file]).env("ORT_DYLIB_PATH", "/absent").run();
        assert_eq!(outcome.exits(2).one_error(), expected);
    }
}

#[test]
fn a_full_disk_leaves_nothing_half_written() {
    let place = workplace();
    for format in FORMATS {
        let (flag, name) = (format!("--{format}"), format!("out.{format}"));
        let before = contents(place.path());
        let mut command = predict_in(place.path(), ["a.jpg", "-m", "m", &flag, &name]).command;
        // SAFETY: both calls only set properties of the new process and are async-signal-safe; `limit` is read before setrlimit returns.
        unsafe {
            command.pre_exec(|| {
                let limit = libc::rlimit { rlim_cur: 16, rlim_max: 16 };
                libc::signal(libc::SIGXFSZ, libc::SIG_IGN);
                if libc::setrlimit(libc::RLIMIT_FSIZE, &raw const limit) == 0 {
                    Ok(())
                } else {
                    Err(std::io::Error::last_os_error())
                }
            });
        }
        let output = command.output().expect("a process");
        let error = String::from_utf8(output.stderr).expect("text");
        assert_eq!(error, format!("error: `{name}` cannot be written: File too large (os error 27)\n"));
        assert_eq!(output.status.code(), Some(2));
        assert_eq!(contents(place.path()), before, "{format}: something is left behind");
    }
}

#[test]
fn permissions_are_the_usual_ones_or_the_old_file_s() {
    let place = workplace();
    let mode = |name: &str| fs::metadata(place.path().join(name)).expect("a file").permissions().mode() & 0o777;
    // SAFETY: umask only sets a property of the new process and is async-signal-safe.
    let with_umask = |command: &mut Command| unsafe {
        command.pre_exec(|| {
            libc::umask(0o027);
            Ok(())
        });
    };
    let run = |name: &str| {
        let mut command = predict_in(place.path(), ["a.jpg", "-m", "m", "--csv", name]).command;
        with_umask(&mut command);
        assert!(command.status().expect("a process").success());
    };
    run("new.csv");
    assert_eq!(mode("new.csv"), 0o640);
    fs::write(place.path().join("private.csv"), OLD).expect("a file");
    fs::set_permissions(place.path().join("private.csv"), fs::Permissions::from_mode(0o600)).expect("permissions");
    symlink("private.csv", place.path().join("link.csv")).expect("a link");
    run("link.csv");
    assert_eq!(mode("private.csv"), 0o600, "results must not become readable by others");
    assert!(place.path().join("link.csv").is_symlink(), "a link was replaced");
    assert!(read(place.path(), "private.csv").starts_with("image,rank,"));
}

/// Starts a run over three images and standard input, and returns when it waits for the latter's end.
///
/// A decoder is one image ahead of the network: while it reads the fourth, the first has its answer.
fn waiting_run(place: &Path, more: &[&str]) -> Child {
    let mut command = predict_in(place, ["a.jpg", "b.jpg", "c.jpg", "-", "-m", "m"]).args(more).command;
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().expect("a process");
    // More than a pipe holds, so somebody has read of it.
    child.stdin.as_mut().expect("a pipe").write_all(&vec![0; 4 << 20]).expect("a reader");
    child
}

#[test]
fn a_killed_run_leaves_nothing_but_lines() {
    let place = workplace();
    for format in ["json", "csv"] {
        let before = contents(place.path());
        let mut child = waiting_run(place.path(), &[&format!("--{format}"), &format!("out.{format}")]);
        child.kill().expect("a signal");
        child.wait().expect("a status");
        assert_eq!(contents(place.path()), before, "{format}: something is left behind");
    }
    let before = contents(place.path());
    let mut child = waiting_run(place.path(), &["--jsonl", "out.jsonl"]);
    child.kill().expect("a signal");
    child.wait().expect("a status");
    let expected = [&before[..], &["out.jsonl".to_owned()]].concat();
    assert_eq!(contents(place.path()), expected);
    let done = answered(place.path(), "out.jsonl");
    assert_eq!(done, ["a.jpg", "b.jpg", "c.jpg"][..done.len()]);
    assert!(!done.is_empty());
    // The run goes on, whether or not it was started to be resumed.
    predict_in(place.path(), ["a.jpg", "b.jpg", "c.jpg", "d.jpg", "-m", "m", "--jsonl", "out.jsonl", "--resume"])
        .run()
        .exits(0);
    assert_eq!(answered(place.path(), "out.jsonl"), ["a.jpg", "b.jpg", "c.jpg", "d.jpg"]);
}

/// `dermai predict IMAGES -m MODEL --jsonl out.jsonl --resume`
fn resume(place: &Path, images: &[&str], model: &str) -> crate::support::program::Program {
    predict_in(place, images).args(["-m", model, "--jsonl", "out.jsonl", "--resume"])
}

#[test]
fn resuming_leaves_out_what_is_done_and_tries_again_what_failed() {
    let place = workplace();
    let out = place.path().join("out.jsonl");
    let name = "ảnh.jpg";
    fs::copy(place.path().join("a.jpg"), place.path().join(name)).expect("a copy");
    resume(place.path(), &["a.jpg", "e.jpg", name], "m").run().exits(2);
    let whole = read(place.path(), "out.jsonl");
    assert_eq!(whole.lines().count(), 3);
    fs::copy(fixture("images/png-rgb8.png"), place.path().join("e.jpg")).expect("a copy"); // now it can be read
    // Killed at any byte of the last line, in the middle of a letter too: that image is done again, the first is not.
    let start = whole.rfind("\n{").expect("a line") + 1;
    let letter = start + whole[start..].find('ả').expect("a letter") + 1;
    for cut in [start, start + 1, letter, whole.len() - 1] {
        let _ = fs::remove_file(&out);
        fs::write(&out, &whole.as_bytes()[..cut]).expect("a file");
        // Whoever has the old file open, or linked, keeps it: it is replaced, not written over.
        let link = place.path().join(format!("before-{cut}"));
        fs::hard_link(&out, &link).expect("a link");
        let outcome = resume(place.path(), &["a.jpg", "e.jpg", name, "b.jpg"], "m").run().exits(0);
        assert_eq!(outcome.text(), "exit status 0");
        assert_eq!(answered(place.path(), "out.jsonl"), ["a.jpg", "e.jpg", name, "b.jpg"], "cut at {cut}");
        let text = read(place.path(), "out.jsonl");
        assert_eq!(text.lines().next(), whole.lines().next(), "the first answer was given again");
        assert_eq!(text.lines().count(), 4, "a failure stays, or an image came twice");
        assert_eq!(fs::read(&link).expect("a file"), &whole.as_bytes()[..cut]);
    }
    // All is done: no runtime is needed, and nothing changes.
    let before = read(place.path(), "out.jsonl");
    let again = resume(place.path(), &["a.jpg", "b.jpg"], "m").env("ORT_DYLIB_PATH", "/absent").run();
    again.exits(0);
    assert_eq!(read(place.path(), "out.jsonl"), before);
}

#[test]
fn resuming_refuses_what_another_model_or_program_wrote() {
    let place = workplace();
    let out = place.path().join("out.jsonl");
    resume(place.path(), &["a.jpg", "e.jpg"], "m").run().exits(2);
    let mine = read(place.path(), "out.jsonl");
    for (name, onnx, card) in [
        ("other", "tiny-dynamic", CARD.to_owned()),
        ("changed", "tiny-nchw-softmax", card("name: tiny", "name: tinier")),
    ] {
        fs::rename(model(onnx, &card).keep(), place.path().join(name)).expect("a rename");
    }
    let foreign = mine.replace("dermai.predict/1", "dermai.predict/9");
    let mixed = [mine.as_str(), &mine.replacen("\"sha256\":\"", "\"sha256\":\"0", 1)].concat();
    for (text, model, expected) in [
        (&mine, "other", "its lines were answered by model `"),
        (&mine, "changed", "its lines were answered with card `"),
        (&foreign, "m", "`out.jsonl`, line 1: schema `dermai.predict/9`, expected `dermai.predict/1`"),
        (&mixed, "m", "line 3: answered by another model than the lines before"),
        (
            &"some notes\n".to_owned(),
            "m",
            "`out.jsonl`, line 1: not a record of `dermai predict --jsonl`; nothing was changed",
        ),
        (&"{}\n".to_owned(), "m", "`out.jsonl`, line 1: not a record"),
    ] {
        fs::write(&out, text).expect("a file");
        // The images are done, so no answer would betray the other model.
        let error = resume(place.path(), &["a.jpg"], model).run().exits(2).one_error().to_owned();
        assert!(error.contains("`out.jsonl`") && error.contains(expected), "{expected}: {error}");
        assert_eq!(&read(place.path(), "out.jsonl"), text, "the file was changed");
    }
    for arguments in [&["a.jpg", "--resume"][..], &["a.jpg", "--csv", "--resume"], &["a.jpg", "--jsonl", "--resume"]] {
        let outcome = predict_in(place.path(), arguments).run().exits(2);
        assert!(outcome.stderr.contains("--jsonl"), "{}", outcome.text());
    }
}
