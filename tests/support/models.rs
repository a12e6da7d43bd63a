//! Tiny models in folders of their own: a graph of `fixtures/onnx` and a card.
use super::program::fixture;
use dermai::onnx::{Graph, Node, Patch, TensorProto};
use std::fs;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// The card of `tiny-nchw-softmax.onnx`.
pub const CARD: &str = "\
card: 1
name: tiny
model: {file: model.onnx}
input: {layout: NCHW, size: [8, 8], color: RGB, resize: {mode: stretch, filter: bilinear}, scale: 0.00392156862745098, mean: [0, 0, 0], std: [1, 1, 1]}
output: {kind: softmax}
labels:
  - {id: a, en: Apple, vi: Táo}
  - {id: b, en: Bean, vi: Đậu}
  - {id: c, en: Corn}
";

/// A folder with the graph `onnx` of `fixtures/onnx` as `model.onnx` and `card` as `model.yaml`.
pub fn model(onnx: &str, card: &str) -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    copy(&format!("onnx/{onnx}.onnx"), &folder.path().join("model.onnx"));
    fs::write(folder.path().join("model.yaml"), card).expect("a card");
    folder
}

/// [`CARD`] with one piece replaced.
#[track_caller]
pub fn card(from: &str, to: &str) -> String {
    assert!(CARD.contains(from), "`{from}` is not in the card");
    CARD.replace(from, to)
}

/// Copies a fixture.
pub fn copy(name: &str, to: &Path) -> PathBuf {
    fs::copy(fixture(name), to).unwrap_or_else(|e| panic!("`{name}` to `{}`: {e}", to.display()));
    to.to_owned()
}

/// A folder with copies of fixtures under new names.
pub fn folder(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, fixture) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        copy(fixture, &path);
    }
    folder
}

/// Puts nodes between the input of the model in `path` and what takes it: `nodes` makes them of the input's name, and they give `behind`.
pub fn put_behind_input(path: &Path, nodes: impl FnOnce(&str) -> Vec<Node>, constants: Vec<TensorProto>) {
    let bytes = fs::read(path).expect("a model");
    let graph = Graph::parse(bytes.clone()).expect("a graph");
    let input = graph.inputs[0].name.clone();
    let mut replaced: Vec<Node> = graph.consumers(&input).iter().map(|&at| graph.nodes[at].clone()).collect();
    for name in replaced.iter_mut().flat_map(|node| &mut node.input).filter(|name| **name == input) {
        "behind".clone_into(name);
    }
    let patch = Patch { front: nodes(&input), replaced, initializers: constants, ..Patch::default() };
    fs::write(path, patch.write(&graph, bytes).expect("a graph")).expect("a model");
}
