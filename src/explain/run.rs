//! From pictures to maps: each picture is classified and explained in one run of the graph, and handed on with its maps.
use super::cam::Method;
use super::explainer::{Explained, Explainer, Question};
use super::score::Score;
use super::smooth::Smooth;
use super::{Map, methods};
use crate::input::Source;
use crate::model::{Card, Prepared};
use crate::predict::{Answer, Failure, Options as PredictOptions, Prediction, Read, Run, Summary, each};
use crate::units::Progress;
use anyhow::{Context, Result};
use std::time::Instant;

/// How to explain.
#[derive(Clone, Debug)]
pub struct Options {
    /// How to classify.
    pub predict: PredictOptions,
    /// The layer's name; none: the card's, else the last feature map.
    pub layer: Option<String>,
    /// Which score is differentiated.
    pub score: Score,
    /// How activation and gradient become a map.
    pub method: Method,
    /// What is averaged over, if anything.
    pub smooth: Option<Smooth>,
    /// Which classes are explained.
    pub classes: Classes,
}

/// Which classes are explained.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Classes {
    /// The best few of each picture, one map each.
    Best(usize),
    /// The same for every picture.
    One(usize),
}

impl Classes {
    /// The class that a user names by its label or its index.
    ///
    /// # Errors
    /// When there is none such: the known ones are listed.
    pub fn named(card: &Card, name: &str) -> Result<Self> {
        let is_named = |label: &crate::model::Label| {
            let others = [label.en.as_deref(), label.vi.as_deref()];
            label.id == name || others.into_iter().flatten().any(|text| text.eq_ignore_ascii_case(name))
        };
        let by_label = card.labels.iter().position(is_named);
        let by_index = || name.parse().ok().filter(|&index: &usize| index < card.labels.len());
        by_label.or_else(by_index).map(Self::One).with_context(|| {
            const SHOWN: usize = 20;
            let known: Vec<_> = card.labels.iter().take(SHOWN).map(|label| format!("`{}`", label.id)).collect();
            let rest = if card.labels.len() > SHOWN { ", …" } else { "" };
            format!("the model has no class `{name}`; it has {}{rest} (or 0 to {})", known.join(", "), card.labels.len() - 1)
        })
    }
}

/// A map and what it explains.
#[derive(Clone, Debug)]
pub struct Explanation {
    /// How it was made.
    pub method: Method,
    /// The layer's name.
    pub layer: String,
    /// Which score was differentiated.
    pub score: Score,
    /// The class.
    pub class: Prediction,
    /// The class's place among the best, from 1; none where the user chose the class.
    pub rank: Option<usize>,
    /// `[h, w]`, after ReLU, before normalisation and upsampling.
    pub map: Map,
}

/// Takes results as they come, in the order of the sources.
pub trait Sink {
    /// A picture was classified and explained.
    fn explained(&mut self, run: &Run, source: &Source, answer: Answer, explanations: Vec<Explanation>) -> Result<()>;
    /// A picture was not.
    fn failure(&mut self, run: &Run, failure: Failure) -> Result<()>;
}

/// Classifies and explains `sources` in order. A bad picture is a [`Failure`] and does not stop the rest; an error ends the run.
pub fn run(
    prepared: Prepared,
    sources: &[Source],
    options: &Options,
    sink: &mut dyn Sink,
    progress: &mut dyn Progress,
) -> Result<Summary> {
    let mut summary = Summary::of(&prepared, &options.predict);
    let spec = summary.run.card.input.clone();
    let mut waiting = Some(prepared);
    let mut running: Option<Explainer> = None;
    each(sources, &spec, &options.predict.limits, progress, |source, read| {
        let result = match read {
            Ok(read) => {
                if let Some(prepared) = waiting.take() {
                    running = Some(Explainer::start(prepared, &options.question(), &options.predict.session)?);
                }
                let explainer = running.as_mut().context("the model was not started")?;
                let result = picture(explainer, &source.name(), &read, options, &summary.run);
                summary.identify(explainer.model())?;
                result
            }
            Err(error) => Err(error),
        };
        match result {
            Ok((answer, explanations)) => {
                summary.answered += 1;
                sink.explained(&summary.run, source, answer, explanations)
            }
            Err(error) => {
                let failure = summary.failure(source, &error);
                sink.failure(&summary.run, failure)
            }
        }
    })?;
    Ok(summary)
}

impl Options {
    /// What the graph has to give: Grad-CAM's map is computed inside it, all else from activation and gradient.
    pub fn question(&self) -> Question {
        let whole = self.method != Method::GradCam || self.smooth.is_some();
        Question { layer: self.layer.clone(), score: self.score, whole }
    }
}

/// Classifies and explains one picture.
fn picture(
    explainer: &mut Explainer,
    image: &str,
    read: &Read,
    options: &Options,
    run: &Run,
) -> Result<(Answer, Vec<Explanation>)> {
    let tensor = &read.picture.tensor;
    let begun = Instant::now();
    let chosen = if let Classes::One(class) = options.classes { Some(class) } else { None };
    let first = explainer.explain(tensor, chosen)?;
    let infer = begun.elapsed();
    let all = Answer::of(image, read, &first.probabilities, &run.card, infer, run.cut(None));
    let wanted: Vec<(Option<usize>, Prediction)> = match options.classes {
        Classes::One(class) => all.predictions.iter().filter(|p| p.index == class).map(|p| (None, p.clone())).collect(),
        Classes::Best(count) => {
            all.predictions.iter().take(count.max(1)).enumerate().map(|(at, p)| (Some(at + 1), p.clone())).collect()
        }
    };
    let mut first = Some(first);
    let mut explanations = Vec::new();
    for (rank, class) in wanted {
        let explained = match first.take() {
            Some(first) if first.class == class.index => first,
            _ => explainer.explain(tensor, Some(class.index))?,
        };
        let map = map(explainer, tensor, explained, options, run)?;
        let layer = explainer.layer().name.clone();
        explanations.push(Explanation { method: options.method, layer, score: options.score, class, rank, map });
    }
    let answer = Answer::of(image, read, &probabilities(&all), &run.card, infer, run.cut(options.predict.top));
    Ok((answer, explanations))
}
