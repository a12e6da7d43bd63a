//! Checks of a map: against pytorch-grad-cam, `SciPy` and scikit-image (`fixtures/golden/make_faithfulness.py`), and on a network whose truth is known.
#![allow(clippy::print_stderr)] // figures for the record
mod road;

use crate::support::npz::Npz;
use crate::support::shared::root;
use anyhow::Result;
use dermai::explain::Map;
use dermai::explain::faithfulness::{
    AucSettings, Baseline, Confidence, HeatInMask, Subject, average, confidence, heat_in_mask, impute,
    insertion_deletion, similarity,
};
use dermai::input::Layout;
use dermai::units::Progress;
use ndarray::{Array2, Array3, Array4, Ix2, Ix3, array};

const LAYOUTS: [Layout; 2] = [Layout::Nchw, Layout::Nhwc];

fn golden() -> Npz {
    Npz::open(&root().join("fixtures/golden/faithfulness.npz"))
}

fn mask(npz: &mut Npz, name: &str) -> Array2<bool> {
    npz.array::<u8>(name).into_dimensionality::<Ix2>().unwrap().mapv(|value| value == 1)
}

fn tensor(planes: &Array3<f32>, layout: Layout) -> Array4<f32> {
    let tensor = planes.clone().insert_axis(ndarray::Axis(0));
    if layout == Layout::Nchw { tensor } else { tensor.permuted_axes([0, 2, 3, 1]).as_standard_layout().to_owned() }
}

fn planes(tensor: &Array4<f32>, layout: Layout) -> Array3<f32> {
    let first = tensor.index_axis(ndarray::Axis(0), 0);
    if layout == Layout::Nchw { first.to_owned() } else { first.permuted_axes([2, 0, 1]).to_owned() }
}

/// Numbers in 0..1 that look drawn.
fn drawn(seed: u64, height: usize, width: usize) -> Map {
    let mut state = seed;
    Map::from_shape_simple_fn((height, width), || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1 << 24) as f32
    })
}

/// A network that is linear in the tensor: each pixel of a chequered picture gives its `weight` when it is itself, half when it is 0, the
/// chequers' mean. The right map is `weight`: a spot in one corner.
struct Linear {
    weight: Array2<f64>,
    layout: Layout,
}

const SIDES: (usize, usize) = (14, 18);

fn chequer(y: usize, x: usize) -> f64 {
    if (y + x).is_multiple_of(2) { 1.0 } else { -1.0 }
}

impl Linear {
    fn new(layout: Layout) -> Self {
        let spot = |(y, x): (usize, usize)| (-((y as f64 - 3.1).powi(2) + (x as f64 - 12.3).powi(2)) / 12.0).exp();
        // Times 1 to 1.1, so that no two pixels are alike.
        let weight =
            Array2::from_shape_fn(SIDES, spot) * drawn(9, SIDES.0, SIDES.1).mapv(|d| 1.0 + f64::from(d) / 10.0);
        Self { weight: &weight / weight.sum(), layout }
    }

    fn picture(&self) -> Array4<f32> {
        tensor(&Array3::from_shape_fn((3, SIDES.0, SIDES.1), |(_, y, x)| chequer(y, x) as f32), self.layout)
    }

    fn probability(&self, tensor: &Array4<f32>) -> f64 {
        let mean = planes(tensor, self.layout).mapv(f64::from).mean_axis(ndarray::Axis(0)).unwrap();
        mean.indexed_iter().map(|((y, x), value)| self.weight[[y, x]] * 0.5 * (1.0 + value * chequer(y, x))).sum()
    }

    fn right(&self) -> Map {
        self.weight.mapv(|weight| weight as f32)
    }

    /// The right map, a drawn one and the inverse of the right one.
    fn maps(&self) -> [Map; 3] {
        [self.right(), drawn(5, SIDES.0, SIDES.1), self.right().mapv(|heat| -heat)]
    }
}

/// What was asked, and how often.
#[derive(Default)]
struct Told {
    total: u64,
    steps: u64,
    finished: bool,
}

impl Progress for Told {
    fn start(&mut self, what: &str, total: u64) {
        assert_eq!(what, "pictures");
        self.total = total;
    }

    fn step(&mut self) -> Result<()> {
        self.steps += 1;
        Ok(())
    }

    fn finish(&mut self) {
        self.finished = true;
    }
}

fn near(a: f64, b: f64, tolerance: f64) -> bool {
    (a - b).abs() <= tolerance
}

#[test]
fn deletion_and_insertion_find_the_right_map() {
    let mut by_layout = Vec::new();
    for layout in LAYOUTS {
        let network = Linear::new(layout);
        let picture = network.picture();
        let pixels = SIDES.0 * SIDES.1;
        let settings = AucSettings { steps: pixels, blur: 0.3, ..AucSettings::STANDARD };
        let aucs = network.maps().map(|map| {
            let subject = Subject::new(&picture, layout, &map).unwrap();
            let mut told = Told::default();
            let mut asked = 0;
            let mut probability = |tensor: &Array4<f32>| -> Result<f32> {
                asked += 1;
                Ok(network.probability(tensor) as f32)
            };
            let curves = insertion_deletion(&subject, &settings, &mut probability, &mut told).unwrap();
            assert_eq!((told.total, told.steps, told.finished), (asked, asked, true));
            assert_eq!(asked as usize, 2 * (pixels + 1), "these maps have no ties");
            assert!(near(curves.deletion.probability[pixels], 0.5, 1e-6), "all is the mean colour");
            assert!(near(curves.insertion.probability[pixels], 1.0, 1e-6), "all is sharp");
            assert!(near(curves.insertion.probability[0], 0.5, 0.05), "chequers blur to their mean");
            [curves.deletion.auc(), curves.insertion.auc()]
        });
        // Removing a pixel takes half its weight, whatever else is gone.
        let mut weights: Vec<_> = network.weight.iter().copied().collect();
        weights.sort_by(f64::total_cmp);
        let exact = |weights: &mut dyn Iterator<Item = &f64>| {
            let (mut area, mut left) = (0.0, 1.0);
            for weight in weights {
                area += (left - weight / 4.0) / pixels as f64;
                left -= weight / 2.0;
            }
            area
        };
        let [right, random, inverted] = aucs;
        assert!(near(right[0], exact(&mut weights.iter().rev()), 1e-6), "{}", right[0]);
        assert!(near(inverted[0], exact(&mut weights.iter()), 1e-6), "{}", inverted[0]);
        assert!(right[0] < random[0] && random[0] < inverted[0], "deletion: {aucs:?}");
        assert!(right[1] > random[1] && random[1] > inverted[1], "insertion: {aucs:?}");
        by_layout.push(aucs);
    }
    for (a, b) in by_layout[0].iter().flatten().zip(by_layout[1].iter().flatten()) {
        assert!(near(*a, *b, 1e-6), "the layouts differ: {by_layout:?}");
    }
}

#[test]
fn pixels_of_one_heat_are_exchanged_together() {
    let picture = tensor(&Array3::ones((3, 2, 5)), Layout::Nchw);
    let settings = AucSettings { steps: 10, ..AucSettings::STANDARD };
    let shares = |map: &Map| {
        let subject = Subject::new(&picture, Layout::Nchw, map).unwrap();
        insertion_deletion(&subject, &settings, &mut |_| Ok(0.25), &mut ()).unwrap().deletion
    };
    let ties = shares(&array![[0.0, 3.0, 0.0, 2.0, 2.0], [0.0, 1.0, 0.0, 0.0, 2.0]]);
    assert_eq!(ties.share, [0.0, 0.1, 0.4, 0.5, 1.0]);
    assert!(near(ties.auc(), 0.25, 1e-9));
    assert_eq!(shares(&Map::zeros((2, 5))).share, [0.0, 1.0]);
}

#[test]
fn deletion_leaves_the_baseline_and_insertion_begins_with_a_gaussian_blur() {
    let (height, width) = (21, 31);
    let mut bright = Array3::from_shape_fn((3, height, width), |(c, _, _)| c as f32);
    bright[[1, 10, 15]] += 100.0;
    for layout in LAYOUTS {
        let picture = tensor(&bright, layout);
        let subject = Subject::new(&picture, layout, &drawn(1, height, width)).unwrap();
        for baseline in [Baseline::Mean, Baseline::Zero] {
            let settings = AucSettings { steps: 1, baseline, blur: 2.0 / 21.0 };
            let mut seen = Vec::new();
            let mut probability = |tensor: &Array4<f32>| -> Result<f32> {
                seen.push(planes(tensor, layout));
                Ok(0.0)
            };
            insertion_deletion(&subject, &settings, &mut probability, &mut ()).unwrap();
            let [sharp, empty, blurred, whole] = seen.try_into().unwrap();
            assert_eq!((&sharp, &whole), (&bright, &bright));
            for (channel, plane) in empty.outer_iter().enumerate() {
                let mean = bright.index_axis(ndarray::Axis(0), channel).mapv(f64::from).mean().unwrap();
                let expected = if baseline == Baseline::Mean { mean } else { 0.0 };
                assert!(plane.iter().all(|&value| near(value.into(), expected, 1e-5)), "{baseline:?}, {channel}");
            }
            assert!(blurred.index_axis(ndarray::Axis(0), 2).iter().all(|&value| near(value.into(), 2.0, 1e-6)));
            // A Gaussian of deviation 2, cut off at 6.
            let bell = |d: f64| (-d * d / 8.0).exp();
            let total: f64 = (-6..=6).map(|d| bell(d.into())).sum();
            for ((y, x), &value) in blurred.index_axis(ndarray::Axis(0), 1).indexed_iter() {
                let (dy, dx) = (y as f64 - 10.0, x as f64 - 15.0);
                let inside = dy.abs() <= 6.0 && dx.abs() <= 6.0;
                let expected = 1.0 + if inside { 100.0 * bell(dy) * bell(dx) / total.powi(2) } else { 0.0 };
                assert!(near(value.into(), expected, 1e-4), "row {y}, column {x}: {value}, not {expected}");
            }
        }
    }
}

#[test]
fn drop_and_increase_in_confidence_find_the_right_map() {
    for layout in LAYOUTS {
        let network = Linear::new(layout);
        let picture = network.picture();
        let mut probability = |tensor: &Array4<f32>| -> Result<f32> { Ok(network.probability(tensor) as f32) };
        let drops = network.maps().map(|map| {
            let subject = Subject::new(&picture, layout, &map).unwrap();
            let found = confidence(&subject, Baseline::Zero, &mut probability).unwrap();
            // Linear: a pixel of heat h gives (1 + h) / 2 of its weight.
            let (least, most) = map.iter().fold((f32::MAX, f32::MIN), |(a, b), &v| (a.min(v), b.max(v)));
            let heat = map.mapv(|heat| f64::from((heat - least) / (most - least)));
            let exact = (&network.weight * &heat).sum() / 2.0 + 0.5;
            assert!(near(found.whole, 1.0, 1e-6) && near(found.masked, exact, 1e-6), "{found:?}, not {exact}");
            assert!(near(found.drop(), 1.0 - exact, 1e-6) && !found.increased());
            found.drop()
        });
        assert!(drops[0] < drops[1] && drops[1] < drops[2], "{drops:?}");
    }
}

#[test]
fn a_picture_of_one_colour_is_its_own_mean() {
    let picture = tensor(&Array3::from_elem((3, 4, 6), 3.0), Layout::Nhwc);
    let subject = Subject::new(&picture, Layout::Nhwc, &drawn(2, 4, 6)).unwrap();
    let mut brightness = |tensor: &Array4<f32>| -> Result<f32> { Ok(tensor.mean().unwrap() / 10.0) };
    let mean = confidence(&subject, Baseline::Mean, &mut brightness).unwrap();
    assert_eq!((mean.drop(), mean.increased()), (0.0, false));
    assert!(confidence(&subject, Baseline::Zero, &mut brightness).unwrap().drop() > 0.1);
}

#[test]
fn a_drop_is_a_share_of_what_there_was_and_a_rise_is_none() {
    let fell = Confidence { whole: 0.8, masked: 0.2 };
    let rose = Confidence { whole: 0.4, masked: 0.9 };
    let never = Confidence { whole: 0.0, masked: 0.0 };
    assert!(near(fell.drop(), 0.75, 1e-12) && rose.drop() == 0.0 && never.drop() == 0.0);
    let both = average(&[fell, rose, never, fell]).unwrap();
    assert!(near(both.drop, 0.375, 1e-12) && near(both.increase, 0.25, 1e-12));
    assert_eq!(average(&[]), None);
}

#[test]
fn imputation_is_that_of_pytorch_grad_cam() {
    let mut npz = golden();
    let mut worst = 0.0f64;
    for case in 0..6 {
        let mut planes = npz.array::<f32>(&format!("picture_{case}")).into_dimensionality::<Ix3>().unwrap();
        let theirs = npz.array::<f32>(&format!("imputed_{case}")).into_dimensionality::<Ix3>().unwrap();
        let removed = mask(&mut npz, &format!("removed_{case}"));
        let most = planes.iter().fold(0.0f32, |most, value| most.max(value.abs()));
        impute(planes.view_mut(), &removed).unwrap();
        for ((_, y, x), ours) in planes.indexed_iter().filter(|((_, y, x), _)| !removed[[*y, *x]]) {
            assert_eq!(theirs[[0, y, x]].to_bits(), planes[[0, y, x]].to_bits(), "kept pixels stay: {ours}");
        }
        let far = planes.iter().zip(&theirs).map(|(a, b)| f64::from((a - b).abs() / most)).fold(0.0, f64::max);
        worst = worst.max(far);
    }
    eprintln!("imputation against pytorch-grad-cam, relative: {worst:.1e}");
    assert!(worst <= 1e-5, "{worst:.1e}");
    let error = impute(Array3::ones((3, 2, 2)).view_mut(), &Array2::from_elem((2, 2), true)).unwrap_err();
    assert!(error.to_string().contains("nothing to impute from"), "{error}");
}

#[test]
fn similarities_are_those_of_scipy_and_scikit_image() {
    let mut npz = golden();
    let mut worst = 0.0f64;
    for case in 0..5 {
        let [a, b] =
            ["a", "b"].map(|name| npz.array::<f32>(&format!("{name}_{case}")).into_dimensionality::<Ix2>().unwrap());
        let theirs = npz.array::<f64>(&format!("similar_{case}"));
        let ours = similarity(&a, &b).unwrap();
        for (ours, theirs) in [ours.spearman, ours.pearson, ours.ssim].into_iter().zip(&theirs) {
            worst = worst.max((ours.unwrap() - theirs).abs());
        }
    }
    eprintln!("similarities against SciPy and scikit-image: {worst:.1e}");
    assert!(worst <= 1e-6, "{worst:.1e}");
}

#[test]
fn the_same_map_is_alike_and_one_without_contrast_like_nothing() {
    let map = drawn(3, 9, 8);
    let same = similarity(&map, &(&map * 3.0)).unwrap();
    for value in [same.spearman, same.pearson, same.ssim] {
        assert!(near(value.unwrap(), 1.0, 1e-6), "{same:?}");
    }
    let none = similarity(&map, &Map::ones((9, 8))).unwrap();
    assert_eq!((none.spearman, none.pearson, none.ssim), (None, None, None));
    assert_eq!(similarity(&drawn(1, 2, 9), &drawn(2, 2, 9)).unwrap().ssim, None, "no window of 3 fits");
    assert!(similarity(&drawn(1, 2, 3), &drawn(2, 3, 2)).is_err());
}

#[test]
fn heat_in_a_mask_is_compared_with_the_mask_s_share() {
    let mask = array![[true, true, false], [false, false, false]];
    let found = heat_in_mask(&array![[4.0, 2.0, 1.0], [0.0, 1.0, 0.0]], &mask).unwrap().unwrap();
    assert!(near(found.heat, 0.75, 1e-12) && near(found.picture, 1.0 / 3.0, 1e-12) && near(found.ratio(), 2.25, 1e-12));
    assert_eq!(heat_in_mask(&Map::ones((2, 3)), &mask).unwrap().map(HeatInMask::ratio), Some(1.0));
    assert_eq!(heat_in_mask(&Map::zeros((2, 3)), &mask).unwrap(), None);
    assert_eq!(heat_in_mask(&Map::ones((2, 3)), &Array2::from_elem((2, 3), false)).unwrap(), None);
    assert!(heat_in_mask(&Map::ones((3, 2)), &mask).is_err());
    assert!(heat_in_mask(&array![[-1.0, 2.0, 1.0], [0.0, 1.0, 0.0]], &mask).is_err());
}

#[test]
fn a_map_of_another_size_is_laid_over_the_tensor() {
    // One hot column on the right: after upsampling the right half is hotter, and goes first.
    let picture = tensor(&Array3::ones((3, 4, 8)), Layout::Nchw);
    let subject = Subject::new(&picture, Layout::Nchw, &array![[0.0, 1.0]]).unwrap();
    let mut left = Vec::new();
    let mut probability = |tensor: &Array4<f32>| -> Result<f32> {
        left.push(
            tensor.index_axis(ndarray::Axis(0), 0).index_axis(ndarray::Axis(0), 0).mean_axis(ndarray::Axis(0)).unwrap(),
        );
        Ok(0.0)
    };
    let settings = AucSettings { steps: 2, baseline: Baseline::Zero, blur: 0.0 };
    insertion_deletion(&subject, &settings, &mut probability, &mut ()).unwrap();
    assert_eq!(left[1].to_vec(), [1.0, 1.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0]);
    let wrong = Array4::zeros((1, 8, 4, 3));
    let error = Subject::new(&wrong, Layout::Nchw, &Map::ones((2, 2))).unwrap_err().to_string();
    assert!(error.contains("three channels in NCHW"), "{error}");
}
