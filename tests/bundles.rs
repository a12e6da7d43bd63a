//! Models over external weights: an .onnx with its data beside it, and bundles, whose card lists graphs over one file of weights.
use crate::support::models::{CARD, card, copy, folder, model};
use crate::support::program::{Program, predict, predict_in};
use dermai::input::sha256_of;
use dermai::model::cpu_class;
use serde_json::Value;
use std::fs::{self, File};
use std::path::Path;
use tempfile::TempDir;

/// A bundle over `tiny-external.onnx`, whose graph names its weights `tiny-external.bin`. `forms` are lines of the card.
fn bundle(bytes: u64, sha256: &str, forms: &[&str]) -> TempDir {
    let text = format!(
        "{CARD}bundle:\n  mode: int8\n  source_sha256: '00'\n  weights: {{file: tiny-external.bin, bytes: {bytes}, sha256: {sha256}}}\n  forms:\n{}",
        forms.iter().map(|form| format!("    - {{{form}}}")).collect::<Vec<_>>().join("\n")
    );
    let place =
        folder(&[("predict.any.onnx", "onnx/tiny-external.onnx"), ("tiny-external.bin", "onnx/tiny-external.bin")]);
    copy("onnx/tiny-external.onnx", &place.path().join("predict.here.onnx"));
    fs::write(place.path().join("model.yaml"), text).expect("a card");
    place
}

const PORTABLE: &str = "file: predict.any.onnx, task: predict, cpu: any, level: 2, runtime: 1.28.0";
const EXPLAIN: &str = "file: explain.onnx, task: explain, layer: relu, cpu: any, level: 2, runtime: 1.28.0";

fn weights() -> (u64, String) {
    let path = crate::support::program::fixture("onnx/tiny-external.bin");
    let mut file = File::open(path).expect("weights");
    (file.metadata().expect("a length").len(), sha256_of(&mut file).expect("a hash"))
}

fn classify(model: &Path) -> Program {
    predict(["images/lesion.jpg", "--json", "--top", "0", "--model"]).args([model])
}

fn probabilities(document: &Value) -> Vec<(u64, f64)> {
    let classes = document["results"][0]["predictions"].as_array().expect("a list");
    classes
        .iter()
        .map(|c| (c["index"].as_u64().expect("an index"), c["probability"].as_f64().expect("a number")))
        .collect()
}

#[test]
fn a_bundle_runs_the_form_for_this_cpu() {
    let (bytes, sha256) = weights();
    let raw = model("tiny-external", CARD);
    copy("onnx/tiny-external.bin", &raw.path().join("tiny-external.bin"));
    let expected = probabilities(&classify(raw.path()).run().exits(0).json());
    assert_eq!(expected.len(), 3);

    let here = format!("file: predict.here.onnx, task: predict, cpu: {}, level: 3, runtime: 1.28.0", cpu_class());
    let place = bundle(bytes, &sha256, &[EXPLAIN, PORTABLE, &here]);
    let outcome = classify(place.path()).run().exits(0);
    let document = outcome.json();
    assert_eq!((document["model"]["form"].as_str(), outcome.stderr.as_str()), (Some("int8 predict.here"), ""));
    // Not optimised again: sums may come in another order.
    for (ours, theirs) in probabilities(&document).iter().zip(&expected) {
        assert!(ours.0 == theirs.0 && (ours.1 - theirs.1).abs() < 1e-6, "{ours:?} {theirs:?}");
    }

    let place = bundle(bytes, &sha256, &[EXPLAIN, PORTABLE]);
    let outcome = classify(place.path()).run().exits(0);
    assert_eq!(outcome.json()["model"]["form"], "int8 predict.any");
    let warning = format!(
        "warning: the bundle has no form for this CPU (`{}`): its portable form is used, which is slower\n",
        cpu_class()
    );
    assert_eq!(outcome.stderr, warning);
}

#[test]
fn a_bundle_that_is_not_whole_is_refused() {
    let (bytes, sha256) = weights();
    let said = |place: &TempDir| classify(place.path()).args(["--quiet"]).run().exits(2).one_error().to_owned();
    let place = bundle(bytes + 1, &sha256, &[PORTABLE]);
    let length = said(&place);
    let expected = format!(
        "`bundle.weights.bytes`: the card says {}, `{}` has {bytes}",
        bytes + 1,
        place.path().join("tiny-external.bin").display()
    );
    assert!(length.contains(&expected), "{length}");

    let place = bundle(bytes, &"cd".repeat(32), &[PORTABLE]);
    let hash = said(&place);
    assert!(
        hash.contains(&format!("`bundle.weights.sha256`: the card says `{}`", "cd".repeat(32)))
            && hash.contains(&sha256),
        "{hash}"
    );

    let place = bundle(bytes, &sha256, &[EXPLAIN]);
    assert!(said(&place).contains("`bundle.forms`: none for the task `predict` on `"), "{}", said(&place));

    let place = bundle(bytes, &sha256, &[PORTABLE]);
    fs::remove_file(place.path().join("tiny-external.bin")).expect("weights");
    assert!(said(&place).contains("tiny-external.bin`: the bundle's weights cannot be opened"), "{}", said(&place));

    let place = bundle(bytes, &sha256, &[&PORTABLE.replace("level", "levle")]);
    assert!(
        said(&place).contains("`bundle.forms[0].levle` is not a key of a card; did you mean `level`?"),
        "{}",
        said(&place)
    );
}

#[test]
fn weights_that_lie_beside_a_model_have_to_be_there() {
    let alone = model("tiny-external", CARD);
    let outcome = classify(alone.path()).run().exits(2);
    let said = outcome.one_error();
    assert!(said.contains("cannot run `") && said.contains("tiny-external.bin"), "{said}");
    // Cut short, they are no other model's either.
    let short = fs::read(crate::support::program::fixture("onnx/tiny-external.bin")).expect("weights");
    fs::write(alone.path().join("tiny-external.bin"), &short[..short.len() / 2]).expect("weights");
    let outcome = classify(alone.path()).run().exits(2);
    assert!(outcome.one_error().contains("cannot run `"), "{}", outcome.text());
}

/// A model may be reached through a link and from another folder; its weights lie where it really is.
#[test]
#[cfg(unix)]
fn a_linked_model_finds_its_weights() {
    let place = folder(&[
        ("real/net.onnx", "onnx/tiny-external.onnx"),
        ("real/tiny-external.bin", "onnx/tiny-external.bin"),
        ("photo.jpg", "images/lesion.jpg"),
    ]);
    fs::write(place.path().join("net.yaml"), card("model.onnx", "net.onnx")).expect("a card");
    std::os::unix::fs::symlink("real/net.onnx", place.path().join("net.onnx")).expect("a link");
    let outcome = predict_in(place.path(), ["photo.jpg", "--json", "--model", "net.onnx"]).run().exits(0);
    assert_eq!(outcome.json()["model"]["name"], "tiny");
}
