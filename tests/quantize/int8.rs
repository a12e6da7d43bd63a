//! `dermai quantize --mode int8` as a process: what it says of its layers, and where its picture goes.
use super::{default_model, quantize};
use crate::support::models::folder;
use crate::support::program::{fixture, quantize_in};
use roxmltree::Document;
use std::fs;

/// The texts and the filled rectangles of a picture.
fn drawn(svg: &str) -> (Vec<String>, usize) {
    let document = Document::parse(svg).unwrap();
    let all = |name: &'static str| document.descendants().filter(move |node| node.has_tag_name(name));
    (all("text").map(|node| node.text().unwrap_or_default().trim().to_owned()).collect(), all("rect").count())
}

#[test]
fn layers_are_told_in_the_json_and_drawn() {
    let place = tempfile::tempdir().unwrap();
    let images = fixture("images");
    let arguments = ["--calibrate", images.to_str().unwrap(), "--sensitivity", "--json", "--plot", "layers.svg"];
    let report = quantize(place.path(), "int8").args(arguments).run().exits(0).json();
    let quantization = &report["quantization"];
    assert_eq!((&quantization["method"], &report["mode"]), (&"mse".into(), &"int8".into()));
    let calibration = &report["calibration"];
    assert!(calibration["pictures"].as_u64() > Some(20), "{calibration}");
    assert!((0.9..=1.0).contains(&quantization["agreement"].as_f64().unwrap()), "{quantization}");
    let card = fs::read_to_string(place.path().join("small/model.yaml")).unwrap();
    assert!(card.contains(calibration["sha256"].as_str().unwrap()), "{card}");

    let layers = quantization["layers"].as_array().unwrap();
    assert!(layers.len() > 20, "{}", layers.len());
    for layer in layers {
        let sides = layer["shape"].as_array().unwrap().iter().map(|side| side.as_u64().unwrap());
        assert_eq!(layer["parameters"].as_u64(), Some(sides.product()), "{layer}");
        // Each that computes in int8 was measured, and no other.
        let nats = layer["sensitivity"].as_f64();
        match layer["state"].as_str().unwrap() {
            "int8" => assert!(layer["reason"].is_null() && nats.is_some_and(f64::is_finite), "{layer}"),
            "float" => assert!(layer["reason"] == "narrow" && nats.is_none(), "{layer}"),
            other => panic!("{other}: {layer}"),
        }
    }
    assert!(layers.iter().any(|layer| layer["sensitivity"].as_f64() > Some(1e-9)), "nothing costs anything");

    let (texts, rectangles) = drawn(&fs::read_to_string(place.path().join("layers.svg")).unwrap());
    // One a layer, and those of the paper and the legend.
    assert_eq!(rectangles, layers.len() + 3, "{texts:?}");
    let worst = layers.iter().max_by(|a, b| {
        let nats = |layer: &serde_json::Value| layer["sensitivity"].as_f64().unwrap_or_default();
        nats(a).total_cmp(&nats(b))
    });
    for text in ["Sensitivity of the layers of `ham7-resnet160`", "int8", worst.unwrap()["name"].as_str().unwrap()] {
        assert!(texts.iter().any(|drawn| drawn == text), "no {text} in {texts:?}");
    }
    assert_eq!(fs::read_dir(place.path()).unwrap().count(), 2, "something is left over");
}

#[test]
fn a_picture_takes_no_other_file_s_place() {
    let photos = folder(&[("a.png", "images/png-rgb8.png"), ("b.jpg", "images/lesion.jpg")]);
    let place = tempfile::tempdir().unwrap();
    fs::create_dir(place.path().join("small")).unwrap();
    let [set, photo] = ["", "a.png"].map(|name| photos.path().join(name).to_str().unwrap().to_owned());
    let before = fs::read(&photo).unwrap();
    for (arguments, words) in [
        (&["--plot", &photo][..], "`--calibrate` and `--plot` both name `"),
        (&["--plot", "layers.jpg"], "`--plot layers.jpg`: the file has to end in `.svg` or `.png`"),
        (&["--plot", "a.svg", "--markdown", "./a.svg"], "`--markdown` and `--plot` both name `a.svg`"),
        (&["--plot", "small/a.svg"], "`--plot small/a.svg` lies in the bundle's folder, which is replaced"),
        (&["--plot", "nowhere/a.svg"], "`nowhere/a.svg` cannot be written"),
    ] {
        let outcome = quantize(place.path(), "int8").args(["--calibrate", &set]).args(arguments).run().exits(2);
        assert!(outcome.one_error().contains(words), "{arguments:?}: {}", outcome.text());
    }
    assert!(fs::read(&photo).unwrap() == before, "the photo was touched");
    let model = default_model();
    let usual = [model.to_str().unwrap(), "-o", "small", "--mode", "fp16", "--plot", "a.svg"];
    let without = quantize_in(place.path(), usual).run().exits(2);
    assert!(without.stderr.contains("--calibrate"), "{}", without.text());
    assert_eq!(fs::read_dir(place.path()).unwrap().count(), 1, "something is left over");
}
