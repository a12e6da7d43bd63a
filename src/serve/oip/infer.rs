//! `POST /v2/models/{model}/infer`.
use super::tensor::{
    Data, Input, Output, Parameters, Request as Asked, Response as Answered, Wanted, elements, floats, part, texts,
};
use super::{IMAGE, PROBABILITIES, Place, Refusal, VERSION};
use crate::input::Stream;
use crate::predict::{Read, rank};
use crate::serve::allowance::{Allowance, Factor};
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
use std::time::Instant;

/// Bytes of the JSON, where binary tensors follow it (Triton's binary data extension).
pub const LENGTH: HeaderName = HeaderName::from_static("inference-header-content-length");

/// Memory of a request by the length of its body: values beside their bytes, and one picture; numbers of two characters in JSON.
const BINARY: Factor = Factor(9, 4);
const JSON: Factor = Factor(13, 4);
/// Pictures or tensors in a request, at most.
const MOST: usize = 64;

/// Answers tensors, or pictures.
pub async fn infer(
    State(app): State<Arc<App>>,
    Path(place): Path<Place>,
    request: Request,
) -> Result<Response, Refusal> {
    let model = place.find(&app)?;
    let length = header_length(request.headers())?;
    let factor = if length.is_some() { BINARY } else { JSON };
    let mut allowance = Allowance::of(&app.admission, request.headers(), factor)?;
    let bytes = app.admission.arriving(body::whole(request, &mut allowance), body::ENDING).await?;
    let slot = allowance.ticket().slot().await;
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
    let (port, output) = named.prepared.ports().map_err(Problem::from)?;
    let wanted = wanted(&asked, output)?;
    let card = &named.prepared.card;
    let shape = card.input.shape();
    let is_picture = input.name == IMAGE && input.datatype == "BYTES";
    if !is_picture && input.name != port {
        return Err(Problem::bad(&format!(
            "there is no input `{}` of datatype `{}`: `{port}` takes FP32, `{IMAGE}` takes BYTES",
            input.name, input.datatype
        )));
    }
    let count = if is_picture {
        input.elements().ok_or_else(|| Problem::bad(&format!("input `{}` has shape {:?}", input.name, input.shape)))?
    } else {
        tensors_of(input, shape)?
    };
    few_enough(app, count)?;
    let part = part(input, &mut binary)?;
    let begun = Instant::now();
    // One after the other: the network takes one picture.
    let mut raw: Vec<Vec<f32>> = Vec::new();
    let mut probabilities: Vec<Vec<f32>> = Vec::new();
    let mut ask = |tensor: &Array4<f32>| {
        let done = app.desk.with(model, None, Bytes(0), |engine| {
            let values = engine.values(tensor)?;
            Ok((engine.model().to_probabilities(&values)?, values))
        });
        let (chances, values) = done.map_err(Problem::from)?;
        probabilities.push(chances);
        raw.push(values);
        Ok::<_, Problem>(())
    };
    if is_picture {
        let limits = limits(app);
        let mut read = |picture: Vec<u8>| {
            let stream = Stream::Memory(Cursor::new(picture));
            let read = Read::of(stream, &card.input, &limits).map_err(|error| unreadable(IMAGE, &error))?;
            ask(&read.picture.tensor)
        };
        match (part, input.data) {
            (Some(bytes), _) => {
                elements(&input.name, bytes, count)?.into_iter().try_for_each(|picture| read(picture.to_vec()))?;
            }
            (None, Some(data)) => texts(input, data, count)?.into_iter().try_for_each(|text| {
                let decoded = STANDARD.decode(text.as_bytes());
                read(decoded.map_err(|error| Problem::bad(&format!("input `{}`: no base64: {error}", input.name)))?)
            })?,
            (None, None) => return Err(Problem::bad(&format!("input `{}` has no `data`", input.name))),
        }
    } else {
        let values = floats(input, part)?;
        if values.iter().any(|value| !value.is_finite()) {
            return Err(Problem::bad(&format!("input `{port}` holds NaN or infinite values")));
        }
        for one in values.chunks_exact(shape[1..].iter().product::<usize>().max(1)) {
            let tensor = Array4::from_shape_vec(shape, one.to_vec())
                .map_err(|error| Problem::from(anyhow::Error::from(error)))?;
            ask(&tensor)?;
        }
    }
    app.admission.took_each(begun.elapsed() / count as u32);
    app.metrics.took("infer", begun.elapsed());
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
    let mut text = serde_json::to_vec(&answered).map_err(|error| Problem::from(anyhow::Error::from(error)))?;
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
    let mut outputs = asked.outputs.iter().enumerate();
    if let Some((_, twice)) = outputs.find(|(at, wanted)| asked.outputs[..*at].iter().any(|w| w.name == wanted.name)) {
        return Err(Problem::bad(&format!("output `{}` is asked for twice", twice.name)));
    }
    if !asked.outputs.is_empty() {
        return Ok(asked.outputs.clone());
    }
    let mut names = vec![output];
    names.extend(known.into_iter().skip(1).filter(|name| *name != output));
    Ok(names.into_iter().map(|name| Wanted { name: name.to_owned(), parameters: Parameters::default() }).collect())
}

/// Tensors that the network takes one by one.
fn tensors_of(input: &Input<'_>, shape: [usize; 4]) -> Result<usize, Problem> {
    match input.shape[..] {
        [count, ref rest @ ..] if *rest == shape[1..] => Ok(count),
        _ => {
            let (name, is, [_, a, b, c]) = (&input.name, &input.shape, shape);
            Err(Problem::bad(&format!("input `{name}` has shape {is:?}; expected [N, {a}, {b}, {c}]")))
        }
    }
}

/// One request holds a worker for no longer than others may have to wait.
fn few_enough(app: &App, count: usize) -> Result<(), Problem> {
    if count == 0 {
        return Err(Problem::bad("there is nothing in the input"));
    }
    let most = app.admission.most_at_once().min(MOST);
    if count > most {
        return Err(Problem::too_large(&format!("{count} at once, over the limit of {most}: ask for fewer")));
    }
    Ok(())
}
