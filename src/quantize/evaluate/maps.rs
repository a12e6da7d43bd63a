//! How alike two models explain: Grad-CAM of the source's best class by both, on a few pictures.
use super::{Pair, SESSION};
use crate::explain::faithfulness::similarity;
use crate::explain::{Explainer, Map, Wanted};
use crate::input::Limits;
use crate::model::Prepared;
use crate::predict::each;
use crate::quantize::Pictures;
use crate::units::Progress;
use anyhow::{Context, Result};

/// At most so many pictures, spread evenly over the set: a map takes a backward pass.
const MOST: usize = 20;

/// Pearson's correlation of the bundle's maps with the source's.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Maps {
    /// Mean over the pictures, -1 to 1.
    pub mean: f64,
    /// The least.
    pub least: f64,
    /// Pictures whose maps were compared.
    pub images: usize,
}

/// Compares maps on some pictures of the set; those that cannot be read are left out. None where no map shows anything.
pub fn alike(
    models: Pair<&Prepared>,
    set: &Pictures,
    limits: &Limits,
    progress: &mut dyn Progress,
) -> Result<Option<Maps>> {
    let some = set.spread(MOST);
    let chosen: Vec<_> = some.entries().iter().map(|entry| entry.source.clone()).collect();
    let start = |model: &Prepared| Explainer::start(model.clone(), &Wanted::default(), &SESSION);
    let mut explainers: Option<Pair<Explainer>> = None;
    let mut all = Vec::new();
    each(&chosen, &models.before.card.input, limits, progress, |source, read| {
        let Ok(read) = read else { return Ok(()) };
        let pair = match &mut explainers {
            Some(pair) => pair,
            None => explainers.insert(Pair { before: start(models.before)?, after: start(models.after)? }),
        };
        let mut compare = || {
            let before = pair.before.explain(&read.picture.tensor, None)?;
            let after = pair.after.explain(&read.picture.tensor, Some(before.class))?;
            let [before, after] = [before.map, after.map].map(|map| map.context("the map stays inside the graph"));
            correlation(&before?, &after?)
        };
        all.extend(compare().with_context(|| format!("Grad-CAM of `{}`", source.name()))?);
        Ok(())
    })?;
    let least = all.iter().copied().min_by(f64::total_cmp);
    Ok(least.map(|least| Maps { mean: all.iter().sum::<f64>() / all.len() as f64, least, images: all.len() }))
}

/// Pearson's r. None where neither map shows anything; 0 where only one does.
fn correlation(before: &Map, after: &Map) -> Result<Option<f64>> {
    let constant = |map: &Map| map.iter().all(|value| Some(value) == map.first());
    if constant(before) && constant(after) {
        return Ok(None);
    }
    Ok(Some(similarity(before, after)?.pearson.unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn a_map_that_vanishes_is_not_alike() {
        let (flat, ramp) = (array![[1.0, 1.0, 1.0, 1.0]], array![[0.0, 0.0, 1.0, 1.0]]);
        assert_eq!(correlation(&flat, &flat).unwrap(), None);
        assert_eq!(correlation(&flat, &ramp).unwrap(), Some(0.0));
        assert_eq!(correlation(&ramp, &ramp).unwrap(), Some(1.0));
    }
}
