//! A map brought to 0..=1, and its bilinear enlargement, row by row.
use crate::explain::Map;
use crate::input::{Geometry, Sight};
use ndarray::Array2;
use std::fmt;
use std::ops::Range;

/// Values that differ by less, as a part of the largest, are one value with rounding on it.
const ROUNDING: f32 = 1e-6;

/// A map divided by its maximum: `[h, w]`, 0 to 1, and 1 is reached. So do `pytorch-grad-cam` and Keras: 0 stays 0, and is
/// not moved to the map's minimum.
#[derive(Clone, Debug, PartialEq)]
pub struct Heat(Array2<f32>);

/// Why a map is told and not painted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Flat {
    /// No value is above zero: nothing speaks for the class.
    Zero,
    /// All values are this one: no place speaks more for the class than another. A map of one cell always is.
    Constant(f32),
    /// There are values in it that are no numbers, or infinite: the network's or the method's arithmetic broke down.
    NotFinite,
}

impl fmt::Display for Flat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Zero => f.write_str("the map is zero everywhere: nothing at this layer speaks for the class"),
            Self::Constant(value) => {
                write!(
                    f,
                    "the map is {value} everywhere: no place at this layer speaks more for the class than another"
                )
            }
            Self::NotFinite => f.write_str("the map holds values that are infinite or not a number"),
        }
    }
}

impl std::error::Error for Flat {}

impl Heat {
    /// Normalises a raw map `[h, w]`; what is below zero counts as zero.
    pub fn new(map: &Map) -> Result<Self, Flat> {
        if map.iter().any(|value| !value.is_finite()) {
            return Err(Flat::NotFinite);
        }
        let most = map.iter().fold(0.0f32, |most, &value| most.max(value));
        if most == 0.0 {
            return Err(Flat::Zero);
        }
        let least = map.iter().fold(most, |least, &value| least.min(value));
        if most - least.max(0.0) <= most * ROUNDING {
            return Err(Flat::Constant(most));
        }
        Ok(Self(map.mapv(|value| value.max(0.0) / most)))
    }

    /// `[h, w]`, 0 to 1.
    pub fn values(&self) -> &Array2<f32> {
        &self.0
    }
}

/// What one position is made of: two cells, and how much of the second.
#[derive(Clone, Copy, Debug)]
struct Tap {
    cells: [u32; 2],
    second: f32,
}

impl Tap {
    /// At `place` (0 to 1) between the centres of `cells` cells; beyond the outer centres their values go on, as in `cv2.resize` and TensorFlow.
    fn at(place: f64, cells: usize) -> Self {
        let last = cells as u32 - 1;
        let position = (place * cells as f64 - 0.5).clamp(0.0, last.into());
        let first = (position as u32).min(last);
        Self { cells: [first, (first + 1).min(last)], second: (position - f64::from(first)) as f32 }
    }

    fn between(self, value: impl Fn(usize) -> f32) -> f32 {
        let [first, second] = self.cells.map(|cell| value(cell as usize));
        first + (second - first) * self.second
    }
}

/// A map at the size of the part of the picture that the network saw; only rows in hand exist.
#[derive(Debug)]
pub struct Enlarged<'h> {
    heat: &'h Heat,
    columns: Vec<Tap>,
    rows: Sight,
    /// One row of the map, between two of its rows.
    between: Vec<f32>,
}

impl<'h> Enlarged<'h> {
    /// Lays `heat` over the picture of `geometry`.
    pub fn new(heat: &'h Heat, geometry: &Geometry) -> Self {
        let width = heat.0.ncols();
        let columns = geometry.x.seen().map(|column| Tap::at(geometry.x.place(column), width)).collect();
        Self { heat, columns, rows: geometry.y, between: vec![0.0; width] }
    }

    /// The rows of the picture that there are values for.
    pub fn rows(&self) -> Range<u32> {
        self.rows.seen()
    }

    /// Writes the values (0 to 1) of row `y` of the picture, one for each column that was seen.
    pub fn row(&mut self, y: u32, values: &mut Vec<f32>) {
        let tap = Tap::at(self.rows.place(y), self.heat.0.nrows());
        for (column, value) in self.between.iter_mut().enumerate() {
            *value = tap.between(|row| self.heat.0[[row, column]]);
        }
        values.clear();
        values.extend(self.columns.iter().map(|tap| tap.between(|column| self.between[column])));
    }
}

/// The part of the map that lies over the picture, at the map's own resolution: all of it, but for the padding of `pad`. Where the picture's
/// edge cuts a cell, the rest is resampled, so that the result stretched over what the network saw lies where it belongs.
pub fn over_picture(heat: &Heat, geometry: &Geometry) -> Array2<f32> {
    let taps = |covered: Range<f64>, cells: usize| {
        let part = covered.end - covered.start;
        let count = ((cells as f64 * part).round() as usize).max(1);
        let place = move |at: usize| covered.start + part * (at as f64 + 0.5) / count as f64;
        (0..count).map(|at| Tap::at(place(at), cells)).collect::<Vec<_>>()
    };
    let (rows, columns) = (taps(geometry.y.covered(), heat.0.nrows()), taps(geometry.x.covered(), heat.0.ncols()));
    Array2::from_shape_fn((rows.len(), columns.len()), |(y, x)| {
        columns[x].between(|column| rows[y].between(|row| heat.0[[row, column]]))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::input::{Color, Filter, Layout, Preprocessing, Resize};
    use crate::units::Size;
    use ndarray::array;

    /// `OpenCV` 5.0.0: `cv2.resize(np.float32([[0, 3, 1], [8, 2, 5]]) / 8, (7, 5), interpolation=cv2.INTER_LINEAR)`.
    const OPENCV: [[f32; 7]; 5] = [
        [0.0, 0.053_571_4, 0.214_285_7, 0.375, 0.267_857_1, 0.160_714_3, 0.125],
        [0.1, 0.137_5, 0.25, 0.362_5, 0.282_142_8, 0.201_785_7, 0.175],
        [0.5, 0.473_214_3, 0.392_857_1, 0.312_5, 0.339_285_7, 0.366_071_5, 0.375],
        [0.9, 0.808_928_5, 0.535_714_3, 0.262_5, 0.396_428_6, 0.530_357_2, 0.575],
        [1.0, 0.892_857_1, 0.571_428_5, 0.25, 0.410_714_3, 0.571_428_6, 0.625],
    ];

    #[test]
    fn a_map_is_enlarged_as_opencv_does_it() {
        let spec = Preprocessing {
            layout: Layout::Nchw,
            size: [2, 3],
            color: Color::Rgb,
            resize: Resize::Stretch { filter: Filter::Bilinear },
            scale: 1.0,
            mean: [0.0; 3],
            std: [1.0; 3],
        };
        let geometry = Geometry::of(Size { width: 7, height: 5 }, &spec);
        let heat = Heat::new(&array![[0.0, 3.0, 1.0], [8.0, 2.0, 5.0]]).expect("heat");
        let mut enlarged = Enlarged::new(&heat, &geometry);
        let mut values = Vec::new();
        for (y, expected) in (0..).zip(OPENCV) {
            enlarged.row(y, &mut values);
            let off = |(ours, theirs): (&f32, f32)| (ours - theirs).abs();
            let worst = values.iter().zip(expected).map(off).fold(0.0, f32::max);
            assert!(values.len() == 7 && worst < 1e-6, "row {y}: {values:?}, not {expected:?}");
        }
    }
}
