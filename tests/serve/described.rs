//! The `OpenAPI` document: every path is in it, and what is answered is what it says.
use super::{lesion, server};
use crate::support::server::Reply;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

/// The schema of an answer, with the document's components beside it, nothing else allowed in its objects.
fn schema(document: &Value, path: &str, method: &str, status: &str, kind: &str) -> Value {
    let place = &document["paths"][path][method]["responses"][status]["content"][kind]["schema"];
    assert!(place.is_object(), "{method} {path} {status} {kind} is not described");
    let mut schema = json!({"components": document["components"], "allOf": [place]});
    close(&mut schema);
    schema
}

/// What is not described is a mistake: of the answer, or of the document.
fn close(value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.values_mut().for_each(close);
            if map.contains_key("properties") {
                map.insert("additionalProperties".into(), false.into());
            }
        }
        Value::Array(all) => all.iter_mut().for_each(close),
        _ => {}
    }
}

#[test]
fn answers_are_what_the_document_says() {
    let server = server(&[]);
    let document = server.get("/openapi.json").ok().json();
    let model = "/v2/models/ham7-resnet160";
    let picture =
        json!({"inputs": [{"name": "image", "shape": [1], "datatype": "BYTES", "data": [STANDARD.encode(lesion())]}]});
    let picture = serde_json::to_vec(&picture).unwrap();
    let is = |reply: &Reply, path: &str, method: &str| {
        let kind = reply.header("Content-Type").unwrap().to_owned();
        let schema = schema(&document, path, method, &reply.status.to_string(), &kind);
        let errors: Vec<_> = jsonschema::validator_for(&schema)
            .unwrap()
            .iter_errors(&reply.json())
            .map(|error| error.to_string())
            .collect();
        assert!(errors.is_empty(), "{method} {path}: {errors:?}\n{}", reply.json());
    };
    for (asked, path) in [
        ("/health", "/health"),
        ("/ready", "/ready"),
        ("/memory/", "/memory"),
        ("/models", "/models"),
        ("/openapi.json", "/openapi.json"),
        ("/v2", "/v2"),
        ("/v2/health/live", "/v2/health/live"),
        ("/v2/health/ready", "/v2/health/ready"),
        (model, "/v2/models/{model}"),
        ("/v2/models/none", "/v2/models/{model}"),
        (&format!("{model}/versions/1"), "/v2/models/{model}/versions/{version}"),
        (&format!("{model}/ready"), "/v2/models/{model}/ready"),
        (&format!("{model}/versions/1/ready"), "/v2/models/{model}/versions/{version}/ready"),
    ] {
        is(&server.get(asked), path, "get");
    }
    for (asked, path, body) in [
        ("/predict", "/predict", lesion()),
        ("/predict?gradcam=1", "/predict", lesion()),
        ("/predict", "/predict", b"text".to_vec()),
        ("/predict?top=x", "/predict", lesion()),
        ("/predict?model=x", "/predict", lesion()),
        (&format!("{model}/infer"), "/v2/models/{model}/infer", picture.clone()),
        (&format!("{model}/infer"), "/v2/models/{model}/infer", b"{}".to_vec()),
        (&format!("{model}/versions/1/infer"), "/v2/models/{model}/versions/{version}/infer", picture),
    ] {
        is(&server.post(asked, &body), path, "post");
    }
}

/// Routes by the source: one that is not described is a mistake.
#[test]
fn every_path_is_described_and_no_other() {
    let sources = [include_str!("../../src/serve/router.rs"), include_str!("../../src/serve/routes/page.rs")].concat();
    let routes = sources.split(".route(\"").skip(1).map(|rest| rest.split('"').next().unwrap());
    // What the page loads is its own affair.
    let mut routes: Vec<_> = routes.filter(|route| *route != "/page/{name}").collect();
    let document: Value = serde_json::from_str(include_str!("../../src/serve/openapi.json")).unwrap();
    let mut described: Vec<_> = document["paths"].as_object().unwrap().keys().map(String::as_str).collect();
    routes.sort_unstable();
    described.sort_unstable();
    assert_eq!(routes, described);
}
