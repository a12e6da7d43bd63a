//! Who reads a bundle while another takes its place: the old one or the new one answers, and never half of each.
#![cfg(target_os = "linux")]
use super::{default_model, made, probabilities, say};
use crate::support::models::copy;
use crate::support::program::{fixture, gradcam_in, predict_in};
use crate::support::shared::on_all_cores;
use crate::support::traced::Traced;
use dermai::explain::{Explainer, Wanted};
use dermai::input::{Limits, Source, sha256_of};
use dermai::model::{Prepared, SessionOptions};
use dermai::predict::Read;
use dermai::quantize::{Config, Mode, make};
use dermai::units::Bytes;
use serde_json::Value;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Cursor, Write};
use std::path::Path;
use std::process::Stdio;

/// Puts a bundle of the default model in the place of what stands there.
fn replace(target: &Path, mode: Mode) {
    let config = Config::plain(mode, target.to_owned());
    make(&Prepared::find(Some(&default_model())).unwrap(), &config, &mut ()).unwrap();
}

/// A bundle beside `small`, of the same shape: other weights of the same length, and its card.
fn other_weights(small: &Path, other: &Path) {
    copy_folder(small, other);
    let path = other.join("weights.bin");
    let mut bytes = fs::read(&path).unwrap();
    let before = sha256_of(&mut Cursor::new(&bytes)).unwrap();
    // A bit of each value's fraction.
    bytes.iter_mut().skip(2).step_by(4).for_each(|byte| *byte ^= 0x10);
    let after = sha256_of(&mut Cursor::new(&bytes)).unwrap();
    fs::write(path, bytes).unwrap();
    let card = other.join("model.yaml");
    let text = fs::read_to_string(&card).unwrap();
    assert!(text.contains(&before));
    fs::write(card, text.replace(&before, &after)).unwrap();
}

#[test]
fn who_has_mapped_the_old_bundle_answers_on_by_it() {
    let place = made("prepare");
    let small = place.path().join("small");
    let (first, _) = probabilities(&small);
    let pictures = tempfile::tempdir().unwrap();
    copy("images/lesion.jpg", &pictures.path().join("a.jpg"));
    let mut command =
        predict_in(pictures.path(), ["a.jpg", "-", "--jsonl", "--top", "0", "--model"]).args([&small]).command;
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let before: Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
    let model = Prepared::find(Some(&small)).unwrap();
    let read =
        Read::from(&Source::Path(fixture("images/lesion.jpg")), &model.card.input, &Limits::within(Bytes::mb(512)));
    let tensor = read.unwrap().picture.tensor;
    let options = SessionOptions { threads: 1, spinning: false };
    let mut explainer = Explainer::start(model.clone(), &Wanted::default(), &options).unwrap();
    let map = explainer.explain(&tensor, None).unwrap().map;
    let mut held = model.start(&options).unwrap();
    let held_before = held.probabilities(&tensor).unwrap();

    replace(&small, Mode::Int8Weights);
    let mut input = child.stdin.take().unwrap();
    input.write_all(&fs::read(fixture("images/lesion.jpg")).unwrap()).unwrap();
    drop(input);
    let after: Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
    assert!(child.wait().unwrap().success());
    assert_eq!((&before["predictions"], &before["model"]), (&after["predictions"], &after["model"]));
    assert_eq!(held.probabilities(&tensor).unwrap(), held_before);
    assert_eq!(explainer.explain(&tensor, None).unwrap().map, map);
    // What was hashed is what was mapped, not what stands there by now.
    assert_eq!(held.identity().unwrap().form, before["model"]["form"]);

    let (next, document) = probabilities(&small);
    assert!(document["model"]["form"].as_str().unwrap().starts_with("int8-weights"), "{}", document["model"]);
    assert_ne!(first, next);
}

/// The process has found its model, and waits for a picture before it loads it.
#[test]
fn a_bundle_that_was_replaced_before_it_is_loaded_is_read_once_more() {
    let photo = {
        // More than a pipe takes at once: what was written has been waited for.
        let mut bytes = fs::read(fixture("images/lesion.jpg")).unwrap();
        bytes.resize(1 << 20, 0);
        bytes
    };
    let run = |explain: bool, replace: &dyn Fn(&Path)| {
        let place = made("prepare");
        let small = place.path().join("small");
        let usual = ["-", "--json", "--model", small.to_str().unwrap()];
        let mut command =
            if explain { gradcam_in(place.path(), usual) } else { predict_in(place.path(), usual) }.command;
        let streams = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = streams.spawn().unwrap();
        let mut input = child.stdin.take().unwrap();
        input.write_all(&photo[..photo.len() / 2]).unwrap();
        replace(&small);
        input.write_all(&photo[photo.len() / 2..]).unwrap();
        drop(input);
        let output = child.wait_with_output().unwrap();
        (output.status.code(), String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap())
    };
    for explain in [false, true] {
        let (code, stdout, stderr) = run(explain, &|small| replace(small, Mode::Fp16));
        assert_eq!((code, stderr.as_str()), (Some(0), ""), "{stdout}");
        let document: Value = serde_json::from_str(&stdout).unwrap();
        assert!(document["model"]["form"].as_str().unwrap().starts_with("fp16 "), "{stdout}");
        // The picture was read, and classes are named, by a card that no longer holds.
        let (code, _, stderr) = run(explain, &|small| {
            let card = small.join("model.yaml");
            let text = fs::read_to_string(&card).unwrap();
            replace(small, Mode::Fp16);
            let other = fs::read_to_string(&card).unwrap().replace("id: mel", "id: melanoma");
            assert!(text != other);
            fs::write(card, other).unwrap();
        });
        let expected = "was replaced by another model while it was opened: run the command again";
        assert!(code == Some(2) && stderr.contains(expected), "{stderr}");
    }
}

/// Two bundles of one shape, and a program that reads the first.
struct Two<'p> {
    small: &'p Path,
    other: &'p Path,
    photo: &'p Path,
    explain: bool,
}

/// What a run said: classes, maps, and who answered; and how many times it opened or examined a file of the bundle.
type Answered = ((Value, Value, Value), usize);

impl Two<'_> {
    /// Stops the program before the `nth` time that it opens or examines a file of the bundle, and puts the other one in its place there.
    fn replaced_at(&self, nth: usize) -> Option<Answered> {
        let place = tempfile::tempdir().unwrap();
        let at = place.path();
        let inside = at.join("small");
        copy_folder(self.small, &inside);
        copy_folder(self.other, &at.join("other"));
        let usual = [self.photo.to_str().unwrap(), "--json", "--quiet", "--model", "small"];
        let mut command = if self.explain { gradcam_in(at, usual) } else { predict_in(at, usual) }.command;
        let (out, error) = (at.join("out.json"), at.join("error.txt"));
        command.stdout(File::create(&out).unwrap()).stderr(File::create(&error).unwrap());
        let mut traced = Traced::start(command)?;
        let mut seen = 0;
        while let Some(call) = traced.next() {
            if !traced.path(call).is_some_and(|path| path.starts_with("small") || Path::new(&path).starts_with(&inside))
            {
                continue;
            }
            if seen == nth {
                // The program stands still: two steps are as good as one.
                fs::rename(&inside, at.join("old")).unwrap();
                fs::rename(at.join("other"), &inside).unwrap();
                fs::remove_dir_all(at.join("old")).unwrap();
            }
            seen += 1;
        }
        let status = traced.finish();
        assert!(status.success(), "{} {nth}: {}", self.explain, fs::read_to_string(error).unwrap());
        let mut document: Value = serde_json::from_str(&fs::read_to_string(&out).unwrap()).unwrap();
        let classes = document["results"][0]["predictions"].take();
        let maps = document["explanations"].take();
        Some(((classes, maps, document["model"].take()), seen))
    }
}

fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, to.join(path.file_name().unwrap())).unwrap();
    }
}

#[test]
fn a_bundle_that_is_replaced_at_any_moment_is_answered_by_one_of_the_two() {
    let place = made("prepare");
    let (small, other) = (place.path().join("small"), place.path().join("other"));
    other_weights(&small, &other);
    let photo = fixture("images/lesion.jpg");
    for explain in [false, true] {
        let two = Two { small: &small, other: &other, photo: &photo, explain };
        let Some((old, times)) = two.replaced_at(usize::MAX) else { return };
        let (new, _) = Two { small: &other, other: &small, ..two }.replaced_at(usize::MAX).unwrap();
        assert!(old.0 != new.0 && times > 8, "{times} {old:?}");
        let points: Vec<usize> = (0..times).collect();
        let by_new = on_all_cores(&points, |&nth| {
            let (answered, _) = two.replaced_at(nth).unwrap();
            assert!(answered == old || answered == new, "{explain} {nth}: {answered:?} is neither {old:?} nor {new:?}");
            answered == new
        });
        assert!(by_new.iter().filter(|new| **new).count() > 8, "{by_new:?}");
    }
}

#[test]
fn a_replaced_model_does_not_lend_its_weights_to_another() {
    // The .onnx itself, with a backward pass behind it: weights stay ranges of the file.
    let place = tempfile::tempdir().unwrap();
    let model = place.path().join("model.onnx");
    fs::copy(default_model().join("model.onnx"), &model).unwrap();
    let expected = say(&model, &fixture("images/lesion.jpg"));
    let prepared = Prepared::find(Some(&model)).unwrap();
    let other = place.path().join("other.onnx");
    let mut bytes = fs::read(&model).unwrap();
    let half = bytes.len() / 2;
    bytes[half..half + 4000].iter_mut().skip(2).step_by(4).for_each(|byte| *byte ^= 0x10);
    fs::write(&other, bytes).unwrap();
    fs::rename(&other, &model).unwrap();
    let options = SessionOptions { threads: 1, spinning: false };
    let error = Explainer::start(prepared.clone(), &Wanted::default(), &options).unwrap_err();
    assert!(format!("{error:#}").contains("was replaced while it was opened"), "{error:#}");
    // What was not edited yet is read once more.
    let mut started = prepared.start(&options).unwrap();
    let again = Prepared::find(Some(&model)).unwrap();
    assert_eq!(started.identity().unwrap().sha256, again.hashes().unwrap().0);
    assert!(!expected.probabilities.is_empty());
}
