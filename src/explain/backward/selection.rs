//! Linear maps along one axis (Slice, Gather, Pad, Tile, Resize) and their adjoints, as Gather nodes: scatter-add needs opset 16, Gather none.
use super::{Emit, Name};

/// For each output position of an axis, the input positions it is made of, with their weights.
#[derive(Clone, Debug, PartialEq)]
pub struct Selection {
    /// Length of the input axis.
    pub input: usize,
    /// One list an output position, no input position twice.
    pub rows: Vec<Vec<(usize, f32)>>,
}

impl Selection {
    /// Output position `o` is input position `positions[o]`.
    pub fn of(input: usize, positions: impl IntoIterator<Item = usize>) -> Self {
        Self { input, rows: positions.into_iter().map(|p| vec![(p, 1.0)]).collect() }
    }

    fn is_identity(&self) -> bool {
        self.rows.len() == self.input && self.rows.iter().enumerate().all(|(o, row)| row.as_slice() == [(o, 1.0)])
    }

    /// The gradient of the input, from that of the output, which has `rank` axes and is selected along `axis`.
    ///
    /// Each input position gathers from the outputs that it is a part of: one Gather for each of the most such outputs.
    pub fn adjoint(&self, emit: &mut Emit, gradient: &str, axis: usize, rank: usize) -> Name {
        if self.is_identity() {
            return gradient.to_owned();
        }
        let mut parts: Vec<Vec<(usize, f32)>> = vec![Vec::new(); self.input];
        for (output, row) in self.rows.iter().enumerate() {
            for &(input, weight) in row {
                parts[input].push((output, weight));
            }
        }
        let layers = parts.iter().map(Vec::len).max().unwrap_or(0).max(1);
        let mut total: Option<Name> = None;
        for layer in 0..layers {
            // A position with fewer parts gathers any output with weight 0.
            let pick: Vec<_> = parts.iter().map(|all| all.get(layer).copied().unwrap_or((0, 0.0))).collect();
            let index: Vec<i64> = pick.iter().map(|&(o, _)| o as i64).collect();
            let mut gathered = emit.gather(gradient, axis, &index);
            if pick.iter().any(|&(_, weight)| weight != 1.0) {
                let mut shape = vec![1; rank];
                shape[axis] = self.input;
                let weights: Vec<f32> = pick.iter().map(|&(_, weight)| weight).collect();
                let weights = emit.floats(&shape, &weights);
                gathered = emit.mul(&gathered, &weights);
            }
            total = Some(match total {
                None => gathered,
                Some(sum) => emit.add(&sum, &gathered),
            });
        }
        total.unwrap_or_else(|| gradient.to_owned())
    }
}
