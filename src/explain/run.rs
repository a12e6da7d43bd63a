//! From pictures to maps: each picture is classified and explained in one run of the graph, and handed on with its maps.
use super::Map;
use super::cam::{self, Method};
use super::explainer::{Explained, Explainer, Wanted};
use super::score::Score;
use super::smooth::Smooth;
use crate::input::{Source, Stream};
use crate::model::{Card, Prepared};
use crate::predict::{Answer, Failure, Options as PredictOptions, Prediction, Read, Run, Summary, each};
use crate::units::Progress;
use anyhow::{Context, Result, ensure};
use ndarray::Array4;
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
    /// How the map is smoothed; may be empty.
    pub smooth: Vec<Smooth>,
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
    /// The class, if there is one for every picture.
    pub fn one(self) -> Option<usize> {
        if let Self::One(class) = self { Some(class) } else { None }
    }

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
            format!(
                "the model has no class `{name}`; it has {}{rest} (or 0 to {})",
                known.join(", "),
                card.labels.len() - 1
            )
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
    /// The class's place among the picture's classes, from 1.
    pub rank: usize,
    /// `[h, w]`, after ReLU, before normalisation and upsampling.
    pub map: Map,
}

/// Who is told how far the work is.
pub struct Watch<'p> {
    /// Of pictures done.
    pub images: &'p mut dyn Progress,
    /// Of the runs that one map takes, where it takes many.
    pub steps: &'p mut dyn Progress,
}

/// Takes results as they come, in the order of the sources.
pub trait Sink {
    /// A picture was classified and explained.
    ///
    /// `photo` gives the picture's bytes once more.
    fn explained(&mut self, run: &Run, photo: Stream, answer: Answer, explanations: Vec<Explanation>) -> Result<()>;
    /// A picture was not.
    fn failure(&mut self, run: &Run, failure: Failure) -> Result<()>;
}

/// Classifies and explains `sources` in order. A bad picture is a [`Failure`] and does not stop the rest; an error ends the run.
pub fn run(
    prepared: Prepared,
    sources: &[Source],
    options: &Options,
    sink: &mut dyn Sink,
    watch: &mut Watch<'_>,
) -> Result<Summary> {
    let mut summary = Summary::of(&prepared, &options.predict);
    let spec = summary.run.card.input.clone();
    let mut waiting = Some(prepared);
    let mut running: Option<Explainer> = None;
    each(sources, &spec, &options.predict.limits, watch.images, |source, read| {
        let result = match read {
            Ok(read) => {
                if let Some(prepared) = waiting.take() {
                    running = Some(Explainer::start(prepared, &options.wanted(), &options.predict.session)?);
                }
                let explainer = running.as_mut().context("the model was not started")?;
                let result = picture(explainer, &source.name(), &read, options, &summary.run, watch.steps);
                summary.identify(explainer.model())?;
                result.map(|(answer, explanations)| (answer, explanations, read.photo))
            }
            Err(error) => Err(error),
        };
        match result {
            Ok((answer, explanations, photo)) => {
                summary.answered += 1;
                sink.explained(&summary.run, photo, answer, explanations)
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
    /// Grad-CAM of the best class's logit, at the card's layer or the last feature map.
    pub fn usual(predict: PredictOptions) -> Self {
        let (score, method) = (Score::Logit, Method::GradCam);
        Self { predict, layer: None, score, method, smooth: Vec::new(), classes: Classes::Best(1) }
    }

    /// Whether feature map and gradient have to leave the graph: Grad-CAM's own map is computed inside it.
    fn whole(&self) -> bool {
        self.method != Method::GradCam || !self.smooth.is_empty()
    }

    /// The same for one class.
    #[must_use]
    pub fn with_class(&self, class: usize) -> Self {
        Self { classes: Classes::One(class), ..self.clone() }
    }

    /// What the graph has to give.
    pub fn wanted(&self) -> Wanted {
        Wanted { layer: self.layer.clone(), score: self.score, whole: self.whole() }
    }
}

/// Classifies and explains one picture that was read; `image` is its name.
pub fn picture(
    explainer: &mut Explainer,
    image: &str,
    read: &Read,
    options: &Options,
    run: &Run,
    steps: &mut dyn Progress,
) -> Result<(Answer, Vec<Explanation>)> {
    let tensor = &read.picture.tensor;
    let begun = Instant::now();
    let first = explainer.explain(tensor, options.classes.one())?;
    let infer = begun.elapsed();
    let mut answer = Answer::of(image, read, &first.probabilities, &run.card, infer, run.cut(None));
    let ranked = (1..).zip(answer.predictions.iter().cloned());
    let wanted: Vec<(usize, Prediction)> = match options.classes {
        Classes::One(class) => ranked.filter(|(_, p)| p.index == class).collect(),
        Classes::Best(count) => ranked.take(count.max(1)).collect(),
    };
    let mut first = Some(first);
    let mut explanations = Vec::new();
    for (rank, class) in wanted {
        let explained = match first.take_if(|first| first.class == class.index) {
            Some(first) => first,
            None => explainer.explain(tensor, Some(class.index))?,
        };
        let map = map(explainer, tensor, explained, options, steps)?;
        let layer = explainer.layer().name.clone();
        explanations.push(Explanation { method: options.method, layer, score: options.score, class, rank, map });
    }
    answer.predictions.truncate(options.predict.top.unwrap_or(usize::MAX));
    Ok((answer, explanations))
}

/// Probabilities, the class that is explained (the chosen one or the best), and its map.
pub(super) fn explain(
    explainer: &mut Explainer,
    tensor: &Array4<f32>,
    options: &Options,
    steps: &mut dyn Progress,
) -> Result<(Vec<f32>, usize, Map)> {
    let explained = explainer.explain(tensor, options.classes.one())?;
    let (probabilities, class) = (explained.probabilities.clone(), explained.class);
    Ok((probabilities, class, map(explainer, tensor, explained, options, steps)?))
}

/// The map of a class, from what the graph gave for it.
fn map(
    explainer: &mut Explainer,
    tensor: &Array4<f32>,
    explained: Explained,
    options: &Options,
    steps: &mut dyn Progress,
) -> Result<Map> {
    let layer = explainer.layer().clone();
    if !options.whole() {
        return layer.arranged(explained.map.context("the graph gave no map")?);
    }
    let moves = options.method == Method::ScoreCam || options.smooth.contains(&Smooth::Aug);
    ensure!(
        !(moves && layer.is_sequence()),
        "`--method scorecam` and `--smooth aug` need rows and columns; layer `{}` is a sequence of tokens",
        layer.name
    );
    let question = cam::Question {
        method: options.method,
        smooth: options.smooth.clone(),
        class: explained.class,
        layout: explainer.model().card.input.layout,
    };
    if question.smooth.contains(&Smooth::Aug) {
        return cam::map(&question, explainer, tensor, steps);
    }
    let activations = explained.activations.context("the graph gave no feature map")?;
    layer.arranged(cam::map_of(&question, &activations, explainer, tensor, steps)?)
}
