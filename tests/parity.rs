//! The same answers as Python's: probabilities against ONNX Runtime, TensorFlow and PyTorch, from the same tensors and from image files.
//!
//! Needs `shared/models`, `shared/reference` and `shared/images`. The goldens are described in `shared/README.md` and
//! `shared/reference/README.md`; `shared/tools/preprocess.py` is the preprocessing behind them.
#![allow(clippy::print_stderr)] // figures for the record
use crate::support::figures::Difference;
use crate::support::npz::Npz;
use crate::support::shared::{folders, on_all_cores, shared};
use dermai::input::{Limits, Source};
use dermai::model::{Model, OutputKind, Prepared, SessionOptions};
use dermai::units::Bytes;
use ndarray::{Array4, Axis, Ix4};
use std::path::Path;

/// Same tensor, another framework or another class of CPU: rounding adds up over a network's layers (`k_mnv2_224`, whose logits are spread
/// wide, differs by 4e-5 between TensorFlow and ONNX Runtime themselves).
const SAME_TENSOR: f64 = 1e-4;
/// Same tensor, same runtime: only the class of CPU may differ from the one where the goldens were written.
const SAME_RUNTIME: f64 = 2e-5;
/// Own decoding and resizing; both are meant to be Pillow's to the bit, so this leaves room for another libjpeg only.
const FROM_FILE_MAX: f64 = 0.01;
const FROM_FILE_MEAN: f64 = 0.001;
/// Right answers more or less than Python's, for every 350 images.
const TOP1_PER_350: f64 = 2.0;

fn find(path: &Path) -> Prepared {
    Prepared::find(Some(path)).unwrap_or_else(|e| panic!("`{}`: {e:#}", path.display()))
}

fn start(prepared: Prepared) -> Model {
    let mut model = prepared.start(&SessionOptions { threads: 1, spinning: false }).expect("a session");
    model.identity().expect("the hash that the card says");
    model
}

fn name(folder: &Path) -> String {
    folder.file_name().unwrap().to_string_lossy().into_owned()
}

/// A tensor and what the reference made of it.
struct Golden {
    tensor: Array4<f32>,
    probabilities: Vec<f64>,
    /// What ONNX Runtime gave in Python, and whether that is logits.
    raw: Vec<f32>,
}

/// The goldens of a folder of `shared/reference` (`ref.npz`) or `shared/models` (`reference.npz`).
fn goldens(folder: &Path) -> Vec<Golden> {
    let reference = folder.join("ref.npz");
    if reference.is_file() {
        let mut npz = Npz::open(&reference);
        let count = npz.names().iter().filter(|name| name.starts_with("x__")).count();
        return (0..count)
            .map(|image| Golden {
                tensor: npz.array(&format!("x__{image}")).into_dimensionality::<Ix4>().unwrap(),
                probabilities: npz.array(&format!("probs__{image}")).into_raw_vec_and_offset().0,
                raw: npz.array(&format!("onnx_out__{image}")).into_raw_vec_and_offset().0,
            })
            .collect();
    }
    let mut npz = Npz::open(&folder.join("reference.npz"));
    let files = npz.texts("files");
    let tensors = npz.array::<f32>("inputs").into_dimensionality::<Ix4>().unwrap();
    let probabilities = npz.array::<f32>("probs");
    let raw = npz.array::<f32>(if npz.has("logits") { "logits" } else { "probs" });
    let row = |file: &String| files.iter().position(|f| f == file).expect("every input file is among the files");
    npz.texts("input_files")
        .iter()
        .map(row)
        .zip(tensors.outer_iter())
        .map(|(row, tensor)| Golden {
            tensor: tensor.to_owned().insert_axis(Axis(0)),
            probabilities: probabilities.index_axis(Axis(0), row).iter().map(|&p| p.into()).collect(),
            raw: raw.index_axis(Axis(0), row).iter().copied().collect(),
        })
        .collect()
}

fn softmax(logits: &[f32], temperature: f64) -> Vec<f64> {
    let most = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let powers: Vec<_> = logits.iter().map(|&l| (f64::from(l - most) / temperature).exp()).collect();
    let sum: f64 = powers.iter().sum();
    powers.into_iter().map(|p| p / sum).collect()
}

/// Probabilities from what ONNX Runtime gave, by the card.
fn by_card(raw: &[f32], model: &Model) -> Vec<f64> {
    match model.card.output.kind {
        OutputKind::Logits => softmax(raw, model.card.output.temperature.unwrap_or(1.0)),
        OutputKind::Sigmoid if raw.len() == 1 && model.card.labels.len() == 2 => {
            vec![f64::from(1.0 - raw[0]), raw[0].into()]
        }
        OutputKind::Softmax | OutputKind::Sigmoid => raw.iter().map(|&p| p.into()).collect(),
    }
}

#[test]
fn the_same_tensor_gives_the_reference_s_probabilities() {
    let Some(shared) = shared() else { return };
    let all = [folders(&shared.join("models")), folders(&shared.join("reference"))].concat();
    let measured = on_all_cores(&all, |folder| {
        let mut model = start(find(folder));
        let (mut framework, mut runtime) = (Difference::default(), Difference::default());
        for (image, golden) in goldens(folder).iter().enumerate() {
            let ours = model.probabilities(&golden.tensor).expect("an answer");
            let at = format!("{} image {image}", name(folder));
            framework.add(&ours, &golden.probabilities, &at);
            // The weights of `dermai` stay in the file and Python loaded the file plainly: the same runtime has to give the same.
            runtime.add(&ours, &by_card(&golden.raw, &model), &at);
        }
        (name(folder), framework, runtime)
    });
    for (name, framework, runtime) in &measured {
        eprintln!("{name:32} reference: max {:.1e}; Python's ONNX Runtime: max {:.1e}", framework.max, runtime.max);
    }
    for (name, framework, runtime) in &measured {
        assert!(framework.max <= SAME_TENSOR, "{name}: {framework}");
        assert!(runtime.max <= SAME_RUNTIME, "{name}: {runtime}");
    }
}

/// How a model did on its labelled images.
struct Labelled {
    name: String,
    images: usize,
    difference: Difference,
    right: usize,
    right_in_python: usize,
    other_answers: usize,
}

fn labelled(folder: &Path, images: &Path) -> Labelled {
    let mut npz = Npz::open(&folder.join("reference.npz"));
    let (files, labels, expected) = (npz.texts("files"), npz.texts("labels"), npz.array::<f32>("probs"));
    let mut model = start(find(folder));
    let (input, limits) = (model.card.input.clone(), Limits::within(Bytes::mb(512)));
    let mut result = Labelled {
        name: name(folder),
        images: files.len(),
        difference: Difference::default(),
        right: 0,
        right_in_python: 0,
        other_answers: 0,
    };
    for ((file, label), expected) in files.iter().zip(labels).zip(expected.outer_iter()) {
        let stream = Source::Path(images.join(file)).open(&limits).expect("an image");
        let picture = input.read(stream, &limits).unwrap_or_else(|e| panic!("`{file}`: {e:#}"));
        let ours = model.probabilities(&picture.tensor).expect("an answer");
        let theirs: Vec<_> = expected.iter().copied().collect();
        result.difference.add(&ours, &theirs, file);
        let (our_best, their_best) = (best(&ours), best(&theirs));
        let is_right = |best: usize| model.card.labels[best].id == label;
        result.right += usize::from(is_right(our_best));
        result.right_in_python += usize::from(is_right(their_best));
        result.other_answers += usize::from(our_best != their_best);
    }
    result
}

fn best(probabilities: &[f32]) -> usize {
    (0..probabilities.len()).max_by(|&a, &b| probabilities[a].total_cmp(&probabilities[b])).expect("a class")
}

#[test]
fn image_files_give_python_s_probabilities() {
    let Some(shared) = shared() else { return };
    let measured = on_all_cores(&folders(&shared.join("models")), |folder| labelled(folder, &shared.join("images")));
    for of in &measured {
        eprintln!(
            "{:30} {:3} images: {}; top-1 {} (Python {}), other answers {}",
            of.name, of.images, of.difference, of.right, of.right_in_python, of.other_answers
        );
    }
    for of in &measured {
        assert!(of.difference.max <= FROM_FILE_MAX, "{}: {}", of.name, of.difference);
        assert!(of.difference.mean() <= FROM_FILE_MEAN, "{}: {}", of.name, of.difference);
        let room = (TOP1_PER_350 * of.images as f64 / 350.0).max(1.0) as usize;
        assert!(
            of.right.abs_diff(of.right_in_python) <= room,
            "{}: top-1 {} against {}",
            of.name,
            of.right,
            of.right_in_python
        );
        assert!(of.right > 0, "{}: no answer is right, so the labels were not compared", of.name);
    }
}

/// A model as it comes, without a card: what does not stand in the file is assumed and said.
#[test]
fn models_without_a_card_run_or_say_why_not() {
    let Some(shared) = shared() else { return };
    let all = [folders(&shared.join("models")), folders(&shared.join("reference"))].concat();
    let lines = on_all_cores(&all, |folder| {
        let alone = tempfile::tempdir().expect("a folder");
        std::os::unix::fs::symlink(folder.join("model.onnx"), alone.path().join("model.onnx")).expect("a link");
        let written = find(folder).card;
        match Prepared::find(Some(alone.path())) {
            Err(error) => {
                let error = format!("{error:#}");
                assert!(error.contains("has no card and cannot be used without one"), "{}: {error}", name(folder));
                format!("refused: {error}")
            }
            Ok(prepared) => {
                let assumed = prepared.card.clone();
                assert!(
                    prepared.warnings.iter().any(|w| w.contains("no card: assumed")),
                    "{}: nothing said",
                    name(folder)
                );
                // The graph says these; the rest is convention.
                assert_eq!(assumed.input.layout, written.input.layout, "{}", name(folder));
                assert_eq!(assumed.input.size, written.input.size, "{}", name(folder));
                assert_eq!(assumed.output.kind, written.output.kind, "{}", name(folder));
                // One sigmoid is told as the two classes that it decides between.
                assert_eq!(assumed.labels.len(), written.labels.len().max(2), "{}", name(folder));
                let mut model = start(prepared);
                let mut difference = Difference::default();
                for golden in goldens(folder).iter().take(3) {
                    let ours = model.probabilities(&golden.tensor).expect("an answer");
                    difference.add(&ours, &by_card(&golden.raw, &model), &name(folder));
                }
                assert!(difference.max <= SAME_RUNTIME, "{difference}");
                let mut guessed_wrong = Vec::new();
                if (assumed.input.scale, assumed.input.mean, assumed.input.std)
                    != (written.input.scale, written.input.mean, written.input.std)
                {
                    guessed_wrong.push("values");
                }
                if assumed.input.color != written.input.color {
                    guessed_wrong.push("colour order");
                }
                if assumed.input.resize != written.input.resize {
                    guessed_wrong.push("resize");
                }
                if assumed.output.temperature != written.output.temperature {
                    guessed_wrong.push("temperature");
                }
                format!("runs; differs from its card in: {guessed_wrong:?}")
            }
        }
    });
    for (folder, line) in all.iter().zip(&lines) {
        eprintln!("{:32} {line}", name(folder));
    }
    assert!(lines.iter().filter(|line| line.starts_with("runs")).count() * 4 > lines.len() * 3, "{lines:#?}");
}
