//! What a worker does with a picture: it reads, asks the network, and writes the answer, which leaves while it is painted.
use super::admission::Slot;
use super::app::App;
use super::body::Upload;
use super::channel::pipe;
use super::overlay::Overlay;
use super::problem::Problem;
use crate::explain::cam::Method;
use crate::explain::overlay::{Heat, Style};
use crate::explain::{Classes, Engine, Explanation, Options, picture};
use crate::input::{Geometry, Limits, OverLimit, Stream, UprightRows};
use crate::memory::{Phase, tune_malloc};
use crate::model::SessionOptions;
use crate::predict::{Answer, Options as PredictOptions, Read, Run, classify};
use crate::report::gradcam::{Files, Shown};
use crate::report::served::{write_answer, write_explained};
use crate::text::one_line;
use crate::units::Bytes;
use anyhow::Result;
use axum::body::Body;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;
use std::fmt;
use std::io::{Cursor, Write};
use std::sync::Arc;
use std::time::Instant;
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::task::{JoinHandle, spawn_blocking};

/// How an answer is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// As `dermai predict --json` and `dermai gradcam --json` write it.
    Json,
    /// The overlay.
    Png,
}

/// Which map is wanted.
#[derive(Clone, Debug)]
pub struct Explain {
    /// Of which class.
    pub classes: Classes,
    /// Made how.
    pub method: Method,
    /// At which layer; none: the card's, or the last feature map.
    pub layer: Option<String>,
    /// Whether layer and method are the server's own.
    pub is_usual: bool,
    /// What it takes beyond such a map.
    pub extra: Bytes,
    /// Whether the heat is painted alone, without the photo.
    pub is_alone: bool,
}

/// What is asked.
pub struct Question {
    /// Place of the model.
    pub model: usize,
    /// The picture.
    pub upload: Upload,
    /// Classes in the answer; none: all.
    pub top: Option<usize>,
    /// The map, if one is wanted.
    pub explain: Option<Explain>,
    /// How the answer is written.
    pub form: Form,
}

/// Has a worker answer. The slot is free again when all of it has left, or nobody waits for it any more.
pub async fn answer(app: Arc<App>, slot: Slot, question: Question) -> Result<Response, Problem> {
    let (to, from) = oneshot::channel();
    let runtime = Handle::current();
    employ(app, slot, move |app| work(app, question, &runtime, to));
    // A worker that panics drops its side.
    from.await.unwrap_or_else(|_| Err(Problem::fault("the worker broke down on this picture")))
}

/// Has a worker do something in its slot, and give back what it leaves.
pub fn employ<T: Send + 'static>(
    app: Arc<App>,
    slot: Slot,
    work: impl FnOnce(&Arc<App>) -> Result<T, Problem> + Send + 'static,
) -> JoinHandle<Result<T, Problem>> {
    spawn_blocking(move || {
        let begun = Instant::now();
        let done = work(&app);
        tune_malloc(Phase::Running);
        // What is refused takes less than what others wait for.
        if done.is_ok() {
            app.admission.took(begun.elapsed());
        }
        drop(slot);
        done
    })
}

type Reply = oneshot::Sender<Result<Response, Problem>>;

fn work(app: &Arc<App>, question: Question, runtime: &Handle, reply: Reply) -> Result<(), Problem> {
    let ready = match prepare(app, question) {
        Err(problem) => {
            let _ = reply.send(Err(problem.clone())); // whoever asked may have gone
            return Err(problem);
        }
        Ok(ready) => ready,
    };
    let begun = Instant::now();
    if let Err(error) = ready.write(app, runtime, reply) {
        tracing::info!(error = format!("{error:#}"), "an answer was not taken whole");
    }
    app.metrics.took("write", begun.elapsed());
    Ok(())
}

/// All that is known before the first byte leaves.
struct Ready {
    run: Run,
    answer: Answer,
    explanation: Option<(Shown, Option<Overlay>)>,
    form: Form,
}

fn prepare(app: &App, question: Question) -> Result<Ready, Problem> {
    let named = &app.desk.models()[question.model];
    let card = named.prepared.card.clone();
    let limits = limits(app);
    let begun = Instant::now();
    let stream = Stream::Memory(Cursor::new(question.upload.bytes));
    let mut read = Read::of(stream, &card.input, &limits).map_err(|error| unreadable(&question.upload.name, &error))?;
    app.metrics.took("read", begun.elapsed());
    let threshold = app.threshold.or(card.threshold);
    let options = options(question.top, question.explain.as_ref(), limits, threshold);
    let wanted = question.explain.as_ref().map(|_| options.wanted());
    let begun = Instant::now();
    let extra = question.explain.as_ref().map_or(Bytes(0), |explain| explain.extra);
    let done = app.desk.with(question.model, wanted.as_ref(), extra, |engine| {
        let run = Run {
            identity: Some(engine.model().identity()?.clone()),
            threshold,
            card,
            warnings: engine.model().warnings().to_vec(),
        };
        let name = &question.upload.name;
        let (answer, explanations) = match engine {
            Engine::Plain(model) => (classify(model, name, &read, run.cut(question.top))?, Vec::new()),
            Engine::Explaining(explainer) => picture(explainer, name, &read, &options, &run, &mut ())?,
        };
        Ok((run, answer, explanations))
    });
    app.metrics.took("network", begun.elapsed());
    let is_special = question.explain.as_ref().is_some_and(|explain| !explain.is_usual);
    let (run, answer, explanations) = done.map_err(|error| failed(&error, is_special))?;
    let style =
        Style { heatmap_only: question.explain.as_ref().is_some_and(|explain| explain.is_alone), ..Style::USUAL };
    let explained = question.explain.and_then(|_| explanations.into_iter().next());
    let explanation = explained.map(|explanation| shown(explanation, &mut read, &run, limits, style)).transpose();
    let explanation = explanation.map_err(|error| unreadable(&question.upload.name, &error))?;
    if let (Form::Png, Some((Shown { flat: Some(why), .. }, _))) = (question.form, &explanation) {
        return Err(Problem::unreadable(&format!("there is no map to paint: {why}")));
    }
    Ok(Ready { run, answer, explanation, form: question.form })
}

/// Memory for a decoder is what admission has kept for it.
pub fn limits(app: &App) -> Limits {
    let decode = app.admission.decoder().map_or(app.limits.decode, |decoder| decoder.min(app.limits.decode));
    Limits { decode, ..app.limits }
}

fn options(top: Option<usize>, explain: Option<&Explain>, limits: Limits, threshold: Option<f64>) -> Options {
    let session = SessionOptions { threads: 1, spinning: false };
    let usual = Options::usual(PredictOptions { top, threshold, limits, session });
    match explain.cloned() {
        None => usual,
        Some(Explain { classes, method, layer, .. }) => Options { layer, method, classes, ..usual },
    }
}

/// A picture that cannot be read: 413 where it is only too large, else 422.
pub fn unreadable(name: &str, error: &anyhow::Error) -> Problem {
    let why = format!("`{}`: {error:#}", one_line(name));
    if error.downcast_ref::<OverLimit>().is_some() {
        return Problem::new(StatusCode::PAYLOAD_TOO_LARGE, &why);
    }
    Problem::unreadable(&why)
}

fn failed(error: &anyhow::Error, is_special: bool) -> Problem {
    let why = format!("{error:#}");
    // What was asked for cannot be had of this model.
    if is_special { Problem::bad(&why) } else { Problem::fault(&why) }
}

fn shown(
    explanation: Explanation,
    read: &mut Read,
    run: &Run,
    limits: Limits,
    style: Style,
) -> Result<(Shown, Option<Overlay>)> {
    let geometry = Geometry::of(read.picture.size, &run.card.input);
    let (flat, overlay) = match Heat::new(&explanation.map) {
        Err(flat) => (Some(flat.to_string()), None),
        Ok(heat) => {
            let rows = UprightRows::open(read.photo.again(), &limits, UprightRows::BUFFER)?;
            (None, Some(Overlay::new(rows, geometry, heat, style)))
        }
    };
    Ok((Shown { explanation, files: Files::default(), flat }, overlay))
}

impl Ready {
    fn write(self, app: &Arc<App>, runtime: &Handle, reply: Reply) -> Result<()> {
        let Some((shown, overlay)) = self.explanation else {
            let mut text = Vec::new();
            write_answer(&mut text, &self.run, self.answer)?;
            let _ = reply.send(Ok(response("application/json", Body::from(text))));
            return Ok(());
        };
        let app = Arc::clone(app);
        let (mut out, body) = pipe(runtime.clone(), Box::new(move || app.admission.answers_by()));
        let kind = if self.form == Form::Png { "image/png" } else { "application/json" };
        if reply.send(Ok(response(kind, body))).is_err() {
            return Ok(()); // nobody waits for it
        }
        let written = match (self.form, &overlay) {
            (Form::Png, Some(overlay)) => overlay.write(&mut out),
            (Form::Png, None) => Err(anyhow::anyhow!("there is nothing to paint")),
            (Form::Json, overlay) => {
                let png = overlay.as_ref().map(|overlay| overlay as &dyn fmt::Display);
                write_explained(&mut out, &self.run, self.answer, &[shown], png)
            }
        };
        let written = written.and_then(|()| Ok(out.flush()?));
        let broken = overlay.and_then(Overlay::broken);
        match broken.map_or(written, Err) {
            Ok(()) => Ok(()),
            Err(error) => {
                out.abort("the answer could not be finished");
                Err(error)
            }
        }
    }
}

fn response(kind: &'static str, body: Body) -> Response {
    let mut response = Response::new(body);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}
