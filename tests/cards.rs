//! Model cards and what stands in for them: found or assumed, checked against the graph, refused with the field and both values.
use crate::support::models::{CARD, card, copy, folder, model};
use crate::support::program::{fixture, predict, predict_in, snapshot};
use std::fs;
use std::path::Path;

/// What `dermai predict` says of a model that it refuses.
#[track_caller]
fn error(model: impl AsRef<Path>) -> String {
    let program = predict(["images/lesion.jpg", "--quiet", "--model"]).args([model.as_ref()]);
    program.run().exits(2).one_error().to_owned()
}

#[test]
fn a_card_that_does_not_fit_names_the_field_and_both_values() {
    for (onnx, from, to, expected) in [
        (
            "tiny-nchw-softmax",
            "  - {id: c, en: Corn}\n",
            "",
            "`labels`: the card has 2, the model gives 3 values in `probabilities` (float32 [N, 3])",
        ),
        (
            "tiny-nchw-softmax",
            "[8, 8]",
            "[8, 9]",
            "`input.size`: the card says [8, 9], the model takes `image` (float32 [N, 3, 8, 8])",
        ),
        (
            "tiny-nchw-softmax",
            "NCHW",
            "NHWC",
            "`input.layout`: the card says NHWC ([N, H, W, 3]), the model takes `image` (float32 [N, 3, 8, 8])",
        ),
        (
            "tiny-nhwc-logits",
            "[8, 8]",
            "[6, 10]",
            "`input.layout`: the card says NCHW ([N, 3, H, W]), the model takes `image` (float32 [N, 6, 10, 3])",
        ),
        (
            "tiny-nchw-softmax",
            "kind: softmax",
            "kind: softmax, name: probs",
            "`output.name`: the card says `probs`, the model gives `probabilities` (float32 [N, 3])",
        ),
        (
            "tiny-two-outputs",
            "kind: softmax",
            "kind: softmax, name: embedding",
            "`labels`: the card has 3, the model gives 5 values in `embedding` (float32 [N, 5])",
        ),
        (
            "tiny-two-outputs",
            "name: tiny",
            "name: tinier",
            "the model gives 2 outputs (`embedding` (float32 [N, 5]), `probs` (float32 [N, 3])); say which holds the classes",
        ),
        (
            "tiny-two-inputs",
            "name: tiny",
            "name: tinier",
            "the model takes 2 inputs (`image` (float32 [N, 3, 8, 8]), `age` (float32 [N, 1])); only models with one are run",
        ),
        (
            "tiny-uint8",
            "name: tiny",
            "name: tinier",
            "the model takes `image` (uint8 [N, 3, 8, 8]); only float32 inputs are fed",
        ),
        (
            "tiny-batch4",
            "name: tiny",
            "name: tinier",
            "the model takes `image` (float32 [4, 3, 8, 8]): 4 pictures at once; export it with a batch of 1 or a free batch axis",
        ),
        (
            "tiny-detector",
            "[8, 8]",
            "[80, 80]",
            "the model gives `output0` (float32 [1, 84, 100]); a classifier gives [N, classes]: detectors and segmenters are not run",
        ),
    ] {
        let folder = model(onnx, &card(from, to));
        let said = error(folder.path());
        assert!(
            said.contains("model.yaml` does not fit its model: ") && said.contains(expected),
            "{onnx}, {to}: {said}"
        );
    }
}

#[test]
fn a_card_that_is_wrong_in_itself_names_the_place() {
    for (from, to, expected) in [
        ("name: tiny", "name: tiny\ntreshold: 0.5", "`treshold` is not a key of a card; did you mean `threshold`?"),
        ("layout: NCHW", "layuot: NCHW", "`input.layuot` is not a key of a card; did you mean `layout`?"),
        (
            "{id: a, en: Apple, vi: Táo}",
            "{id: a, english: Apple}",
            "`labels[0].english` is not a key of a card; did you mean `en`?",
        ),
        (
            "{mode: stretch, filter: bilinear}",
            "{mode: stretch, filtre: bilinear}",
            "`input.resize.filtre` is not a key of a card; did you mean `filter`?",
        ),
        (
            "kind: softmax",
            "kind: softmax, temprature: 1",
            "`output.temprature` is not a key of a card; did you mean `temperature`?",
        ),
        ("card: 1", "card: 2", "`card` is `2`; this version of dermai reads `1`"),
        ("color: RGB", "color: GRB", "`input.color`: unknown variant `GRB`, expected `RGB` or `BGR`"),
        ("size: [8, 8]", "size: 8", "`input.size`: "),
        ("std: [1, 1, 1]", "std: [1, 1]", "`input.std`: "),
        ("kind: softmax", "kind: [", "the card is not valid YAML"),
        ("model.onnx", "model.onnx, sha256: 0123", "`model.sha256`: the card says `0123`, `"),
        ("model.onnx", "absent.onnx", "absent.onnx`: the model cannot be opened: No such file or directory"),
    ] {
        let folder = model("tiny-nchw-softmax", &card(from, to));
        let said = error(folder.path());
        assert!(said.contains(expected) && said.contains(folder.path().to_str().expect("a name")), "{to}: {said}");
    }
}

/// The hash is computed beside the first inference: no answer may come out before it is known to be right.
#[test]
fn a_wrong_hash_is_told_before_any_answer() {
    let broken = model("tiny-nchw-softmax", &card("model.onnx", &format!("model.onnx, sha256: {}", "ab".repeat(32))));
    for format in [&[][..], &["--json"], &["--jsonl"], &["--csv"]] {
        let outcome =
            predict(["images/lesion.jpg", "images/png-rgb8.png", "--model"]).args([broken.path()]).args(format).run();
        hash_is_told(&outcome.exits(2));
    }
}

fn hash_is_told(outcome: &crate::support::program::Outcome) {
    assert_eq!(outcome.stdout, "", "{}", outcome.text());
    let said = outcome.one_error();
    assert!(said.contains(&format!("`model.sha256`: the card says `{}`, `", "ab".repeat(32))), "{said}");
    assert!(said.ends_with("`; the model was changed or the card belongs to another one"), "{said}");
}

#[test]
fn without_a_card_what_is_assumed_is_said() {
    snapshot!(predict(["images/lesion.jpg", "--csv", "--top", "1", "--model", "onnx/tiny-names.onnx"]).run(), @r#"
        exit status 0
        --- out ---
        image,rank,index,label,probability
        images/lesion.jpg,1,2,o'clock,0.644…

        --- error ---
        warning: no card: assumed NCHW RGB, 8x8 (centre crop, bilinear), values scaled to 0..1; output softmax
        warning: write a card to be sure: `onnx/tiny-names.yaml`, see models/README.md
    "#);
    snapshot!(predict(["images/lesion.jpg", "--csv", "--top", "1", "--model", "onnx/tiny-dynamic.onnx"]).run(), @r#"
        exit status 0
        --- out ---
        image,rank,index,label,probability
        images/lesion.jpg,1,1,1,0.410…

        --- error ---
        warning: the model takes pictures of any size: 224x224 is assumed
        warning: no labels in the model: classes are numbered 0 to 2
        warning: no card: assumed NCHW RGB, 224x224 (stretched, bilinear), values scaled to 0..1, less ImageNet's mean, over its deviation; output softmax
        warning: write a card to be sure: `onnx/tiny-dynamic.yaml`, see models/README.md
    "#);
    snapshot!(predict(["images/lesion.jpg", "--csv", "--top", "1", "--model", "onnx/tiny-inf.onnx"]).run(), @r#"
        exit status 2
        --- out ---
        image,rank,index,label,probability

        --- error ---
        warning: output `logits` is assumed to hold logits
        warning: no labels in the model: classes are numbered 0 to 2
        warning: no card: assumed NCHW RGB, 8x8 (stretched, bilinear), values scaled to 0..1, less ImageNet's mean, over its deviation; output logits
        warning: write a card to be sure: `onnx/tiny-inf.yaml`, see models/README.md
        error: `images/lesion.jpg`: output `logits` holds inf at position 1: the model cannot judge this image, or is broken
    "#);
    let ids = |onnx: &str| -> Vec<String> {
        let outcome = predict(["images/lesion.jpg", "--json", "--quiet", "--top", "0", "--model", onnx]).run().exits(0);
        let document = outcome.json();
        assert!(document["model"]["card_sha256"].is_null() && document["threshold"].is_null(), "{document}");
        let mut classes = document["results"][0]["predictions"].as_array().expect("a list").clone();
        classes.sort_by_key(|class| class["index"].as_u64());
        classes.iter().map(|class| class["label"].as_str().expect("a label").to_owned()).collect()
    };
    assert_eq!(ids("onnx/tiny-names.onnx"), ["akiec", "bcc", "o'clock"]);
    assert_eq!(ids("onnx/tiny-nhwc-logits.onnx"), ["0", "1", "2", "3"]);
}

#[test]
fn models_are_found_as_file_folder_or_name() {
    let at = folder(&[
        ("models/Tiny-v1.2/model.onnx", "onnx/tiny-nchw-softmax.onnx"),
        ("elsewhere/net.onnx", "onnx/tiny-nchw-softmax.onnx"),
        ("elsewhere/bare.onnx", "onnx/tiny-nchw-softmax.onnx"),
        ("photo.jpg", "images/lesion.jpg"),
    ]);
    fs::write(at.path().join("models/Tiny-v1.2/model.yaml"), CARD).expect("a card");
    fs::write(at.path().join("elsewhere/net.yaml"), card("model.onnx", "net.onnx")).expect("a card");
    let name = |arguments: &[&str]| {
        predict_in(at.path(), ["photo.jpg", "--json", "-q"]).args(arguments).run().exits(0).json()["model"]["name"]
            .clone()
    };
    assert_eq!(name(&["--model", "Tiny-v1.2"]), "tiny");
    assert_eq!(name(&["--model", "models/Tiny-v1.2"]), "tiny");
    assert_eq!(name(&["--model", "models/Tiny-v1.2/model.onnx"]), "tiny");
    assert_eq!(name(&["--model", "elsewhere/net.onnx"]), "tiny");
    assert_eq!(name(&["--model", "elsewhere/bare.onnx"]), "bare", "a model without a card has its file's name");
    // Neither a `models` folder with `default` nor the checkout is near: it is found from where the program is.
    let default =
        predict_in(&fixture(""), ["images/lesion.jpg", "--json"]).run().exits(0).json()["model"]["name"].clone();
    assert_eq!(name(&[]), default);
    assert_eq!(name(&["--model", "default"]), default);
    let by_variable =
        predict_in(at.path(), ["photo.jpg", "--json"]).env("DERMAI_MODEL", "Tiny-v1.2").run().exits(0).json();
    assert_eq!(by_variable["model"]["name"], "tiny");
}

#[test]
fn what_is_no_model_is_refused_with_advice() {
    let at = folder(&[
        ("nets/best.onnx", "onnx/tiny-names.onnx"),
        ("models/mine/model.onnx", "onnx/tiny-names.onnx"),
        ("empty.onnx", "bad/empty.jpg"),
    ]);
    let said = |name: &str| {
        let path = at.path().join("photo.jpg");
        if !path.exists() {
            copy("images/lesion.jpg", &path);
        }
        predict_in(at.path(), ["photo.jpg", "--quiet", "--model", name]).run().exits(2).one_error().to_owned()
    };
    for (name, expected) in [
        (
            "none",
            "no model `none`: neither a file nor a folder, and not below a `models` folder here or beside the program (",
        ),
        ("no/such.onnx", "`no/such.onnx` does not exist"),
        ("..", "holds neither a `model.yaml` nor a `model.onnx`"),
        ("nets", "`nets` holds neither a `model.yaml` nor a `model.onnx`; a model of another name is given as a file"),
        ("empty.onnx", "`empty.onnx` is empty"),
        ("photo.jpg", "`photo.jpg` is not an ONNX model, or is cut short"),
    ] {
        let said = said(name);
        assert!(said.contains(expected), "{name}: {said}");
    }
    assert!(said("none").contains("`mine`") && said("none").contains("`default`"), "{}", said("none"));
    let card_itself = error(fixture("../models/default/model.yaml"));
    assert!(
        card_itself.contains("model.yaml` is a card: name its model, or the folder that holds both, such as `--model "),
        "{card_itself}"
    );
    for (onnx, expected) in [
        ("not-onnx", "is not an ONNX model, or is cut short"),
        ("truncated", "is not an ONNX model, or is cut short"),
        ("unknown-op", "cannot run `"),
        ("unknown-op", "com.example:Magic"),
        ("tiny-batch4", "4 pictures at once"),
        ("tiny-detector", "detectors and segmenters are not run"),
        ("tiny-two-inputs", "only models with one are run"),
        ("tiny-uint8", "only float32 inputs are fed"),
    ] {
        let said = error(fixture(&format!("onnx/{onnx}.onnx")));
        assert!(said.contains(expected) && said.contains(&format!("{onnx}.onnx`")), "{onnx}: {said}");
    }
}
