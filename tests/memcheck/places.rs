//! Where the report goes, and what a blueprint without a budget tells; all with a command that ends at once.
use crate::support::program::{Program, memcheck_in};
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use tempfile::TempDir;

/// Runs `true` or another word in a folder of its own.
fn at(folder: &Path, arguments: &[&str], word: &str) -> Program {
    memcheck_in(folder, arguments.iter().chain(&["--", word]))
}

fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

/// The exit status when nobody reads standard output.
fn unread(program: Program) -> Option<i32> {
    let mut command: Command = program.command;
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    drop(child.stdout.take());
    child.wait().unwrap().code()
}

#[test]
fn a_closed_pipe_changes_no_answer_and_loses_no_file() {
    let folder = folder();
    let usual = ["--budget", "64MB", "--json", "--junit", "j.xml", "--markdown", "m.md", "--plot", "p.SVG"];
    for (word, status) in [("false", 1), ("true", 0)] {
        assert_eq!(unread(at(folder.path(), &usual, word)), Some(status), "{word}");
        for file in ["j.xml", "m.md", "p.SVG"] {
            fs::remove_file(folder.path().join(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
        }
        assert_eq!(unread(at(folder.path(), &["--budget", "64MB"], word)), Some(status), "{word}: the table");
    }
}

#[test]
fn markdown_is_added_to_what_stands_there() {
    let folder = folder();
    let file = folder.path().join("summary.md");
    fs::write(&file, "of another step\n").unwrap();
    for _ in 0..2 {
        at(folder.path(), &["--budget", "64MB", "--markdown", "summary.md"], "true").run().exits(0);
    }
    let text = fs::read_to_string(&file).unwrap();
    assert!(text.starts_with("of another step\n## Memory: FITS\n"), "{text}");
    assert_eq!(text.matches("## Memory: FITS").count(), 2, "{text}");
}

#[test]
fn a_report_takes_no_other_file_s_place() {
    let folder = folder();
    let photo = folder.path().join("photo.jpg");
    fs::write(&photo, "a photo").unwrap();
    for (arguments, words) in [
        (&["--json", "photo.jpg"][..], "`--json photo.jpg`: the file has to end in `.json`"),
        (&["--junit", "photo.jpg"], "`--junit photo.jpg`: the file has to end in `.xml`"),
        (&["--plot", "photo.jpg"], "`--plot photo.jpg`: the file has to end in `.svg` or `.png`"),
        (&["--json", "a.json", "--markdown", "./a.json"], "`--json` and `--markdown` both name `./a.json`"),
    ] {
        let error = at(folder.path(), arguments, "true").run().exits(2);
        assert!(error.one_error().contains(words), "{arguments:?}: {}", error.text());
    }
    assert_eq!(fs::read(&photo).unwrap(), b"a photo");
    let error = memcheck_in(folder.path(), ["--image", "a.png", "--plot", "a.png"]).run().exits(2);
    assert!(error.one_error().contains("`--image` and `--plot` both name `a.png`"), "{}", error.text());
}

#[test]
fn a_command_needs_no_pictures_unless_it_is_sent_some() {
    let folder = folder();
    let nowhere =
        |arguments: &[&str], word: &str| at(folder.path(), arguments, word).env("TMPDIR", "/nonexistent").run();
    nowhere(&["--budget", "64MB"], "true").exits(0);
    let error = nowhere(&["--budget", "64MB", "--http", "http://127.0.0.1:1/"], "true").exits(2);
    let line = error.one_error();
    assert_eq!(line.matches("/nonexistent").count(), 1, "{line}");
    assert!(line.contains("`--image`") && line.contains("`TMPDIR`"), "{line}");
}

#[test]
fn a_blueprint_that_gives_no_budget_tells_what_the_lint_found() {
    let folder = folder();
    let text = "services:\n  - {type: web, name: a, runtime: rust, plan: huge, buildCommand: b, startCommand: s, helthCheckPath: /health}\n";
    fs::write(folder.path().join("render.yaml"), text).unwrap();
    let error = at(folder.path(), &[], "true").env("LC_ALL", "C").run().exits(2);
    let last = error.stderr.lines().last().unwrap();
    assert!(last.starts_with("error: `render.yaml`: `services[0].plan` is none of Render's plans"), "{}", error.text());
    for said in
        ["unknown-key at `services[0].helthCheckPath`", "unknown-plan at `services[0].plan`", "healthCheckPath`?"]
    {
        assert!(error.stderr.contains(said), "no {said:?} in {}", error.text());
    }
    let error = at(folder.path(), &["--annotations"], "true").run().exits(2);
    assert!(error.stderr.starts_with("::error file=render.yaml,title=memcheck unknown-"), "{}", error.text());
}

#[test]
fn a_worker_s_plan_is_a_budget_too() {
    let folder = folder();
    let text = "services:\n  - {type: worker, name: \"jobs\\u202E\", runtime: rust, plan: standard, buildCommand: b, startCommand: s}\n";
    fs::write(folder.path().join("render.yaml"), text).unwrap();
    let outcome = at(folder.path(), &["--markdown", "m.md"], "true").run().exits(0);
    assert!(
        outcome.stdout.contains(r"2048 MB, 1 CPU (render.yaml: service jobs\u{202e}, plan standard)"),
        "{}",
        outcome.text()
    );
    // It is asked for no health check, and it is not offered a plan that is for web services only.
    let markdown = fs::read_to_string(folder.path().join("m.md")).unwrap();
    assert!(
        markdown.contains("the blueprint has no errors") && !markdown.contains("a health check is set"),
        "{markdown}"
    );
    assert!(!outcome.stdout.contains("plan free"), "{}", outcome.text());
}

#[test]
fn a_program_that_fails_gets_no_plan_recommended() {
    let folder = folder();
    let outcome = at(folder.path(), &["--budget", "512MB"], "false").run().exits(1);
    assert!(outcome.stdout.contains("memory is not why"), "{}", outcome.text());
    assert_eq!(outcome.stdout.matches("exit").count(), 1, "how it ended is told once: {}", outcome.text());
    assert!(!outcome.stdout.contains("would do") && !outcome.stdout.contains("yes"), "{}", outcome.text());
}
