//! What a smaller form of a model would take, by what the model itself took.
//!
//! An .onnx as it was exported is there twice: its file is mapped, and the runtime holds a copy of its weights in its own layout. A form is mapped
//! as it is, so its weights are there once, and smaller; everything else, pictures and activations among it, stays. Creating the session of an
//! .onnx takes more than running it, of a form it takes less: that stage is left out.
use super::StagePeak;
use super::pipeline::{DECODE, MODEL, START};
use crate::quantize::Mode;
use crate::units::Bytes;

/// The farthest that an estimate was from a measured peak: of the eight models of the tests by four modes, with maps and without, and of six others before
/// bundles became smaller.
pub const ERROR: &str = "8 %";

/// The peak of a form by `mode`. The model, whose files have `bytes`, has these `stages` and all in all the predicted peak `whole`.
pub fn peak(stages: &[StagePeak], whole: Bytes, bytes: Bytes, mode: Mode) -> Bytes {
    let highest = |part: &mut dyn Iterator<Item = &StagePeak>| part.map(|stage| stage.peak).max();
    let before = highest(&mut stages.iter().filter(|stage| [START, DECODE].contains(&stage.name.as_str())));
    let loads = |stage: &&StagePeak| stage.name != MODEL;
    let after = highest(&mut stages.iter().skip_while(loads).skip(1)).or_else(|| highest(&mut stages.iter()));
    let saved = Bytes((bytes.0 as f64 * (2.0 - kept(mode))) as u64);
    let after = Bytes(after.unwrap_or_default().0.saturating_sub(saved.0));
    let more = whole.0.saturating_sub(highest(&mut stages.iter()).unwrap_or_default().0);
    // The whole file of an .onnx is read at the start, of a form nothing but the graph is.
    let before = Bytes(before.unwrap_or_default().0.saturating_sub(bytes.0));
    Bytes(after.max(before).0 + more)
}

/// What the weights of a form take, by those in float32.
fn kept(mode: Mode) -> f64 {
    match mode {
        Mode::Prepare => 1.0,
        Mode::Fp16 => 0.5,
        Mode::Int8Weights => 0.25,
        // The runtime packs them once more, and its nodes are many; measured.
        Mode::Int8 => 0.45,
    }
}

#[cfg(test)]
mod tests {
    use super::super::pipeline::{INFER, RUNTIME};
    use super::*;

    const MODES: [Mode; 4] = [Mode::Prepare, Mode::Fp16, Mode::Int8Weights, Mode::Int8];

    fn mb(mb: f64) -> Bytes {
        Bytes((mb * f64::from(1 << 20)) as u64)
    }

    fn stages(peaks: &[(&str, f64)]) -> Vec<StagePeak> {
        let stage =
            |&(name, peak): &(&str, f64)| StagePeak { name: name.into(), peak: mb(peak), ..StagePeak::default() };
        peaks.iter().map(stage).collect()
    }

    /// A model: MB of its file, peaks before, while and after it is loaded, its predicted peak, and those of its bundles by each mode; with maps and
    /// without. Measured by `memcheck --threads 1 --requests 4` on an AVX-512 machine, ONNX Runtime 1.28.0.
    type Seen = (&'static str, f64, [([f64; 3], f64, [f64; 4]); 2]);
    const SEEN: [Seen; 8] = [
        (
            "default",
            2.5,
            [
                ([16.7, 54.6, 83.7], 84.5, [82.1, 80.8, 80.5, 81.2]),
                ([16.7, 54.3, 53.9], 54.8, [51.7, 50.7, 50.3, 50.8]),
            ],
        ),
        (
            "cifar10-resnet20",
            1.0,
            [
                ([14.9, 50.7, 77.4], 78.1, [77.3, 76.4, 75.0, 77.0]),
                ([14.9, 50.3, 50.2], 50.8, [49.8, 49.2, 49.3, 49.2]),
            ],
        ),
        (
            "ham-cnn64",
            0.9,
            [
                ([14.7, 48.8, 76.2], 77.0, [76.8, 77.4, 77.2, 77.7]),
                ([14.9, 48.1, 48.1], 48.6, [48.2, 49.5, 49.3, 49.1]),
            ],
        ),
        (
            "skin-or-other-mobilenetv2-035",
            2.0,
            [
                ([16.7, 55.6, 84.7], 85.6, [82.6, 80.6, 80.0, 82.0]),
                ([16.9, 55.0, 57.3], 57.9, [55.0, 53.5, 53.2, 53.4]),
            ],
        ),
        (
            "imagenet-squeezenet10",
            4.8,
            [
                ([21.0, 65.0, 96.8], 97.7, [91.3, 88.6, 87.8, 90.4]),
                ([21.0, 64.8, 67.0], 67.7, [60.7, 58.6, 57.6, 60.5]),
            ],
        ),
        (
            "ham-yolov8n-cls64",
            5.5,
            [
                ([19.4, 63.1, 88.3], 89.2, [83.6, 81.6, 81.1, 81.9]),
                ([19.7, 62.7, 59.4], 63.7, [54.4, 53.0, 51.8, 52.6]),
            ],
        ),
        (
            "ham-mobilenetv2",
            11.5,
            [
                ([26.4, 76.8, 108.6], 109.6, [102.9, 90.0, 87.1, 86.7]),
                ([26.2, 73.1, 78.2], 79.0, [72.7, 62.8, 59.7, 59.9]),
            ],
        ),
        (
            "k_effv2s_300",
            77.0,
            [
                ([93.3, 216.7, 246.1], 248.6, [170.9, 132.6, 113.1, 129.1]),
                ([93.3, 222.7, 218.4], 226.6, [143.8, 105.9, 87.0, 102.8]),
            ],
        ),
    ];

    #[test]
    fn estimates_are_near_what_was_measured() {
        for (name, size, runs) in SEEN {
            for ([before, load, after], whole, measured) in runs {
                let stages =
                    stages(&[(START, before), (DECODE, before), (RUNTIME, before), (MODEL, load), (INFER, after)]);
                for (mode, measured) in MODES.into_iter().zip(measured) {
                    let peak = peak(&stages, mb(whole), mb(size), mode).0 as f64 / f64::from(1 << 20);
                    assert!(
                        (peak / measured - 1.0).abs() < 0.08,
                        "{name}, {mode}: {peak:.1} MB, measured {measured} MB"
                    );
                }
            }
        }
    }

    #[test]
    fn what_comes_before_the_model_stays() {
        // A picture of which decoding takes most, while the file of 10 MB has been read already.
        let stages = stages(&[(START, 20.0), (DECODE, 190.0), (MODEL, 60.0), (INFER, 70.0)]);
        for mode in MODES {
            assert_eq!(peak(&stages, mb(192.0), mb(10.0), mode), mb(182.0), "{mode}");
        }
    }

    #[test]
    fn what_was_killed_while_it_was_loaded_is_estimated_by_that_stage() {
        let stages = stages(&[(START, 20.0), (MODEL, 200.0)]);
        assert_eq!(peak(&stages, mb(200.0), mb(80.0), Mode::Fp16), mb(80.0));
        assert_eq!(peak(&[], Bytes(0), mb(80.0), Mode::Prepare), Bytes(0));
    }
}
