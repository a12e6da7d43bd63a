//! The tiny graphs of `fixtures/onnx`: the library gives what Python's ONNX Runtime gave (`fixtures/golden/make.py`).
use crate::support::figures::Difference;
use crate::support::models::{copy, model};
use crate::support::program::fixture;
use dermai::model::{Prepared, SessionOptions};
use ndarray::Array4;
use serde_json::Value;
use std::fs;

/// Python ran the same library on the same machine or another: sums in another order.
const SAME_RUNTIME: f64 = 1e-5;

/// `x[i] = ((i * 37) % 101) / 101`, as `fixtures/golden/make.py` draws it.
fn pattern(shape: [usize; 4]) -> Array4<f32> {
    let count = shape.iter().product::<usize>();
    let values = (0..count).map(|i| (i * 37 % 101) as f32 / 101.0).collect();
    Array4::from_shape_vec(shape, values).expect("as many values as the shape holds")
}

fn floats(value: &Value) -> Option<Vec<f64>> {
    value.as_array()?.iter().map(Value::as_f64).collect()
}

/// Python's ONNX Runtime on the tiny graphs, one picture at a time.
#[test]
fn tiny_graphs_give_python_s_values() {
    let text = fs::read_to_string(fixture("golden/tiny.json")).expect("the goldens");
    let goldens: serde_json::Map<String, Value> = serde_json::from_str(&text).expect("the goldens");
    let (mut difference, mut compared, mut refused) = (Difference::default(), 0, Vec::new());
    for (onnx, runs) in &goldens {
        let [run, ..] = runs.as_array().expect("a list").as_slice() else { panic!("{onnx}: no run") };
        let inputs = run["inputs"].as_object().expect("inputs");
        let shapes = inputs.values().map(|shape| serde_json::from_value::<Vec<usize>>(shape.clone()).expect("a shape"));
        let shape = shapes.into_iter().find(|shape| shape.len() == 4).expect("a picture");
        for output in run["outputs"].as_array().expect("a list") {
            let (name, values) = (output["name"].as_str().expect("a name"), &output["data"]);
            // A logits card over a graph that ends in logits, and probabilities as they stand elsewhere.
            let kind = if values.is_array() && name == "logits" { "logits" } else { "sigmoid" };
            let count = values.as_array().map_or(1, Vec::len);
            let labels: Vec<_> = (0..count).map(|n| format!("{{id: c{n}}}")).collect();
            let nhwc = shape[3] == 3;
            let (layout, height, width) =
                if nhwc { ("NHWC", shape[1], shape[2]) } else { ("NCHW", shape[2], shape[3]) };
            let text = format!(
                "card: 1\nname: tiny\ninput: {{layout: {layout}, size: [{height}, {width}], color: RGB, resize: {{mode: stretch, filter: nearest}}, scale: 1, mean: [0, 0, 0], std: [1, 1, 1]}}\noutput: {{kind: {kind}, name: {name}}}\nlabels: [{}]\n",
                labels.join(", ")
            );
            let place = model(onnx, &text);
            if onnx == "tiny-external" {
                copy("onnx/tiny-external.bin", &place.path().join("tiny-external.bin"));
            }
            let at = format!("{onnx}, {name}");
            let Ok(prepared) = Prepared::find(Some(place.path())) else {
                refused.push(at);
                continue;
            };
            let mut model = prepared
                .start(&SessionOptions { threads: 1, spinning: false })
                .unwrap_or_else(|e| panic!("{at}: {e:#}"));
            let ours = model.probabilities(&pattern([shape[0], shape[1], shape[2], shape[3]]));
            let Some(theirs) = floats(values) else {
                let error = format!("{:#}", ours.expect_err(&at));
                assert!(error.contains("output `logits` holds ") && error.contains("broken"), "{at}: {error}");
                compared += 1;
                continue;
            };
            let theirs = if kind == "logits" { softmax(&theirs) } else { theirs };
            difference.add(&ours.unwrap_or_else(|e| panic!("{at}: {e:#}")), &theirs, &at);
            compared += 1;
        }
    }
    assert_eq!(
        refused,
        [
            "tiny-batch4, probabilities",
            "tiny-detector, output0",
            "tiny-two-inputs, probabilities",
            "tiny-uint8, probabilities"
        ]
    );
    assert!(compared >= 11 && difference.max <= SAME_RUNTIME, "{compared} compared: {difference}");
}

fn softmax(logits: &[f64]) -> Vec<f64> {
    let sum: f64 = logits.iter().map(|logit| logit.exp()).sum();
    logits.iter().map(|logit| logit.exp() / sum).collect()
}
