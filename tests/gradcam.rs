//! `dermai gradcam` as a process: what it writes and where, what it refuses, and that it agrees with `predict`.
use crate::support::models::{CARD, folder, model};
use crate::support::program::{fixture, gradcam_in, predict_in};
use crate::support::watched::forbid_internet;
use ndarray::{Array2, Ix2};
use ndarray_npy::ReadNpyExt;
use serde_json::Value;
use std::fs::{self, File};
use std::path::Path;

const PHOTO: &str = "images/lesion.jpg";

fn names(place: &Path) -> Vec<String> {
    let entries = fs::read_dir(place).expect("a folder");
    let mut names: Vec<_> = entries.map(|entry| entry.expect("an entry").file_name().display().to_string()).collect();
    names.sort();
    names
}

fn read_npy(path: &Path) -> Array2<f32> {
    Array2::<f32>::read_npy(File::open(path).expect("a file"))
        .expect("a map")
        .into_dimensionality::<Ix2>()
        .expect("two axes")
}

/// Width and height by a PNG's header, and its chunks.
fn png(path: &Path) -> ([u32; 2], Vec<String>) {
    let bytes = fs::read(path).expect("a file");
    let number = |at: usize| u32::from_be_bytes(bytes[at..at + 4].try_into().expect("four bytes"));
    let (mut at, mut chunks) = (8, Vec::new());
    while at < bytes.len() {
        chunks.push(String::from_utf8_lossy(&bytes[at + 4..at + 8]).into_owned());
        at += number(at) as usize + 12;
    }
    chunks.dedup();
    ([number(16), number(20)], chunks)
}

#[test]
fn one_photo_gives_an_overlay_of_its_size_and_the_answer_of_predict() {
    let place = folder(&[("photo.jpg", PHOTO)]);
    let arguments = ["photo.jpg", "-o", "heat.png", "--npy", "map.npy", "--png16", "grey.png", "--json"];
    let result = gradcam_in(place.path(), arguments).run().exits(0).json();
    assert_eq!(names(place.path()), ["grey.png", "heat.png", "map.npy", "photo.jpg"]);
    assert_eq!(png(&place.path().join("heat.png")), ([600, 450], ["IHDR", "IDAT", "IEND"].map(String::from).to_vec()));
    assert_eq!(result["schema"], "dermai.gradcam/1");
    let reason = &result["results"][0]["explanations"][0];
    let map = read_npy(&place.path().join("map.npy"));
    assert_eq!(map.dim(), (10, 10));
    let most = map.iter().copied().fold(0.0f32, f32::max);
    assert!(most > 0.0 && map.iter().all(|&v| v >= 0.0));
    assert_eq!(reason["map"]["height"], 10);
    assert!((reason["map"]["max"].as_f64().expect("a number") - f64::from(most)).abs() < 1e-6);
    assert_eq!(
        (&reason["map"]["zero"], &reason["method"], &reason["score"]),
        (&false.into(), &"gradcam".into(), &"logit".into())
    );
    assert_eq!(reason["files"]["overlay"], "heat.png");

    let plain = predict_in(place.path(), ["photo.jpg", "--json"]).run().exits(0).json();
    let best = |value: &Value| value["results"][0]["predictions"][0].clone();
    assert_eq!(best(&result)["label"], best(&plain)["label"]);
    let probability = |value: &Value| best(value)["probability"].as_f64().expect("a number");
    assert!((probability(&result) - probability(&plain)).abs() < 1e-5);
    assert_eq!(reason["class"]["label"], best(&plain)["label"]);
    assert_eq!(result["model"], plain["model"]);
}

#[test]
fn nothing_of_a_photo_s_exif_is_shown() {
    let place = folder(&[("photo.jpg", "images/exif-secrets.jpg")]);
    let outcome = gradcam_in(place.path(), ["photo.jpg", "-o", "heat.png", "--side-by-side", "--json"]).run().exits(0);
    let picture = fs::read(place.path().join("heat.png")).expect("a file");
    assert!(!outcome.stdout.contains("SECRET") && !picture.windows(6).any(|w| w == b"SECRET"));
    assert_eq!(png(&place.path().join("heat.png")).1, ["IHDR", "IDAT", "IEND"]);
}

#[test]
fn several_maps_go_to_a_folder_under_names_of_their_own() {
    let place = folder(&[("a/photo.jpg", PHOTO), ("b/photo.jpg", PHOTO), ("b/bad.jpg", "bad/text.jpg")]);
    let outcome = gradcam_in(place.path(), ["a", "b", "-o", "maps", "--top", "2"]).run().exits(2);
    let mut found = names(&place.path().join("maps"));
    assert_eq!(found.pop().as_deref(), Some("photo.2-mel.gradcam.png"));
    assert_eq!(
        found,
        ["contact-sheet.png", "photo.1-nv.gradcam-2.png", "photo.1-nv.gradcam.png", "photo.2-mel.gradcam-2.png"]
    );
    assert!(
        outcome.stderr.contains("error: 1 of 3 images failed") && outcome.stderr.contains("b/bad.jpg"),
        "{}",
        outcome.stderr
    );
    let same = |name: &str| fs::read(place.path().join("maps").join(name)).expect("a file");
    assert_eq!(same("photo.1-nv.gradcam.png"), same("photo.1-nv.gradcam-2.png"));
}

#[test]
fn the_class_is_chosen_by_label_name_or_number() {
    let place = folder(&[("photo.jpg", PHOTO)]);
    let explained = |class: &str| {
        let outcome = gradcam_in(place.path(), ["photo.jpg", "--json", "--class", class]).run().exits(0).json();
        outcome["results"][0]["explanations"][0]["class"]["index"].clone()
    };
    for class in ["mel", "Melanoma", "melanoma", "U hắc tố ác tính", "4"] {
        assert_eq!(explained(class), 4, "{class}");
    }
    let error = gradcam_in(place.path(), ["photo.jpg", "--json", "--class", "wart"]).run().exits(2);
    assert!(error.one_error().contains("no class `wart`; it has `akiec`, `bcc`"), "{}", error.stderr);
}

#[test]
fn every_method_and_smoothing_gives_a_map_and_gradcam_s_two_ways_agree() {
    let place = folder(&[("photo.jpg", PHOTO)]);
    let map = |arguments: &[&str]| {
        let all = [&["photo.jpg", "--npy", "map.npy"], arguments].concat();
        gradcam_in(place.path(), all).run().exits(0);
        read_npy(&place.path().join("map.npy"))
    };
    let mut seen = vec![map(&[])];
    for method in ["gradcam++", "xgradcam", "hirescam", "layercam", "eigencam", "scorecam"] {
        seen.push(map(&["--method", method]));
    }
    seen.push(map(&["--smooth", "aug"]));
    seen.push(map(&["--smooth", "eigen"]));
    for (at, one) in seen.iter().enumerate() {
        assert_eq!(one.dim(), (10, 10));
        assert!(seen[..at].iter().all(|other| other != one), "map {at} equals an earlier one");
    }
    let error = gradcam_in(place.path(), ["photo.jpg", "--json", "--method", "cam"]).run().exits(2);
    assert!(error.stderr.contains("`gradcam`") && error.stderr.contains("`scorecam`"), "{}", error.stderr);
}

#[test]
fn layers_are_listed_and_found_by_tensor_node_and_unfolded() {
    let place = folder(&[("photo.jpg", PHOTO)]);
    let listed = gradcam_in(place.path(), ["--list-layers"]).run().exits(0).stdout;
    let default = listed.lines().find(|line| line.ends_with("default")).expect("a default layer");
    assert!(default.contains("/l3/l3.2/Relu_1_output_0") && default.contains("1x160x10x10"), "{default}");
    let layer = |name: &str| {
        let outcome = gradcam_in(place.path(), ["photo.jpg", "--json", "--layer", name]).run();
        outcome
            .status
            .success()
            .then(|| outcome.json()["results"][0]["explanations"][0]["layer"].clone())
            .ok_or(outcome.stderr)
    };
    assert_eq!(layer("/l3/l3.2/Relu_1_output_0"), Ok("/l3/l3.2/Relu_1_output_0".into()));
    assert_eq!(layer("/l3/l3.2/Relu_1"), Ok("/l3/l3.2/Relu_1_output_0".into()));
    assert_eq!(layer("/l3/l3.2/c2/Conv:unfolded"), Ok("/l3/l3.2/c2/Conv_output_0:unfolded".into()));
    let error = layer("/l3/l3.2/Relu_9_output_0").expect_err("no such layer");
    assert!(
        error.contains("no layer")
            && error.contains("the nearest are `/l3/l3.2/Relu")
            && error.contains("--list-layers"),
        "{error}"
    );
    let error = layer("input").expect_err("not a feature map");
    assert!(error.contains("--list-layers"), "{error}");
}

#[test]
fn standard_input_is_read_once_and_painted() {
    let place = folder(&[]);
    let photo = fs::read(fixture(PHOTO)).expect("a photo");
    gradcam_in(place.path(), ["-", "-o", "heat.png"]).input(photo).run().exits(0);
    assert_eq!(png(&place.path().join("heat.png")).0, [600, 450]);
}

/// Nothing in this picture speaks for this class at the last feature map.
#[test]
fn a_map_without_heat_is_told_and_not_painted() {
    let place = folder(&[("photo.png", "images/png-grey1.png")]);
    let arguments = ["photo.png", "--class", "bcc", "-o", "heat.png", "--npy", "map.npy"];
    let table = gradcam_in(place.path(), arguments).run().exits(0).stdout;
    assert!(table.contains("not painted: the map is zero everywhere"), "{table}");
    assert_eq!(names(place.path()), ["map.npy", "photo.png"]);
    assert!(read_npy(&place.path().join("map.npy")).iter().all(|&v| v == 0.0));
    let result = gradcam_in(place.path(), arguments).args(["--json"]).run().exits(0).json();
    let reason = &result["results"][0]["explanations"][0];
    assert_eq!((&reason["map"]["zero"], &reason["files"]["overlay"]), (&true.into(), &Value::Null));
}

#[test]
fn what_cannot_be_done_is_said_before_the_work() {
    let place = folder(&[("photo.jpg", PHOTO), ("other.jpg", PHOTO), ("file", "bad/text.jpg")]);
    for (arguments, expected) in [
        (vec!["photo.jpg"], "nothing would be written"),
        (vec!["photo.jpg", "other.jpg", "-o", "file"], "`--output file` is a file"),
        (vec!["photo.jpg", "-o", "no/such/folder/heat.png"], "no/such/folder/heat.png"),
        (vec!["photo.jpg", "-o", "heat.png", "--alpha", "1.5"], "`--alpha` is 1.5"),
        (vec!["photo.jpg", "-o", "heat.png", "--contour=0"], "`--contour` is 0"),
        (vec!["-o", "heat.png"], "no image is named"),
    ] {
        let outcome = gradcam_in(place.path(), &arguments).run().exits(2);
        assert!(outcome.one_error().contains(expected), "{arguments:?}: {}", outcome.stderr);
        assert!(!place.path().join("heat.png").exists());
    }
}

#[test]
fn the_check_prints_its_figures_and_their_meaning() {
    let place = folder(&[("photo.jpg", PHOTO)]);
    let table = gradcam_in(place.path(), ["photo.jpg", "--check"]).run().exits(0).stdout;
    for word in [
        "insertion",
        "deletion",
        "drop",
        "ROAD",
        "random",
        "Petsiuk",
        "Chattopadhay",
        "Rong",
        "Adebayo",
        "Not a diagnosis",
    ] {
        assert!(table.contains(word), "{word}: {table}");
    }
    let result = gradcam_in(place.path(), ["photo.jpg", "--check", "--json"]).run().exits(0).json();
    let check = &result["checks"][0];
    for key in ["insertion_auc", "deletion_auc", "drop"] {
        let value = check[key].as_f64().expect("a number");
        assert!((0.0..=1.0).contains(&value), "{key}: {value}");
    }
    // A map that stays as it is when the head is random would say nothing of the class.
    assert!(check["randomised"]["spearman"].as_f64().expect("a number") < 0.9, "{check}");
}

#[test]
fn a_card_s_layer_is_the_default() {
    let text = format!("{CARD}explain: {{layer: no_such_layer}}\n");
    let tiny = model("tiny-nchw-softmax", &text);
    let outcome = gradcam_in(&fixture(""), ["images/lesion.jpg", "--json", "-m"]).args([tiny.path()]).run().exits(2);
    assert!(outcome.one_error().contains("no layer `no_such_layer`"), "{}", outcome.stderr);
}

#[test]
fn gradcam_opens_no_internet_socket() {
    let place = folder(&[("photo.jpg", PHOTO)]);
    for arguments in
        [vec!["photo.jpg", "-o", "heat.png"], vec!["photo.jpg", "--check", "--json"], vec!["--list-layers"]]
    {
        let mut program = gradcam_in(place.path(), arguments);
        if !forbid_internet(&mut program.command) {
            return;
        }
        program.run().exits(0);
    }
}
