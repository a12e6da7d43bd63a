//! A bundle takes another one's place: killed at any point, on a full disk, beside other runs, with or without an exchange in one step.
#![cfg(target_os = "linux")]
use super::{made, quantize};
use crate::support::models::{CARD, copy, model};
use crate::support::program::{Outcome, Program, predict, quantize_in};
use crate::support::shared::on_all_cores;
use crate::support::traced::Traced;
use crate::support::watched::forbid_exchange;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use tempfile::TempDir;

/// The files of a folder.
type Files = BTreeMap<String, Vec<u8>>;

fn files(folder: &Path) -> Files {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let name = |path: &Path| path.file_name().unwrap().to_str().unwrap().to_owned();
    entries.map(|path| (name(&path), fs::read(&path).unwrap())).collect()
}

fn copy_of(files: &Files, to: &Path) {
    fs::create_dir(to).unwrap();
    for (name, bytes) in files {
        fs::write(to.join(name), bytes).unwrap();
    }
}

/// Names in a folder.
fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// A tiny model, its bundle, and that of another.
struct Tiny {
    source: TempDir,
    old: Files,
    new: Files,
}

impl Tiny {
    fn new() -> Self {
        let source = model("tiny-external", CARD);
        copy("onnx/tiny-external.bin", &source.path().join("tiny-external.bin"));
        let made = |model: &Path, mode: &str| {
            let place = tempfile::tempdir().unwrap();
            quantize_in(place.path(), [model]).args(["-o", "small", "--quiet", "--mode", mode]).run().exits(0);
            files(&place.path().join("small"))
        };
        let other = model("tiny-nchw-softmax", CARD);
        let (old, new) = (made(other.path(), "prepare"), made(source.path(), "int8-weights"));
        let differ = old.iter().filter(|(name, bytes)| new.get(*name) != Some(*bytes)).count();
        assert!(differ >= 5, "graphs and card");
        Self { source, old, new }
    }

    /// A place where the old bundle stands.
    fn place(&self) -> TempDir {
        let place = tempfile::tempdir().unwrap();
        copy_of(&self.old, &place.path().join("small"));
        place
    }

    /// The run that puts the new one there.
    fn run(&self, place: &Path) -> Program {
        quantize_in(place, [self.source.path()]).args(["-o", "small", "--quiet", "--mode", "int8-weights"])
    }
}

/// Starts the run that is ended before its `nth` change of a file; how many changes it made, and whether it ended by itself.
fn killed(tiny: &Tiny, place: &Path, one_step: bool, nth: usize) -> Option<(usize, bool)> {
    let mut command = tiny.run(place).command;
    if !one_step && !forbid_exchange(&mut command) {
        return None;
    }
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let mut traced = Traced::start(command)?;
    let mut changes = 0;
    while let Some(call) = traced.next() {
        if !call.changes_files() {
            continue;
        }
        if changes == nth {
            traced.kill();
            return Some((changes, false));
        }
        changes += 1;
    }
    assert!(traced.finish().success());
    Some((changes, true))
}

/// Ends runs before each change of a file. Gives how many points there were at which nothing stood at the place.
fn kill_everywhere(one_step: bool) -> Option<usize> {
    let tiny = Tiny::new();
    let (total, _) = killed(&tiny, tiny.place().path(), one_step, usize::MAX)?;
    assert!(total > 20, "{total} changes");
    let gaps = AtomicUsize::new(0);
    let points: Vec<usize> = (0..total).collect();
    on_all_cores(&points, |&nth| {
        let place = tiny.place();
        let target = place.path().join("small");
        killed(&tiny, place.path(), one_step, nth).unwrap();
        if target.exists() {
            let found = files(&target);
            assert!(found == tiny.old || found == tiny.new, "a mixture after {nth} changes");
        } else {
            gaps.fetch_add(1, Ordering::Relaxed);
            assert!(!one_step, "nothing is there after {nth} changes");
            // Whoever reads is told, and a run that fails puts it back.
            let aside = place.path().join(".small.dermai-old");
            assert_eq!(files(&aside), tiny.old);
            let read = predict(["images/lesion.jpg", "--model"]).args([&target]).run().exits(2);
            assert!(read.one_error().contains(&format!("it lies at `{}`", aside.display())), "{}", read.text());
            let broken = model("tiny-external", CARD); // its weights are not there
            quantize_in(place.path(), [broken.path()]).args(["-o", "small", "--mode", "fp16"]).run().exits(2);
            assert_eq!(files(&target), tiny.old);
        }
        tiny.run(place.path()).run().exits(0);
        assert_eq!(names(place.path()), ["small"], "after {nth} changes");
        assert!(files(&target) == tiny.new, "after {nth} changes");
    });
    Some(gaps.into_inner())
}

#[test]
fn a_run_that_is_killed_leaves_the_old_bundle_or_the_new_one() {
    assert!(kill_everywhere(true).is_none_or(|gaps| gaps == 0));
}

#[test]
fn without_an_exchange_the_next_run_puts_the_old_one_back() {
    assert!(kill_everywhere(false).is_none_or(|gaps| gaps > 0), "no run was killed between the two renames");
}

/// What a living process fills is not swept, what a dead one has left is, and what somebody else has put there stays.
#[test]
fn only_what_nobody_fills_is_swept() {
    let tiny = Tiny::new();
    let place = tiny.place();
    let folder = |name: &str| {
        fs::create_dir(place.path().join(name)).unwrap();
        fs::write(place.path().join(name).join("weights.bin"), "half").unwrap();
        File::open(place.path().join(name)).unwrap()
    };
    let filled = folder(".small.dermai-filled");
    filled.lock().unwrap();
    for name in [".small.dermai-left00", ".small.backup", ".other.dermai-left00"] {
        folder(name);
    }
    tiny.run(place.path()).run().exits(0);
    let kept = [".other.dermai-left00", ".small.backup", ".small.dermai-filled", "small"];
    assert_eq!(names(place.path()), kept);
    drop(filled);
    tiny.run(place.path()).run().exits(0);
    assert_eq!(names(place.path()), [".other.dermai-left00", ".small.backup", "small"]);
}

/// Two runs to one place: both end well, and one of the two bundles stands there.
#[test]
fn two_runs_at_once_do_not_disturb_each_other() {
    let tiny = Tiny::new();
    for one_step in [true, false] {
        let place = tempfile::tempdir().unwrap();
        let children: Vec<_> = ["prepare", "int8-weights"]
            .repeat(2)
            .into_iter()
            .map(|mode| {
                let program = quantize_in(place.path(), [tiny.source.path()]);
                let mut command = program.args(["-o", "small", "--quiet", "--mode", mode]).command;
                assert!(one_step || forbid_exchange(&mut command));
                command.stdout(Stdio::null()).spawn().unwrap()
            })
            .collect();
        for mut child in children {
            assert!(child.wait().unwrap().success());
        }
        let found = files(&place.path().join("small"));
        let is_prepared = String::from_utf8_lossy(&found["model.yaml"]).contains("mode: prepare");
        assert!(is_prepared || found == tiny.new);
        assert_eq!(names(place.path()), ["small"]);
    }
}

#[test]
fn the_source_is_not_taken_for_a_bundle() {
    let source = model("tiny-nchw-softmax", CARD);
    let onto = quantize_in(source.path(), [".", "-o", ".", "--mode", "fp16"]).run().exits(2);
    assert!(onto.one_error().contains("is no bundle: it is not replaced"), "{}", onto.text());
    assert_eq!(names(source.path()), ["model.onnx", "model.yaml"]);
}

/// A link stays, whether what it leads to is there or not.
#[test]
fn a_link_leads_to_the_new_bundle() {
    let tiny = Tiny::new();
    let place = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink("real", place.path().join("small")).unwrap();
    for _ in 0..2 {
        tiny.run(place.path()).run().exits(0);
        assert_eq!(names(place.path()), ["real", "small"]);
        assert!(fs::symlink_metadata(place.path().join("small")).unwrap().is_symlink());
        assert!(files(&place.path().join("real")) == tiny.new);
    }
}

/// Whether the system lets a test mount a disk of its own; a line that says so where not.
fn can_mount() -> bool {
    let place = tempfile::tempdir().unwrap();
    let mut command = Command::new("unshare");
    command.args(["-rm", "sh", "-c", "mount -t tmpfs none ."]).current_dir(place.path()).stderr(Stdio::null());
    let can = command.status().is_ok_and(|status| status.success());
    #[allow(clippy::print_stderr)]
    if !can {
        eprintln!("skipped: no disk can be mounted here (`unshare`, user namespaces)");
    }
    can
}

/// The default model's bundle is put on a disk of `kilobytes` that has `bundle` as `small`, and that the program alone sees. What it prints is
/// what lies on the disk afterwards.
fn on_a_disk(kilobytes: usize, flags: &str, bundle: &Path) -> Outcome {
    let place = tempfile::tempdir().unwrap();
    let script = format!(
        r#"mount -t tmpfs -o size={kilobytes}k none . && cd "$PWD" && cp -r "$0" small && mount -o remount,{flags} . || exit 77
        "$@"; code=$?; ls -A; diff -r "$0" small && exit $code"#
    );
    let mut program = quantize(Path::new("."), "prepare");
    let mut command = Command::new("unshare");
    command.args(["-rm", "sh", "-c", &script]).arg(bundle);
    command.arg(program.command.get_program()).args(program.command.get_args()).current_dir(place.path());
    program.command = command;
    program.run()
}

#[test]
fn a_full_or_read_only_disk_is_told_and_nothing_is_left_on_it() {
    if !can_mount() {
        return;
    }
    let bundle = made("int8-weights");
    let small = bundle.path().join("small");
    let kilobytes = files(&small).values().map(|bytes| bytes.len().div_ceil(4096) * 4).sum::<usize>();
    let check = |room: usize, flags: &str, expected: &str| {
        let outcome = on_a_disk(kilobytes + room, flags, &small).exits(2);
        assert_eq!(outcome.stdout, "small\n", "{}", outcome.text());
        let said = outcome.one_error();
        assert!(said.contains(expected) && said.contains("` cannot be"), "{room}: {said}");
    };
    // Full while the runtime writes a graph, and while weights are written.
    for room in [100, 300, 1500, 2500, 3500, 5000, 6500] {
        check(room, "rw", "No space left on device");
    }
    check(5000, "ro", "nothing can be written to `");
}

#[test]
fn what_cannot_be_written_or_read_is_named() {
    let tiny = Tiny::new();
    let place = tiny.place();
    let file = place.path().join("file");
    fs::write(&file, "text").unwrap();
    for (output, expected) in
        [("file", "is no bundle"), ("file/small", "`"), ("/proc/small", "nothing can be written to `/proc`")]
    {
        let outcome =
            quantize_in(place.path(), [tiny.source.path()]).args(["-o", output, "--mode", "fp16"]).run().exits(2);
        assert!(outcome.one_error().contains(expected), "{}", outcome.text());
    }
    assert_eq!(fs::read_to_string(&file).unwrap(), "text");
    // The weights that belong beside the .onnx are not there.
    let alone = model("tiny-external", CARD);
    let outcome = quantize_in(place.path(), [alone.path()]).args(["-o", "small", "--mode", "fp16"]).run().exits(2);
    assert!(outcome.one_error().contains("tiny-external.bin"), "{}", outcome.text());
    assert_eq!(names(place.path()), ["file", "small"]);
    assert!(files(&place.path().join("small")) == tiny.old);
}
