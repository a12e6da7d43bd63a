//! A running network as a deployment keeps it in memory: one session, with a backward pass behind it where maps are wanted.
use super::Map;
use super::explainer::{Explainer, Wanted};
use super::run::{Options, explain};
use crate::model::{Model, Prepared, SessionOptions};
use anyhow::{Result, ensure};
use ndarray::Array4;

/// A running network.
#[derive(Debug)]
pub enum Engine {
    /// It answers.
    Plain(Box<Model>),
    /// It answers and explains, in one run.
    Explaining(Box<Explainer>),
}

impl Engine {
    /// Loads the runtime and creates the session; `wanted` says which maps are wanted, if any are.
    pub fn start(prepared: Prepared, wanted: Option<&Wanted>, options: &SessionOptions) -> Result<Self> {
        Ok(match wanted {
            None => Self::Plain(Box::new(prepared.start(options)?)),
            Some(wanted) => Self::Explaining(Box::new(Explainer::start(prepared, wanted, options)?)),
        })
    }

    /// Answers a tensor in the card's layout. Gives the map, `[h, w]`, where maps are made: as `options` say, which it was started for.
    pub fn answer(&mut self, tensor: &Array4<f32>, options: &Options) -> Result<Option<Map>> {
        match self {
            Self::Plain(model) => {
                ensure!(!model.probabilities(tensor)?.is_empty(), "the model gave no answer");
                Ok(None)
            }
            Self::Explaining(explainer) => Ok(Some(explain(explainer, tensor, options, &mut ())?.2)),
        }
    }

    /// The values of the output that holds the classes, as the graph gives them, for a tensor in the card's layout.
    pub fn values(&mut self, tensor: &Array4<f32>) -> Result<Vec<f32>> {
        match self {
            Self::Plain(model) => Ok(model.run(tensor, &[], &[])?.remove(0).into_iter().collect()),
            Self::Explaining(explainer) => explainer.values(tensor),
        }
    }

    /// The model that answers.
    pub fn model(&mut self) -> &mut Model {
        match self {
            Self::Plain(model) => model,
            Self::Explaining(explainer) => explainer.model(),
        }
    }
}
