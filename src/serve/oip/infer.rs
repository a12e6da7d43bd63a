//! `POST /v2/models/{model}/infer`.
use super::tensor::{Data, Output, Parameters, Request as Asked, Response as Answered, Wanted, elements, floats, part};
use super::{IMAGE, PROBABILITIES, Place, Refusal, VERSION};
use crate::input::Stream;
use crate::predict::{Read, rank};
use crate::serve::answer::{employ, limits, unreadable};
use crate::serve::app::App;
use crate::serve::body;
use crate::serve::problem::Problem;
use crate::units::Bytes;
use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ndarray::Array4;
use std::io::Cursor;
use std::sync::Arc;

/// Bytes of the JSON, where binary tensors follow it (Triton's binary data extension).
const LENGTH: HeaderName = HeaderName::from_static("inference-header-content-length");

/// Answers tensors, or pictures.
pub async fn infer(
    State(app): State<Arc<App>>,
    Path(place): Path<Place>,
    request: Request,
) -> Result<Response, Refusal> {
    let model = place.find(&app)?;
    let longest = app.admission.longest()?;
    let ticket = app.admission.enter(body::memory(request.headers(), longest)?)?;
    let length = header_length(request.headers())?;
    let bytes = app.admission.arriving(body::whole(request, longest)).await?;
    let slot = ticket.slot().await;
    let done = employ(app, slot, move |app| answer(app, model, &bytes, length));
    Ok(done.await.unwrap_or_else(|_| Err(Problem::fault("the worker broke down on this request")))?)
}

fn header_length(headers: &HeaderMap) -> Result<Option<usize>, Problem> {
    let Some(value) = headers.get(LENGTH) else { return Ok(None) };
    let length = value.to_str().ok().and_then(|text| text.parse().ok());
    length.map(Some).ok_or_else(|| Problem::bad("`Inference-Header-Content-Length` is no number"))
}

fn answer(app: &App, model: usize, bytes: &[u8], length: Option<usize>) -> Result<Response, Problem> {
    let (json, mut binary) = bytes
        .split_at_checked(length.unwrap_or(bytes.len()))
        .ok_or_else(|| Problem::bad("`Inference-Header-Content-Length` is more than the body holds"))?;
    let asked: Asked<'_> = serde_json::from_slice(json)
        .map_err(|error| Problem::bad(&format!("the body is no inference request: {error}")))?;
    let [input] = &asked.inputs[..] else { return Err(Problem::bad("one input is expected")) };
    let named = &app.desk.models()[model];
    let fault = |error: anyhow::Error| Problem::fault(&format!("{error:#}"));
    let (port, output) = named.prepared.ports().map_err(fault)?;
    let part = part(input, &mut binary)?;
    let wanted = wanted(&asked, output)?;
    let card = &named.prepared.card;
    let shape = card.input.shape();
    // One after the other: the network takes one picture.
    let mut raw: Vec<Vec<f32>> = Vec::new();
    let mut probabilities: Vec<Vec<f32>> = Vec::new();
    let mut ask = |tensor: &Array4<f32>| {
        let done = app.desk.with(model, None, Bytes(0), |engine| {
            let values = engine.values(tensor)?;
            Ok((engine.model().to_probabilities(&values)?, values))
        });
        let (chances, values) = done.map_err(fault)?;
        probabilities.push(chances);
        raw.push(values);
        Ok::<_, Problem>(())
    };
    if input.name == IMAGE && input.datatype == "BYTES" {
        let limits = limits(app);
        for picture in pictures(input, part)? {
            let stream = Stream::Memory(Cursor::new(picture));
            let read = Read::of(stream, &card.input, &limits).map_err(|error| unreadable(IMAGE, &error))?;
            ask(&read.picture.tensor)?;
        }
    } else if input.name == port {
        let values = floats(input, part)?;
        if input.shape.len() != shape.len() || input.shape[1..] != shape[1..] {
            let expected = &shape[1..];
            return Err(Problem::bad(&format!(
                "input `{port}` has shape {:?}; expected [N, {expected:?}]",
                input.shape
            )));
        }
        for one in values.chunks_exact(shape[1..].iter().product::<usize>().max(1)) {
            let tensor = Array4::from_shape_vec(shape, one.to_vec()).map_err(|error| fault(error.into()))?;
            ask(&tensor)?;
        }
    } else {
        return Err(Problem::bad(&format!(
            "there is no input `{}` of datatype `{}`: `{port}` takes FP32, `{IMAGE}` takes BYTES",
            input.name, input.datatype
        )));
    }
    let mut behind = Vec::new();
    let outputs = wanted.iter().map(|wanted| {
        let values = if wanted.name == PROBABILITIES { &probabilities } else { &raw };
        let is_binary = wanted.parameters.binary_data.or(asked.parameters.binary_data_output).unwrap_or(false);
        let (shape, data) = match wanted.parameters.classification {
            None => (values.first().map_or(0, Vec::len), Data::Floats(values.concat())),
            Some(count) => {
                // `value:index:label`, best first (Triton's classification extension).
                let best = |values: &Vec<f32>| rank(values, card, Some(count.max(1)));
                let text = |class: crate::predict::Prediction| {
                    format!("{:.6}:{}:{}", class.probability, class.index, class.label)
                };
                let all: Vec<String> = values.iter().flat_map(best).map(text).collect();
                (all.len() / values.len().max(1), Data::Texts(all))
            }
        };
        Output::new(wanted.name.clone(), vec![values.len(), shape], data, is_binary.then_some(&mut behind))
    });
    let outputs = outputs.collect();
    let answered = Answered { model_name: &named.name, model_version: VERSION, id: asked.id.clone(), outputs };
    let mut text = serde_json::to_vec(&answered).map_err(|error| fault(error.into()))?;
    let json = text.len();
    let is_binary = !behind.is_empty();
    text.extend(behind);
    let mut response = Response::new(Body::from(text));
    let kind = if is_binary { "application/octet-stream" } else { "application/json" };
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    if is_binary {
        response.headers_mut().insert(LENGTH, HeaderValue::from(json));
    }
    Ok(response)
}

/// The outputs that are wanted; all where none is named.
fn wanted(asked: &Asked<'_>, output: &str) -> Result<Vec<Wanted>, Problem> {
    let known = [output, PROBABILITIES];
    if let Some(other) = asked.outputs.iter().find(|wanted| !known.contains(&wanted.name.as_str())) {
        return Err(Problem::bad(&format!("there is no output `{}`: `{output}`, `{PROBABILITIES}`", other.name)));
    }
    if !asked.outputs.is_empty() {
        return Ok(asked.outputs.clone());
    }
    let mut names = vec![output];
    names.extend(known.into_iter().skip(1).filter(|name| *name != output));
    Ok(names.into_iter().map(|name| Wanted { name: name.to_owned(), parameters: Parameters::default() }).collect())
}

/// Files of pictures: bytes in binary, base64 in JSON.
fn pictures(input: &super::tensor::Input<'_>, binary: Option<&[u8]>) -> Result<Vec<Vec<u8>>, Problem> {
    let all: Vec<Vec<u8>> = match (binary, input.data) {
        (Some(bytes), _) => elements(&input.name, bytes)?.into_iter().map(<[u8]>::to_vec).collect(),
        (None, Some(data)) => {
            let bad = |why: String| Problem::bad(&format!("input `{}`: {why}", input.name));
            let texts: Vec<&str> =
                serde_json::from_str(data.get()).map_err(|error| bad(format!("expected base64 texts: {error}")))?;
            let decode = |text: &str| STANDARD.decode(text).map_err(|error| bad(format!("no base64: {error}")));
            texts.into_iter().map(decode).collect::<Result<_, _>>()?
        }
        (None, None) => return Err(Problem::bad(&format!("input `{}` has no `data`", input.name))),
    };
    let expected: usize = input.shape.iter().product();
    if all.len() != expected || all.is_empty() {
        let why =
            format!("input `{}`: its shape is {:?}, and there are {} elements", input.name, input.shape, all.len());
        return Err(Problem::bad(&why));
    }
    Ok(all)
}
