//! How near a quantized network answers to its source, on some of the calibration pictures: what a search decides by.
use crate::input::Limits;
use crate::model::Prepared;
use crate::quantize::Pictures;
use crate::quantize::evaluate::{Answer, Likeness, SESSION, answer};
use crate::quantize::pictures::spread;
use crate::units::{Bytes, Progress};
use anyhow::{Context, Result};
use ndarray::Array4;

/// Pictures are held as tensors, at most so many and so much of them.
const MOST_PICTURES: usize = 128;
const MOST_BYTES: Bytes = Bytes::mb(64);

/// Pictures, and what the source answers.
#[derive(Debug)]
pub struct Judge {
    tensors: Vec<Array4<f32>>,
    answers: Vec<Answer>,
}

impl Judge {
    /// Asks the source about pictures spread over the set.
    pub fn of(source: &Prepared, pictures: (&Pictures, &Limits), progress: &mut dyn Progress) -> Result<Self> {
        let (set, limits) = pictures;
        let each = source.card.input.shape().iter().product::<usize>() * size_of::<f32>();
        let most = (MOST_BYTES.0 as usize / each.max(1)).clamp(1, MOST_PICTURES);
        let some = set.spread(most);
        let mut model = source.clone().start(&SESSION)?;
        let (mut tensors, mut answers) = (Vec::new(), Vec::new());
        // Whether too many are unreadable was asked of the whole set.
        some.each_readable(&source.card.input, limits, progress, |_, entry, read| {
            answers.push(answer(&mut model, &read.picture.tensor).with_context(|| format!("`{}`", entry.name))?);
            tensors.push(read.picture.tensor.clone());
            Ok(())
        })?;
        Ok(Self { tensors, answers })
    }

    /// Has a network answer at most `most` of the pictures, spread over them.
    pub fn judge(&self, network: Prepared, most: usize) -> Result<Likeness> {
        let mut model = network.start(&SESSION)?;
        let mut likeness = Likeness::default();
        for at in spread(self.tensors.len(), most) {
            likeness.add(&self.answers[at], &answer(&mut model, &self.tensors[at])?);
        }
        Ok(likeness)
    }
}
