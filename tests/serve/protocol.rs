//! The Open Inference Protocol v2: tensors in JSON and in binary, pictures as BYTES, classification.
use super::{lesion, server};
use crate::support::program::{fixture, predict_in};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

const MODEL: &str = "/v2/models/ham7-resnet160";

fn expected() -> Vec<f64> {
    let document = predict_in(&fixture("images"), ["lesion.jpg", "--json", "--top", "0"]).run().exits(0).json();
    let mut classes = document["results"][0]["predictions"].as_array().unwrap().clone();
    classes.sort_by_key(|class| class["index"].as_u64());
    classes.iter().map(|class| class["probability"].as_f64().unwrap()).collect()
}

fn output<'v>(reply: &'v Value, name: &str) -> &'v Value {
    reply["outputs"]
        .as_array()
        .unwrap()
        .iter()
        .find(|output| output["name"] == name)
        .unwrap_or_else(|| panic!("{reply}"))
}

fn floats(data: &Value) -> Vec<f64> {
    data.as_array().unwrap().iter().map(|value| value.as_f64().unwrap()).collect()
}

fn near(a: &[f64], b: &[f64]) {
    let farthest = a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
    assert!(a.len() == b.len() && farthest < 1e-5, "{a:?} {b:?}");
}

#[test]
fn server_and_model_say_what_they_are() {
    let server = server(&[]);
    assert_eq!(server.get("/v2").ok().json()["name"], "dermai");
    assert_eq!(server.get("/v2/health/live").ok().json()["live"], true);
    assert_eq!(server.get("/v2/health/ready").ok().json()["ready"], true);
    let about = server.get(MODEL).ok().json();
    assert_eq!(about, server.get(&format!("{MODEL}/versions/1")).ok().json());
    assert_eq!(about["inputs"][0]["datatype"], "FP32");
    assert_eq!(about["inputs"][1], json!({"name": "image", "datatype": "BYTES", "shape": [-1]}));
    assert_eq!(server.get("/memory").json()["model_loaded"], false);
    assert_eq!(server.get(&format!("{MODEL}/ready")).ok().json()["ready"], true);
    assert_eq!(server.get("/memory").json()["model_loaded"], true);
    for (path, part) in [("/v2/models/other", "no model `other`"), (&format!("{MODEL}/versions/2"), "no version `2`")] {
        let reply = server.get(path);
        assert_eq!(reply.status, 404);
        assert!(reply.json()["error"].as_str().unwrap().contains(part));
    }
}

#[test]
fn pictures_and_tensors_get_the_answers_of_predict() {
    let server = server(&[]);
    let infer = format!("{MODEL}/infer");
    let encoded = STANDARD.encode(lesion());
    let ask = |body: &Value| server.post(&infer, &serde_json::to_vec(body).unwrap()).ok().json();
    let picture = json!({"name": "image", "shape": [1], "datatype": "BYTES", "data": [encoded]});
    let reply = ask(&json!({"id": "7", "inputs": [picture]}));
    assert_eq!((&reply["id"], &reply["model_version"]), (&"7".into(), &"1".into()));
    near(&floats(&output(&reply, "probabilities")["data"]), &expected());

    // Two of them, the same twice, as a tensor of grey.
    let about = server.get(MODEL).json();
    let name = about["inputs"][0]["name"].as_str().unwrap().to_owned();
    let mut shape: Vec<usize> = about["inputs"][0]["shape"]
        .as_array()
        .unwrap()
        .iter()
        .map(|side| side.as_i64().unwrap().max(1) as usize)
        .collect();
    let values = vec![0.25f32; shape.iter().product()];
    let once = ask(&json!({"inputs": [{"name": name, "shape": shape, "datatype": "FP32", "data": values}]}));
    let once = floats(&output(&once, "probabilities")["data"]);
    shape[0] = 2;
    let twice: Vec<u8> = [&values[..], &values].concat().iter().flat_map(|value| value.to_le_bytes()).collect();
    let head = serde_json::to_vec(&json!({
        "inputs": [{"name": name, "shape": shape, "datatype": "FP32", "parameters": {"binary_data_size": twice.len()}}],
        "outputs": [{"name": "probabilities", "parameters": {"binary_data": true}}],
    }))
    .unwrap();
    let length = head.len().to_string();
    let headers = [("Inference-Header-Content-Length", length.as_str()), ("Content-Type", "application/octet-stream")];
    let reply = server.send("POST", &infer, &headers, &[head, twice].concat()).ok();
    let json: usize = reply.header("Inference-Header-Content-Length").unwrap().parse().unwrap();
    let (text, binary) = reply.body.split_at(json);
    let text: Value = serde_json::from_slice(text).unwrap();
    assert_eq!(text["outputs"][0]["parameters"]["binary_data_size"].as_u64(), Some(binary.len() as u64));
    assert_eq!(text["outputs"][0]["shape"], json!([2, once.len()]));
    let got: Vec<f64> = binary.as_chunks().0.iter().map(|bytes| f64::from(f32::from_le_bytes(*bytes))).collect();
    near(&got, &[&once[..], &once].concat());

    let wanted = json!([{"name": "probabilities", "parameters": {"classification": 2}}]);
    let reply = ask(&json!({"inputs": [picture], "outputs": wanted}));
    let best = &output(&reply, "probabilities");
    assert_eq!((&best["datatype"], &best["shape"]), (&"BYTES".into(), &json!([1, 2])));
    let first = best["data"][0].as_str().unwrap().split(':').collect::<Vec<_>>();
    let highest = expected().iter().copied().fold(0.0, f64::max);
    assert!((first[0].parse::<f64>().unwrap() - highest).abs() < 1e-5 && first.len() == 3, "{first:?}");
}

#[test]
fn what_is_no_inference_request_is_told() {
    let server = server(&[]);
    let infer = format!("{MODEL}/infer");
    for (body, part) in [
        (json!({}), "no inference request"),
        (json!({"inputs": []}), "one input"),
        (json!({"inputs": [{"name": "image", "shape": [1], "datatype": "BYTES"}]}), "has no `data`"),
        (json!({"inputs": [{"name": "image", "shape": [2], "datatype": "BYTES", "data": ["YQ=="]}]}), "not 2 elements"),
        (json!({"inputs": [{"name": "other", "shape": [1], "datatype": "FP32", "data": [1]}]}), "no input `other`"),
        (json!({"inputs": [{"name": "image", "shape": [0], "datatype": "BYTES", "data": []}]}), "nothing in the input"),
        (
            json!({"inputs": [{"name": "image", "shape": [1u64 << 40, 1u64 << 40], "datatype": "BYTES", "data": []}]}),
            "has shape",
        ),
        (
            json!({"inputs": [{"name": "image", "shape": [1], "datatype": "BYTES", "data": ["YQ==", "YQ=="]}]}),
            "at most 1",
        ),
        (
            json!({"inputs": [{"name": "image", "shape": [1], "datatype": "BYTES", "data": ["YQ=="]}], "outputs": [{"name": "probabilities"}, {"name": "probabilities"}]}),
            "asked for twice",
        ),
        (
            json!({"inputs": [{"name": "image", "shape": [1], "datatype": "BYTES", "data": ["YQ=="]}], "outputs": [{"name": "x"}]}),
            "no output `x`",
        ),
    ] {
        let reply = server.post(&infer, &serde_json::to_vec(&body).unwrap());
        assert_eq!(reply.status, 400, "{body}");
        assert!(reply.json()["error"].as_str().unwrap().contains(part), "{body}: {}", reply.json());
    }
    // Each would take little of the body and long to answer.
    let many = vec!["YQ=="; 1000];
    let body = json!({"inputs": [{"name": "image", "shape": [1000], "datatype": "BYTES", "data": many}]});
    let reply = server.post(&infer, &serde_json::to_vec(&body).unwrap());
    assert_eq!(reply.status, 413, "{}", reply.json());
    let headers = [("Inference-Header-Content-Length", "99")];
    assert_eq!(server.send("POST", &infer, &headers, b"{}").status, 400);
}

/// Triton's own client, which `.ci/run` installs.
#[test]
#[allow(clippy::print_stderr)] // why it was skipped
fn tritonclient_speaks_with_it() {
    let python = std::env::var_os("DERMAI_TRITON_PYTHON");
    let Some(python) = python else {
        let required = std::env::var_os("DERMAI_REQUIRE_TRITON").is_some();
        assert!(!required, "`DERMAI_TRITON_PYTHON` names no Python with `tritonclient[http]`");
        eprintln!("skipped: `DERMAI_TRITON_PYTHON` names no Python with `tritonclient[http]`");
        return;
    };
    let server = server(&[]);
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/serve/triton.py");
    let mut command = std::process::Command::new(python);
    command.args([script, &server.address.to_string(), "ham7-resnet160"]).arg(fixture("images/lesion.jpg"));
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let said: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(said["server"], "dermai");
    near(&floats(&said["probabilities"][0]), &expected());
    near(&floats(&said["grey"][0][0]), &floats(&said["grey"][1][0]));
    let best = said["best"].as_array().unwrap();
    let first: Vec<_> = best[0].as_str().unwrap().split(':').collect();
    assert!(best.len() == 2 && first.len() == 3, "{best:?}");
    let highest = expected().iter().copied().fold(0.0, f64::max);
    assert!((first[0].parse::<f64>().unwrap() - highest).abs() < 1e-5, "{best:?}");
    assert!(said["refused"].as_str().unwrap().contains("no model `nothing`"), "{said}");
}
