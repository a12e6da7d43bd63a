//! Models that a user brings: the document about them, what is assumed without a card, and cards that say something else than their graph.
use crate::support::models::{CARD, card, model};
use crate::support::program::fixture;
use crate::support::shared::root;
use dermai::model::{Prepared, SessionOptions};
use ndarray::Array4;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

fn text(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|e| panic!("`{path}`: {e}"))
}

/// The fenced blocks of a language in a document.
fn blocks(document: &str, language: &str) -> Vec<String> {
    let fence = format!("```{language}\n");
    let blocks: Vec<_> =
        document.split(&fence).skip(1).map(|rest| rest.split("```").next().unwrap().to_owned()).collect();
    assert!(!blocks.is_empty(), "no block of {language}");
    blocks
}

/// The texts in a literal or a list of literals.
fn strings(expression: &syn::Expr) -> Vec<String> {
    match expression {
        syn::Expr::Reference(inner) => strings(&inner.expr),
        syn::Expr::Array(array) => array.elems.iter().flat_map(strings).collect(),
        syn::Expr::Lit(syn::ExprLit { lit: syn::Lit::Str(text), .. }) => vec![text.value()],
        _ => panic!("neither a list nor a text"),
    }
}

/// Every key that a card may have, as `place.key`.
fn known_keys() -> BTreeSet<String> {
    let file = syn::parse_file(&text("src/model/known_keys.rs")).expect("Rust");
    let list = file.items.into_iter().find_map(|item| match item {
        syn::Item::Const(item) if item.ident == "KNOWN" => Some(item.expr),
        _ => None,
    });
    let Some(syn::Expr::Array(list)) = list.map(|expr| *expr) else { panic!("`KNOWN` is not a list") };
    let mut keys = BTreeSet::new();
    for entry in &list.elems {
        let syn::Expr::Tuple(entry) = entry else { panic!("`KNOWN` holds no pairs") };
        let place = strings(&entry.elems[0]).remove(0);
        let dot = if place.is_empty() { "" } else { "." };
        keys.extend(strings(&entry.elems[1]).iter().map(|key| format!("{place}{dot}{key}")));
    }
    keys
}

#[test]
fn every_key_of_a_card_is_documented_and_no_other() {
    let readme = text("models/README.md");
    let keys = readme.split("| key |").nth(1).expect("the table of keys");
    let rows = keys.lines().skip(2).take_while(|line| line.starts_with('|'));
    let documented: BTreeSet<_> =
        rows.flat_map(|row| row.split('|').nth(1).unwrap().split(',')).map(|key| key.trim().replace('`', "")).collect();
    let known = known_keys();
    let only = |a: &BTreeSet<String>, b: &BTreeSet<String>| a.difference(b).cloned().collect::<Vec<_>>();
    assert_eq!((only(&known, &documented), only(&documented, &known)), (vec![], vec![]));
}

#[test]
fn the_cards_in_the_document_are_cards() {
    let readme = text("models/README.md");
    let cards = blocks(&readme, "yaml");
    assert!(cards.contains(&text("models/default/model.yaml")), "the default card is shown as it is");
    Prepared::find(Some(&root().join("models/default"))).expect("the default model");
    let small: Vec<_> = cards.iter().filter(|card| card.contains("kind: sigmoid")).collect();
    assert_eq!((small.len(), cards.len()), (1, 2), "each card is tried with a graph");
    // The same for a graph that takes smaller pictures.
    let tiny = small[0].replace("[224, 224]", "[8, 8]");
    assert_ne!(&tiny, small[0]);
    let prepared = Prepared::find(Some(model("tiny-sigmoid1", &tiny).path())).expect("the card fits");
    assert_eq!(prepared.warnings, Vec::<String>::new());
}

#[test]
fn the_commands_in_the_document_are_those_of_the_scripts() {
    let readme = text("models/README.md");
    let shared = text("models/export/card.py");
    for name in ["from_keras", "from_pytorch", "from_ultralytics"] {
        let script = text(&format!("models/export/{name}.py"));
        let install = script.lines().find(|line| line.trim().starts_with("pip install")).expect("what it needs");
        assert!(readme.contains(install.trim()), "{name}: `{}`", install.trim());
        let calls: Vec<_> = readme.lines().filter(|line| line.contains(&format!("export/{name}.py "))).collect();
        assert!(!calls.is_empty(), "{name} is not shown");
        for flag in calls.iter().flat_map(|line| line.split_whitespace()).filter(|word| word.starts_with("--")) {
            let flag = format!("\"{}\"", flag.split('=').next().unwrap());
            assert!(shared.contains(&flag) || script.contains(&flag), "{name} has no {flag}");
        }
    }
}

#[test]
fn the_errors_in_the_document_are_the_program_s() {
    fn collect(folder: &Path, source: &mut String) {
        for entry in fs::read_dir(folder).expect("a folder").map(|entry| entry.unwrap().path()) {
            if entry.is_dir() { collect(&entry, source) } else { *source += &fs::read_to_string(&entry).unwrap() }
        }
    }
    let mut source = String::new();
    collect(&root().join("src"), &mut source);
    // What serde and ONNX Runtime say.
    source += "expected f64; External data path does not exist";
    let readme = text("models/README.md");
    let table = readme.split("| error |").nth(1).expect("the table of errors");
    let rows: Vec<_> = table.lines().skip(2).take_while(|line| line.starts_with('|')).collect();
    assert!(rows.len() > 10, "{rows:?}");
    for row in rows {
        let words = row.split('`').nth(1).expect("an error in backticks");
        assert!(source.contains(words), "no error says `{words}`");
    }
}

#[test]
fn the_default_model_s_figures_are_its_card_s() {
    let card: serde_yaml::Value = serde_yaml::from_str(&text("models/default/model.yaml")).expect("YAML");
    let readme = text("models/default/README.md");
    let accuracy = &card["about"]["accuracy"];
    let number = |value: &serde_yaml::Value| value.as_f64().expect("a number");
    let images = number(&accuracy["images"]) as u64;
    for told in [
        format!("{},{:03} images", images / 1000, images % 1000),
        format!("top-1 {:.3}", number(&accuracy["top1"])),
        format!("balanced accuracy {:.3}", number(&accuracy["balanced"])),
        format!("softmax(logits / {})", number(&card["output"]["temperature"])),
        format!("threshold of {}", number(&card["threshold"])),
        format!("{}x{}", number(&card["input"]["size"][0]), number(&card["input"]["size"][1])),
        format!("shorter side to {}", number(&card["input"]["resize"]["shortest"])),
    ] {
        assert!(readme.contains(&told), "`{told}` does not stand in models/default/README.md");
    }
}

/// What a model makes of one tensor: its probabilities, and what its graph gives.
fn answer(path: &Path, tensor: &Array4<f32>) -> anyhow::Result<(Vec<f32>, Vec<f32>)> {
    let mut model = Prepared::find(Some(path))?.start(&SessionOptions { threads: 1, spinning: false })?;
    let raw = model.run(tensor, &[], &[])?.remove(0);
    Ok((model.probabilities(tensor)?, raw.into_raw_vec_and_offset().0))
}

#[test]
fn one_sigmoid_without_a_card_is_class_1() {
    let path = fixture("onnx/tiny-sigmoid1.onnx");
    let prepared = Prepared::find(Some(&path)).expect("a model");
    let ids: Vec<_> = prepared.card.labels.iter().map(|label| label.id.as_str()).collect();
    assert_eq!(ids, ["0", "1"]);
    assert!(prepared.warnings.iter().any(|warning| warning.contains("taken for class 1")), "{:?}", prepared.warnings);
    let (both, raw) = answer(&path, &Array4::from_elem((1, 3, 8, 8), 0.5)).expect("an answer");
    assert_eq!(both, [1.0 - raw[0], raw[0]]);
}

#[test]
fn one_value_that_is_no_sigmoid_is_refused() {
    for kind in ["softmax", "logits"] {
        let one = card("kind: softmax", &format!("kind: {kind}")).split("  - {id: b").next().unwrap().to_owned();
        let folder = model("tiny-sigmoid1", &one);
        let error = format!("{:#}", Prepared::find(Some(folder.path())).expect_err("an error"));
        assert!(error.contains("`output.kind`: the model gives one value") && error.contains("always 1"), "{error}");
    }
}

/// Scores must never be shown as probabilities because a card has the wrong word.
#[test]
fn values_that_are_no_probabilities_are_refused() {
    let wide = card("size: [8, 8]", "size: [6, 10]").replace("NCHW", "NHWC") + "  - {id: d}\n";
    let said = |card: &str, kind: &str| card.replace("kind: softmax", &format!("kind: {kind}"));
    let (square, broad) = ((1, 3, 8, 8), (1, 6, 10, 3));
    for (onnx, card, shape, expected) in [
        ("tiny-nchw-softmax", CARD.to_owned(), square, None),
        ("tiny-sigmoid3", said(CARD, "sigmoid"), square, None),
        ("tiny-sigmoid3", CARD.to_owned(), square, Some("the card says softmax, output `probabilities` sums to ")),
        ("tiny-nhwc-logits", said(&wide, "logits"), broad, None),
        ("tiny-nhwc-logits", wide.clone(), broad, Some("the card says softmax, output `logits` holds ")),
        ("tiny-nhwc-logits", said(&wide, "sigmoid"), broad, Some("the card says sigmoid, output `logits` holds ")),
    ] {
        let folder = model(onnx, &card);
        let answer = answer(folder.path(), &Array4::from_elem(shape, 2.0));
        match (answer, expected) {
            (Ok(_), None) => {}
            (Err(error), Some(expected)) => {
                let error = format!("{error:#}");
                assert!(error.starts_with(&format!("`output.kind`: {expected}")), "{onnx}: {error}");
            }
            (answer, expected) => panic!("{onnx}: {answer:?} instead of {expected:?}"),
        }
    }
}
