//! How far maps can be believed: the checks of [`faithfulness`](super::faithfulness) on pictures, one after the other.
use super::explainer::{Explainer, Reading};
use super::faithfulness::{
    AucSettings, AverageDrop, Baseline, Confidence, Road, RoadSettings, Similarity, Subject, average, confidence,
    insertion_deletion, road, similarity,
};
use super::randomise::head;
use super::run::{Options, Watch, explain};
use crate::input::Source;
use crate::model::Prepared;
use crate::predict::{Failure, Prediction, Read, Summary, each};
use crate::units::Progress;
use anyhow::{Context, Result};
use serde::Serialize;

/// Seed of the random head: the same for everyone, so that figures can be compared.
const SEED: u64 = 7;

/// What the checks found for one map.
#[derive(Clone, Debug)]
pub struct Checked {
    /// The picture's name.
    pub image: String,
    /// The class that was explained.
    pub class: Prediction,
    /// Area under the insertion curve, 0 to 1; higher is better (Petsiuk 2018).
    pub insertion: f64,
    /// Area under the deletion curve, 0 to 1; lower is better (Petsiuk 2018).
    pub deletion: f64,
    /// The probability with the cold parts dimmed (Chattopadhay 2018).
    pub confidence: Confidence,
    /// What removing pixels does (Rong 2022).
    pub road: Road,
    /// How like the map is to that of a network with a random head (Adebayo 2018); none: no weights stand behind the layer.
    pub randomised: Option<Similarity>,
}

/// Means over several maps.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Mean {
    /// Of [`Checked::insertion`].
    pub insertion: f64,
    /// Of [`Checked::deletion`].
    pub deletion: f64,
    /// Drop and increase of the probability.
    #[serde(flatten)]
    pub confidence: AverageDrop,
    /// Of [`Road::combined`].
    pub road: f64,
    /// Rank correlation with the random head's maps, over those for which it is defined.
    pub randomised: Option<f64>,
}

impl Mean {
    fn of(all: &[Checked]) -> Option<Self> {
        let confidence = average(&all.iter().map(|c| c.confidence).collect::<Vec<_>>())?;
        let mean = |values: Vec<f64>| values.iter().sum::<f64>() / values.len() as f64;
        let random: Vec<f64> = all.iter().filter_map(|c| c.randomised?.spearman).collect();
        Some(Self {
            insertion: mean(all.iter().map(|c| c.insertion).collect()),
            deletion: mean(all.iter().map(|c| c.deletion).collect()),
            confidence,
            road: mean(all.iter().map(|c| c.road.combined()).collect()),
            randomised: (!random.is_empty()).then(|| mean(random)),
        })
    }
}

/// All pictures.
#[derive(Clone, Debug)]
pub struct Report {
    /// Who answered, and what was asked.
    pub summary: Summary,
    /// The layer that was explained.
    pub layer: String,
    /// Maps that were checked.
    pub checked: Vec<Checked>,
    /// Means over them; none: there is none.
    pub mean: Option<Mean>,
    /// Pictures that failed, and maps that were flat.
    pub failures: Vec<Failure>,
}

/// Explains the best class of each picture, or the chosen one, and checks its map. A map that is zero or constant is a failure.
pub fn check(prepared: &Prepared, sources: &[Source], options: &Options, watch: &mut Watch<'_>) -> Result<Report> {
    let mut summary = Summary::of(prepared, &options.predict);
    let spec = summary.run.card.input.clone();
    let reading = Reading::of(prepared)?;
    let layer = reading.layer(options.layer.as_deref())?;
    let random = head(&reading, layer, SEED);
    let name = layer.name.clone();
    let mut pair: Option<(Explainer, Option<Explainer>)> = None;
    let (mut checked, mut failures) = (Vec::new(), Vec::new());
    each(sources, &spec, &options.predict.limits, watch.images, |source, read| {
        let result = match read {
            Ok(read) => {
                let (explainer, randomised) = match &mut pair {
                    Some(pair) => pair,
                    None => pair.insert(start(prepared, options, random.clone())?),
                };
                let result = one(explainer, randomised.as_mut(), &source.name(), &read, options, watch.steps);
                summary.identify(explainer.model())?;
                result
            }
            Err(error) => Err(error),
        };
        match result {
            Ok(one) => {
                summary.answered += 1;
                checked.push(one);
            }
            Err(error) => failures.push(summary.failure(source, &error)),
        }
        Ok(())
    })?;
    let mean = Mean::of(&checked);
    Ok(Report { summary, layer: name, checked, mean, failures })
}

/// The network, and the same with a random head.
fn start(
    prepared: &Prepared,
    options: &Options,
    random: Vec<crate::onnx::TensorProto>,
) -> Result<(Explainer, Option<Explainer>)> {
    let (wanted, session) = (options.wanted(), options.predict.session);
    let explainer = Explainer::start(prepared.clone(), &wanted, &session)?;
    let randomised = if random.is_empty() {
        None
    } else {
        Some(Explainer::start_with(prepared.clone(), &wanted, random, &session)?)
    };
    Ok((explainer, randomised))
}

fn one(
    explainer: &mut Explainer,
    randomised: Option<&mut Explainer>,
    image: &str,
    read: &Read,
    options: &Options,
    steps: &mut dyn Progress,
) -> Result<Checked> {
    let tensor = &read.picture.tensor;
    let (probabilities, class, map) = explain(explainer, tensor, options, steps)?;
    let card = explainer.model().card.clone();
    if let Err(flat) = super::overlay::Heat::new(&map) {
        anyhow::bail!("{flat}");
    }
    let randomised = match randomised {
        Some(network) => {
            let (_, _, other) = explain(network, tensor, &options.with_class(class), steps)?;
            Some(similarity(&map, &other)?)
        }
        None => None,
    };
    let subject = Subject::new(tensor, card.input.layout, &map)?;
    let mut probability = |changed: &ndarray::Array4<f32>| {
        let explained = explainer.explain(changed, Some(class))?;
        explained.probabilities.get(class).copied().context("the class has no probability")
    };
    let curves = insertion_deletion(&subject, &AucSettings::STANDARD, &mut probability, steps)?;
    let confidence = confidence(&subject, Baseline::Mean, &mut probability)?;
    let road = road(&subject, &RoadSettings::standard(), &mut probability, steps)?;
    let label = card.labels.get(class).map_or_else(|| class.to_string(), |label| label.id.clone());
    Ok(Checked {
        image: image.to_owned(),
        class: Prediction { index: class, label, probability: probabilities[class] },
        insertion: curves.insertion.auc(),
        deletion: curves.deletion.auc(),
        confidence,
        road,
        randomised,
    })
}
