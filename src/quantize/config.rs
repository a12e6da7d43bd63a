//! What is made of a model, and what it has to hold.
use super::limits::Gates;
use super::{Calibration, Mode, Pictures};
use crate::input::Limits;
use crate::units::Bytes;
use std::path::PathBuf;

/// What is made.
#[derive(Clone, Debug)]
pub struct Config {
    /// What is done to the model.
    pub mode: Mode,
    /// Where the bundle is put.
    pub output: PathBuf,
    /// Pictures that it is compared with its source on; none: it is not, and only what a gate needs is measured.
    pub evaluation: Option<Pictures>,
    /// What it is calibrated with; needed by [`Mode::Int8`]; of [`Mode::Int8Weights`] it is the pictures that count.
    pub calibration: Option<Calibration>,
    /// What it has to hold before it is put there.
    pub gates: Gates,
    /// What a picture may cost.
    pub limits: Limits,
    /// The program `dermai`, which is started to measure the memory of a process that predicts; none: that is not measured.
    pub program: Option<PathBuf>,
}

impl Config {
    /// A bundle that nothing is asked of, and nothing is measured of.
    pub fn plain(mode: Mode, output: PathBuf) -> Self {
        let limits = Limits::within(Bytes::mb(512));
        Self { mode, output, evaluation: None, calibration: None, gates: Gates::default(), limits, program: None }
    }
}
