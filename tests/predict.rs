//! `dermai predict`: what it prints, for people and for programs.
use crate::support::models::{CARD, card, folder, model};
use crate::support::program::{fixture, predict, predict_in, shape, snapshot};
use crate::support::shared::root;
use dermai::input::sha256_of;
use serde_json::Value;
use std::fs::{self, File};
use std::path::Path;

/// The default network's largest difference between numbers of threads: sums in another order.
const SAME: f64 = 1e-5;

#[test]
fn one_image_gives_its_ranked_classes() {
    snapshot!(predict(["images/lesion.jpg", "--top", "3"]).run(), @r#"
        exit status 0
        --- out ---
        images/lesion.jpg  600x450
         Melanocytic nevus             66.0 %  ███████████████▉
         Melanoma                      23.3 %  █████▋
         Benign keratosis-like lesion   8.5 %  ██

        Not a diagnosis.  (ham7-resnet160, ONNX Runtime [VERSION])
    "#);
}

#[test]
fn several_images_give_the_best_class_of_each_and_list_what_failed() {
    snapshot!(predict(["images/lesion.jpg", "images/png-palette.png", "bad/text.jpg"]).run(), @r#"
        exit status 2
        --- out ---
         images/lesion.jpg       Melanocytic nevus  66.0 %  ███████▉
         images/png-palette.png  Melanocytic nevus  37.3 %  ████▌     uncertain

        Not a diagnosis.  (ham7-resnet160, ONNX Runtime [VERSION])

        --- error ---
        error: 1 of 3 images failed:
          `bad/text.jpg`: is text; supported are JPEG, PNG, WebP, BMP, GIF and TIFF
    "#);
}

#[test]
fn the_table_speaks_vietnamese() {
    let several = predict(["images/lesion.jpg", "images/png-palette.png", "--lang", "vi"]).run();
    snapshot!(several, @r#"
        exit status 0
        --- out ---
         images/lesion.jpg       Nốt ruồi (nơ-vi hắc tố)  66.0 %  ███████▉
         images/png-palette.png  Nốt ruồi (nơ-vi hắc tố)  37.3 %  ████▌     không chắc chắn

        Không phải là chẩn đoán.  (ham7-resnet160, ONNX Runtime [VERSION])
    "#);
    snapshot!(predict(["images/lesion.jpg", "--lang", "vi", "--threshold", "0.9"]).run(), @r#"
        exit status 0
        --- out ---
        images/lesion.jpg  600x450
         Nốt ruồi (nơ-vi hắc tố)                         66.0 %  ███████████████▉
         U hắc tố ác tính                                23.3 %  █████▋
         Tổn thương dạng dày sừng lành tính               8.5 %  ██
         Dày sừng ánh sáng hoặc ung thư biểu mô tại chỗ   1.1 %  ▎
         Ung thư biểu mô tế bào đáy                       0.4 %  ▏
        không chắc chắn: xác suất cao nhất dưới 90 %

        Không phải là chẩn đoán.  (ham7-resnet160, ONNX Runtime [VERSION])
    "#);
}

#[test]
fn the_locale_chooses_the_language() {
    let tiny = model("tiny-nchw-softmax", CARD);
    for (variables, arguments, vietnamese) in [
        (vec![], vec![], false),
        (vec![("LANG", "vi_VN.UTF-8")], vec![], true),
        (vec![("LANG", "vi")], vec![], true),
        (vec![("LANG", "en_US.UTF-8"), ("LC_ALL", "vi_VN")], vec![], true),
        (vec![("LANG", "vi_VN.UTF-8"), ("LC_MESSAGES", "en_GB.UTF-8")], vec![], false),
        (vec![("LANG", "en_US.UTF-8"), ("LANGUAGE", "vi:en")], vec![], true),
        (vec![("LC_ALL", "C"), ("LANGUAGE", "vi")], vec![], false),
        (vec![("LC_ALL", "C.UTF-8"), ("LANG", "vi_VN.UTF-8")], vec![], false),
        (vec![("LC_ALL", ""), ("LANG", "vi_VN.UTF-8")], vec![], true),
        (vec![("LANG", "vi_VN.UTF-8")], vec!["--lang", "en"], false),
        (vec![("LANG", "en_US.UTF-8")], vec!["--lang", "vi"], true),
    ] {
        let mut program =
            predict_in(tiny.path(), ["--model", "."]).args(&arguments).args([fixture("images/lesion.jpg")]);
        for (name, value) in &variables {
            program = program.env(name, value);
        }
        let outcome = program.run().exits(0);
        let (apple, notice) =
            if vietnamese { ("Táo", "Không phải là chẩn đoán.") } else { ("Apple", "Not a diagnosis.") };
        let all = [apple, notice, "Corn"].iter().all(|word| outcome.stdout.contains(word));
        assert!(all, "{variables:?} {arguments:?}: {}", outcome.text());
    }
}

/// DESIGN.md, section 8: keys are only ever added, and a new one has to be added here.
const HEAD: &str = "\
schema text
dermai text
model.name text
model.sha256 text
model.card_sha256 text
model.form text
model.runtime text
model.cpu text
preprocessing.layout text
preprocessing.size[] integer
preprocessing.color text
preprocessing.resize.mode text
preprocessing.resize.shortest integer
preprocessing.resize.filter text
preprocessing.scale float
preprocessing.mean[] float
preprocessing.std[] float
threshold float
notice text
";
const RESULT: &str = "\
image.name text
image.sha256 text
image.width integer
image.height integer
predictions[].index integer
predictions[].label text
predictions[].probability float
low_confidence bool
milliseconds.decode float
milliseconds.preprocess float
milliseconds.infer float
";
const ERROR: &str = "image text\nerror text\n";

/// Every line with `before` in front.
fn below(before: &str, lines: &str) -> String {
    lines.lines().flat_map(|line| [before, line, "\n"]).collect()
}

fn sorted(lines: &str) -> Vec<&str> {
    let mut lines: Vec<_> = lines.lines().collect();
    lines.sort_unstable();
    lines
}

#[test]
fn json_has_the_stated_keys() {
    let document = predict(["images/lesion.jpg", "bad/text.jpg", "--json"]).run().exits(2).json();
    let expected = [HEAD, &below("results[].", RESULT), &below("errors[].", ERROR)].concat();
    assert_eq!(sorted(&shape(&document)), sorted(&expected));
    let lines = predict(["images/lesion.jpg", "bad/text.jpg", "--jsonl"]).run().exits(2).lines();
    assert_eq!(lines.len(), 2);
    assert_eq!(sorted(&shape(&lines[0])), sorted(&[HEAD, RESULT].concat()));
    assert_eq!(sorted(&shape(&lines[1])), sorted(&[HEAD, ERROR].concat()));
    for object in [&document, &lines[0], &lines[1]] {
        assert_eq!(object["schema"], "dermai.predict/1");
    }
    let nothing = predict(["bad/text.jpg", "--json"]).run().exits(2).json();
    assert!(nothing["model"].is_null() && nothing["results"] == Value::Array(vec![]), "{nothing}");
}

fn sha256(path: &Path) -> String {
    sha256_of(&mut File::open(path).expect("a file")).expect("a hash")
}

#[test]
fn every_result_can_be_audited() {
    let document = predict(["images/exif-6.jpg", "--json"]).run().exits(0).json();
    let default = root().join("models/default");
    let card = dermai::model::Prepared::find(Some(&default)).expect("the default model").card;
    assert_eq!(document["dermai"], env!("CARGO_PKG_VERSION"));
    assert_eq!(document["model"]["name"], card.name);
    assert_eq!(document["model"]["sha256"], sha256(&default.join("model.onnx")));
    assert_eq!(document["model"]["card_sha256"], sha256(&default.join("model.yaml")));
    assert_eq!(document["model"]["form"], "raw");
    assert_eq!(document["preprocessing"], serde_json::to_value(&card.input).expect("JSON"));
    assert_eq!(document["threshold"], card.threshold.expect("a threshold"));
    assert_eq!(document["notice"], "not a diagnosis");
    let image = &document["results"][0]["image"];
    assert_eq!(image["name"], "images/exif-6.jpg");
    assert_eq!(image["sha256"], sha256(&fixture("images/exif-6.jpg")));
    assert_eq!((&image["width"], &image["height"]), (&120.into(), &90.into()), "upright");
}

/// The same numbers in every format.
#[test]
fn formats_agree() {
    let images = ["images/lesion.jpg", "images/png-palette.png"];
    let run = |format: &str| predict(images).args([format, "--top", "0"]).run().exits(0);
    let document = run("--json").json();
    let results = document["results"].as_array().expect("a list");
    let lines = run("--jsonl").lines();
    assert_eq!((results.len(), lines.len()), (2, 2));
    let mut rows = vec![["image", "rank", "index", "label", "probability"].join("\u{1f}")];
    for (result, line) in results.iter().zip(&lines) {
        for key in ["image", "predictions", "low_confidence"] {
            assert_eq!(result[key], line[key]);
        }
        for (at, class) in result["predictions"].as_array().expect("a list").iter().enumerate() {
            let rank = (at + 1).to_string();
            let cells =
                [&result["image"]["name"], &rank.into(), &class["index"], &class["label"], &class["probability"]];
            rows.push(cells.map(|cell| cell.as_str().map_or_else(|| cell.to_string(), str::to_owned)).join("\u{1f}"));
        }
    }
    let csv = run("--csv").stdout;
    let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(csv.as_bytes());
    let read: Vec<_> =
        reader.records().map(|row| row.expect("a row").iter().collect::<Vec<_>>().join("\u{1f}")).collect();
    assert_eq!(read, rows);
    assert_eq!(rows.len(), 1 + 2 * 7);
}

#[test]
fn top_cuts_the_ranking() {
    let probabilities = |top: &str| -> Vec<f64> {
        let document = predict(["images/lesion.jpg", "--json", "--top", top]).run().exits(0).json();
        let classes = document["results"][0]["predictions"].as_array().expect("a list").clone();
        classes.iter().map(|class| class["probability"].as_f64().expect("a number")).collect()
    };
    let all = probabilities("0");
    assert_eq!(all.len(), 7);
    assert!(all.is_sorted_by(|a, b| a >= b), "{all:?}");
    assert!((all.iter().sum::<f64>() - 1.0).abs() < 1e-5, "{all:?}");
    assert_eq!(probabilities("2"), all[..2]);
    assert_eq!(probabilities("99"), all);
}

#[test]
fn below_the_threshold_an_answer_is_uncertain() {
    let with_threshold = card("output:", "threshold: 0.999999\noutput:");
    for (card, arguments, expected) in [
        (CARD, vec![], false),
        (CARD, vec!["--threshold", "0"], false),
        (CARD, vec!["--threshold", "1"], true),
        (&with_threshold, vec![], true),
        (&with_threshold, vec!["--threshold", "0.2"], false),
    ] {
        let tiny = model("tiny-nchw-softmax", card);
        let run = |format: &[&str]| {
            let program = predict_in(tiny.path(), ["--model", "."]).args(&arguments).args(format);
            program.args([fixture("images/lesion.jpg")]).run().exits(0)
        };
        let document = run(&["--json"]).json();
        assert_eq!(document["results"][0]["low_confidence"], expected, "{arguments:?}: {document}");
        assert_eq!(run(&[]).stdout.contains("uncertain"), expected, "{arguments:?}");
    }
    let wrong = predict(["images/lesion.jpg", "--threshold", "1.5"]).run().exits(2);
    assert!(wrong.stderr.contains("--threshold") && wrong.stderr.contains("from 0 to 1"), "{}", wrong.stderr);
}

#[test]
fn one_thread_and_two_give_the_same() {
    let run = |threads: &str| {
        predict(["images/lesion.jpg", "images/png-palette.png", "--json", "--top", "0", "--threads", threads])
            .run()
            .exits(0)
            .json()
    };
    let (one, two) = (run("1"), run("2"));
    for image in 0..2 {
        let by_class = |document: &Value| {
            let mut classes = document["results"][image]["predictions"].as_array().expect("a list").clone();
            classes.sort_by_key(|class| class["index"].as_u64());
            classes.iter().map(|class| class["probability"].as_f64().expect("a number")).collect::<Vec<_>>()
        };
        let pairs: Vec<_> = by_class(&one).into_iter().zip(by_class(&two)).collect();
        assert_eq!(pairs.len(), 7);
        assert!(pairs.iter().all(|(a, b)| (a - b).abs() <= SAME), "{pairs:?}");
    }
}

#[test]
fn nothing_of_exif_is_told() {
    let secret = "SECRET-GPS-COMMENT";
    let file = fs::read(fixture("images/exif-secrets.jpg")).expect("a file");
    assert!(file.windows(secret.len()).any(|window| window == secret.as_bytes()), "the picture holds no secret");
    let pictures = folder(&[("whole.jpg", "images/exif-secrets.jpg")]);
    fs::write(pictures.path().join("half.jpg"), &file[..file.len() / 2]).expect("a file");
    for format in [&[][..], &["--json"], &["--jsonl"], &["--csv"]] {
        let outcome = predict_in(pictures.path(), format).args(["whole.jpg", "half.jpg"]).run().exits(2);
        assert!(outcome.stdout.contains("whole.jpg") && outcome.stderr.contains("cut short"), "{}", outcome.text());
        for word in ["SECRET", "GPS", "EXIF", "Exif", "latitude", "datetime"] {
            assert!(!outcome.text().contains(word), "{word}: {}", outcome.text());
        }
    }
}

#[test]
fn the_notice_stands_everywhere() {
    let tiny = model("tiny-nchw-softmax", &card("output:", "about: {notice: ask a doctor}\noutput:"));
    let run = |format: &[&str]| {
        let program = predict_in(tiny.path(), ["--model", "."]).args(format);
        program.args([fixture("images/lesion.jpg"), fixture("bad/text.jpg")]).run().exits(2)
    };
    assert!(run(&[]).stdout.contains("\nask a doctor  ("));
    assert!(run(&["--lang", "vi"]).stdout.contains("\nask a doctor  ("));
    assert_eq!(run(&["--json"]).json()["notice"], "ask a doctor");
    assert!(run(&["--jsonl"]).lines().iter().all(|line| line["notice"] == "ask a doctor"));
}
