//! Colour maps: a value between 0 and 1 to a colour.
use super::turbo::TURBO;
use colorous::Gradient;

/// Which colours stand for low and high values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Colormap {
    /// Blue, cyan, yellow, red: what papers on class activation maps use. Neither even nor fit for the colour-blind.
    Jet,
    /// Like jet, but even.
    Turbo,
    /// Violet, green, yellow.
    Viridis,
    /// Black, violet, orange, light yellow.
    Inferno,
    /// Black, violet, rose, cream.
    Magma,
}

/// The colours of a map, red green blue, from the lowest value to the highest.
pub type Colors = [[u8; 3]; 256];

impl Colormap {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Jet, Self::Turbo, Self::Viridis, Self::Inferno, Self::Magma];

    /// The name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Jet => "jet",
            Self::Turbo => "turbo",
            Self::Viridis => "viridis",
            Self::Inferno => "inferno",
            Self::Magma => "magma",
        }
    }

    /// Its 256 colours.
    pub fn colors(self) -> Colors {
        let gradient = |gradient: Gradient| {
            std::array::from_fn(|at| {
                let color = gradient.eval_rational(at, 256);
                [color.r, color.g, color.b]
            })
        };
        match self {
            Self::Jet => std::array::from_fn(|at| jet(at as f64 / 255.0)),
            Self::Turbo => TURBO.map(|rgb| [(rgb >> 16) as u8, (rgb >> 8) as u8, rgb as u8]),
            Self::Viridis => gradient(colorous::VIRIDIS),
            Self::Inferno => gradient(colorous::INFERNO),
            Self::Magma => gradient(colorous::MAGMA),
        }
    }
}

/// A value between 0 and 1 as the index of its colour.
pub fn index(value: f32) -> usize {
    usize::from((value * 255.0).round() as u8)
}

/// Jet as matplotlib defines it (`_cm.py`, `_jet_data`): lines between the points (position, level) of each channel.
fn jet(at: f64) -> [u8; 3] {
    const RED: [(f64, f64); 5] = [(0.0, 0.0), (0.35, 0.0), (0.66, 1.0), (0.89, 1.0), (1.0, 0.5)];
    const GREEN: [(f64, f64); 6] = [(0.0, 0.0), (0.125, 0.0), (0.375, 1.0), (0.64, 1.0), (0.91, 0.0), (1.0, 0.0)];
    const BLUE: [(f64, f64); 5] = [(0.0, 0.5), (0.11, 1.0), (0.34, 1.0), (0.65, 0.0), (1.0, 0.0)];
    let level = |points: &[(f64, f64)]| {
        let line = points.windows(2).find(|line| at <= line[1].0).map_or([points[0]; 2], |line| [line[0], line[1]]);
        let [(from, low), (to, high)] = line;
        ((low + (high - low) * (at - from) / (to - from)) * 255.0).round() as u8
    };
    [level(&RED), level(&GREEN), level(&BLUE)]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// matplotlib 3.11.2, `colormaps[name](i)` times 255, rounded, for these i.
    const AT: [usize; 9] = [0, 32, 64, 100, 128, 160, 200, 230, 255];
    #[rustfmt::skip]
    const MATPLOTLIB: [(Colormap, [[u8; 3]; 9]); 5] = [
        (Colormap::Jet, [[0, 0, 128], [0, 0, 255], [0, 128, 255], [35, 255, 212], [125, 255, 122], [228, 255, 19], [255, 119, 0], [241, 8, 0], [128, 0, 0]]),
        (Colormap::Turbo, [[48, 18, 59], [70, 107, 227], [40, 188, 235], [63, 246, 138], [164, 252, 60], [238, 207, 58], [244, 102, 23], [195, 37, 3], [122, 4, 3]]),
        (Colormap::Viridis, [[68, 1, 84], [71, 45, 123], [59, 82, 139], [42, 118, 142], [33, 145, 140], [40, 174, 128], [112, 207, 87], [189, 223, 38], [253, 231, 37]]),
        (Colormap::Inferno, [[0, 0, 4], [33, 12, 74], [87, 16, 110], [144, 37, 104], [188, 55, 84], [228, 90, 49], [251, 157, 7], [246, 215, 70], [252, 255, 164]]),
        (Colormap::Magma, [[0, 0, 4], [29, 17, 71], [81, 18, 124], [137, 40, 129], [183, 55, 121], [231, 82, 99], [253, 152, 105], [254, 207, 146], [252, 253, 191]]),
    ];

    #[test]
    fn the_colours_are_matplotlib_s() {
        for (map, expected) in MATPLOTLIB {
            let colors = map.colors();
            for (at, expected) in AT.into_iter().zip(expected) {
                // The tables behind matplotlib have more than 8 bits, those behind `colorous` have 8.
                let differs = colors[at].iter().zip(expected).any(|(&ours, theirs)| ours.abs_diff(theirs) > 1);
                assert!(!differs, "{map:?} at {at}: {:?}, not {expected:?}", colors[at]);
            }
        }
    }
}
