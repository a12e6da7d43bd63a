//! Class activation maps and their smoothing against pytorch-grad-cam's (`fixtures/golden/make_cam.py`).
#![allow(clippy::print_stderr)] // figures for the record
use crate::support::npz::Npz;
use crate::support::shared::root;
use anyhow::Result;
use dermai::explain::cam::{Corners, Method, Question, bilinear, map, map_of};
use dermai::explain::smooth::Smooth;
use dermai::explain::{Activations, Map, Network};
use dermai::input::Layout;
use dermai::units::Progress;
use ndarray::{Array1, Array2, Array3, Array4, Ix1, Ix2, Ix3, Ix4, s};

/// Largest difference over the reference's largest value: both sides sum in float64, what is stored is float32.
const TOLERANCE: f64 = 1e-5;
const CASES: usize = 6;

fn golden() -> Npz {
    Npz::open(&root().join("fixtures/golden/cam.npz"))
}

fn activations(npz: &mut Npz, case: usize) -> Activations {
    let mut array = |name: &str| npz.array::<f32>(&format!("{name}_{case}")).into_dimensionality::<Ix3>().unwrap();
    Activations { activation: array("A"), gradient: array("g") }
}

fn relu(map: &Map) -> Map {
    map.mapv(|value| value.max(0.0))
}

fn distance(ours: &Map, theirs: &Map) -> f64 {
    assert_eq!(ours.dim(), theirs.dim());
    let most = theirs.iter().fold(0.0f32, |most, value| most.max(value.abs()));
    assert!(most > 0.0, "a reference that is zero proves nothing");
    let far = ours.iter().zip(theirs).map(|(a, b)| f64::from((a - b).abs())).fold(0.0, f64::max);
    far / f64::from(most)
}

/// A network that must not be asked.
struct Nobody;

impl Network for Nobody {
    fn scores(&mut self, _: &Array4<f32>) -> Result<Vec<f32>> {
        unreachable!("a gradient method asked for scores")
    }

    fn activations(&mut self, _: &Array4<f32>, _: usize) -> Result<Activations> {
        unreachable!("activations are at hand")
    }
}

fn question(method: Method, smooth: &[Smooth]) -> Question {
    Question { method, smooth: smooth.to_vec(), class: 0, layout: Layout::Nchw }
}

fn at_hand(method: Method, smooth: &[Smooth], activations: &Activations) -> Result<Map> {
    map_of(&question(method, smooth), activations, &mut Nobody, &Array4::zeros((1, 3, 2, 2)), &mut ())
}

/// What a principal component is compared with to choose its sign: the sum over channels of the weighted activations.
fn plain(npz: &mut Npz, method: Method, case: usize) -> Map {
    if method == Method::EigenCam {
        return activations(npz, case).activation.sum_axis(ndarray::Axis(0));
    }
    npz.array::<f32>(&format!("{method}_{case}")).into_dimensionality().unwrap()
}

fn correlates(a: &Map, b: &Map) -> bool {
    let centred = |map: &Map| map.mapv(f64::from) - map.mapv(f64::from).mean().unwrap();
    (centred(a) * centred(b)).sum() > 0.0
}

#[test]
fn maps_are_those_of_pytorch_grad_cam() {
    let mut npz = golden();
    let mut wrong = Vec::new();
    for method in Method::ALL.into_iter().filter(|method| *method != Method::ScoreCam) {
        let mut worst = [0.0f64; 2];
        for case in 0..CASES {
            let given = activations(&mut npz, case);
            for (eigen, smooth) in [(false, vec![]), (true, vec![Smooth::Eigen])] {
                let suffix = if eigen && method != Method::EigenCam { "_eigen" } else { "" };
                let theirs = npz.array::<f32>(&format!("{method}{suffix}_{case}"));
                let mut theirs: Map = theirs.into_dimensionality::<Ix2>().unwrap();
                if (eigen || method == Method::EigenCam) && !correlates(&theirs, &plain(&mut npz, method, case)) {
                    theirs.mapv_inplace(|value| -value);
                }
                let ours = at_hand(method, &smooth, &given).unwrap();
                assert!(ours.iter().all(|value| *value >= 0.0));
                let far = distance(&ours, &relu(&theirs));
                worst[usize::from(eigen)] = worst[usize::from(eigen)].max(far);
                if far > TOLERANCE {
                    wrong.push(format!("{method}{suffix}, case {case}: {far:.1e}"));
                }
            }
        }
        eprintln!("{method} against pytorch-grad-cam, relative: {:.1e}; eigen_smooth {:.1e}", worst[0], worst[1]);
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn upsampling_is_that_of_pytorch() {
    let mut npz = golden();
    let mut worst = 0.0f64;
    for case in 0..CASES {
        let maps = activations(&mut npz, case).activation;
        for (name, corners) in [("aligned", Corners::Aligned), ("half", Corners::Edges)] {
            let theirs = npz.array::<f32>(&format!("up_{case}_{name}")).into_dimensionality::<Ix3>().unwrap();
            for (map, theirs) in maps.outer_iter().zip(theirs.outer_iter()) {
                let ours = bilinear(&map, 13, 17, corners);
                let far = ours.iter().zip(theirs).map(|(a, b)| f64::from((a - b).abs())).fold(0.0, f64::max);
                worst = worst.max(far);
            }
        }
    }
    eprintln!("bilinear against torch: {worst:.1e}");
    assert!(worst <= 1e-6, "{worst:.1e}");
}

/// `make_cam.py`'s network: A = ReLU(conv3x3(x)), S = pool mean(A)^2 + <direct, A>.
struct Drawn {
    layout: Layout,
    stride: usize,
    conv: Array4<f32>,
    bias: Array1<f32>,
    pool: Array2<f32>,
    direct: Array4<f32>,
    runs: usize,
}

impl Drawn {
    /// The network, and its input in `layout`.
    fn open(npz: &mut Npz, name: &str, stride: usize, layout: Layout) -> (Self, Array4<f32>) {
        let mut array = |key: &str| npz.array::<f32>(&format!("{name}_{key}"));
        let four = |array: ndarray::ArrayD<f32>| array.into_dimensionality::<Ix4>().unwrap();
        let x = four(array("x"));
        let x = if layout == Layout::Nchw { x } else { x.permuted_axes([0, 2, 3, 1]).as_standard_layout().to_owned() };
        let network = Self {
            layout,
            stride,
            conv: four(array("conv")),
            bias: array("bias").into_dimensionality::<Ix1>().unwrap(),
            pool: array("pool").into_dimensionality::<Ix2>().unwrap(),
            direct: four(array("direct")),
            runs: 0,
        };
        (network, x)
    }

    fn features(&self, tensor: &Array4<f32>) -> Array3<f64> {
        let x = tensor.mapv(f64::from);
        let x = if self.layout == Layout::Nchw { x } else { x.permuted_axes([0, 3, 1, 2]) };
        let (_, channels, height, width) = self.direct.dim();
        let mut padded = Array3::zeros((3, x.dim().2 + 2, x.dim().3 + 2));
        let inner = s![.., 1..=x.dim().2, 1..=x.dim().3];
        padded.slice_mut(inner).assign(&x.slice(s![0, .., .., ..]));
        Array3::from_shape_fn((channels, height, width), |(k, y, x)| {
            let window = padded.slice(s![.., self.stride * y.., self.stride * x..]);
            let window = window.slice(s![.., ..3, ..3]);
            let sum = (&self.conv.slice(s![k, .., .., ..]).mapv(f64::from) * &window).sum();
            (sum + f64::from(self.bias[k])).max(0.0)
        })
    }
}

impl Network for Drawn {
    fn scores(&mut self, tensor: &Array4<f32>) -> Result<Vec<f32>> {
        self.runs += 1;
        let a = self.features(tensor);
        let pooled: Array1<f64> = a.outer_iter().map(|plane| plane.mean().unwrap().powi(2)).collect();
        let score = |j: usize| {
            let pool = (&self.pool.row(j).mapv(f64::from) * &pooled).sum();
            (pool + (&self.direct.slice(s![j, .., .., ..]).mapv(f64::from) * &a).sum()) as f32
        };
        Ok((0..self.pool.nrows()).map(score).collect())
    }

    fn activations(&mut self, tensor: &Array4<f32>, class: usize) -> Result<Activations> {
        self.runs += 1;
        let a = self.features(tensor);
        let positions = (a.dim().1 * a.dim().2) as f64;
        let gradient = Array3::from_shape_fn(a.dim(), |(k, y, x)| {
            let mean = a.slice(s![k, .., ..]).mean().unwrap();
            let pool = 2.0 * f64::from(self.pool[[class, k]]) * mean / positions;
            (pool + f64::from(self.direct[[class, k, y, x]])) as f32
        });
        Ok(Activations { activation: a.mapv(|value| value as f32), gradient })
    }
}

/// Counts what it is told.
#[derive(Default)]
struct Told {
    started: Vec<(String, u64)>,
    steps: u64,
    finished: usize,
}

impl Progress for Told {
    fn start(&mut self, what: &str, total: u64) {
        self.started.push((what.to_owned(), total));
    }

    fn step(&mut self) -> Result<()> {
        self.steps += 1;
        Ok(())
    }

    fn finish(&mut self) {
        self.finished += 1;
    }
}

#[test]
fn score_cam_is_that_of_pytorch_grad_cam() {
    let mut npz = golden();
    let mut worst = 0.0f64;
    for layout in [Layout::Nchw, Layout::Nhwc] {
        let (mut network, x) = Drawn::open(&mut npz, "coarse", 2, layout);
        for class in 0..3 {
            let question = Question { class, layout, ..question(Method::ScoreCam, &[]) };
            let mut told = Told::default();
            network.runs = 0;
            let ours = map(&question, &mut network, &x, &mut told).unwrap();
            let theirs = npz.array::<f32>(&format!("coarse_scorecam_{class}")).into_dimensionality().unwrap();
            worst = worst.max(distance(&ours, &relu(&theirs)));
            assert_eq!((told.started, told.steps, told.finished), (vec![("channels".to_owned(), 5)], 5, 1));
            assert_eq!(network.runs, 6, "the feature map and one picture a channel");
        }
    }
    eprintln!("scorecam against pytorch-grad-cam, relative: {worst:.1e}");
    assert!(worst <= TOLERANCE, "{worst:.1e}");
}

#[test]
fn dead_channels_share_one_run_of_score_cam() {
    let mut npz = golden();
    let (mut network, x) = Drawn::open(&mut npz, "coarse", 2, Layout::Nchw);
    let expected = map(&question(Method::ScoreCam, &[]), &mut network, &x, &mut ()).unwrap();
    // Two more channels that never fire change the softmax by a factor, and nothing else.
    network.runs = 0;
    let mut more = network.activations(&x, 0).unwrap();
    for array in [&mut more.activation, &mut more.gradient] {
        array.append(ndarray::Axis(0), Array3::zeros((2, array.dim().1, array.dim().2)).view()).unwrap();
    }
    let map = map_of(&question(Method::ScoreCam, &[]), &more, &mut network, &x, &mut ()).unwrap();
    assert_eq!(network.runs, 6);
    let ratio = map.sum() / expected.sum();
    assert!(ratio < 1.0, "{ratio}");
    assert!(distance(&map, &(expected * ratio)) < TOLERANCE);
}

#[test]
fn augmentation_is_that_of_pytorch_grad_cam() {
    let mut npz = golden();
    let mut worst = 0.0f64;
    for layout in [Layout::Nchw, Layout::Nhwc] {
        let (mut network, x) = Drawn::open(&mut npz, "fine", 1, layout);
        for class in 0..3 {
            for method in [Method::GradCam, Method::LayerCam] {
                let question = Question { class, layout, ..question(method, &[Smooth::Aug]) };
                let mut told = Told::default();
                let ours = map(&question, &mut network, &x, &mut told).unwrap();
                let theirs = npz.array::<f32>(&format!("fine_{method}_aug_{class}")).into_dimensionality().unwrap();
                worst = worst.max(distance(&ours, &theirs));
                assert_eq!((told.started, told.steps, told.finished), (vec![("views".to_owned(), 6)], 6, 1));
            }
        }
    }
    eprintln!("aug_smooth against pytorch-grad-cam, relative: {worst:.1e}");
    assert!(worst <= TOLERANCE, "{worst:.1e}");
}

#[test]
fn values_that_are_not_finite_are_refused_where_they_matter() {
    let good = activations(&mut golden(), 0);
    let mut bad = good.clone();
    bad.gradient[[0, 0, 0]] = f32::NAN;
    for method in Method::ALL.into_iter().filter(|method| method.needs_gradient()) {
        let error = at_hand(method, &[], &bad).unwrap_err().to_string();
        assert!(error.contains("the gradient has values that are not finite"), "{method}: {error}");
    }
    assert_eq!(at_hand(Method::EigenCam, &[], &bad).unwrap(), at_hand(Method::EigenCam, &[], &good).unwrap());
    bad.activation[[0, 0, 0]] = f32::INFINITY;
    let error = at_hand(Method::EigenCam, &[], &bad).unwrap_err().to_string();
    assert!(error.contains("the feature map has values"), "{error}");
}

#[test]
fn a_map_without_variance_has_no_principal_component() {
    let flat = Activations { activation: Array3::from_elem((3, 4, 5), 2.0), gradient: Array3::zeros((3, 4, 5)) };
    assert_eq!(at_hand(Method::EigenCam, &[], &flat).unwrap(), Map::zeros((4, 5)));
    assert_eq!(at_hand(Method::GradCam, &[], &flat).unwrap(), Map::zeros((4, 5)));
}

/// The larger Gram matrix has up to thousands of rows; the smaller one gives the same component.
#[test]
fn the_principal_component_is_one_whichever_side_is_smaller() {
    // Rank one: position p has s_p times the channel vector, so the component is s, centred, times that vector's length.
    for (channels, height, width) in [(50, 3, 4), (4, 9, 11)] {
        let strength = |y: usize, x: usize| ((y * 7 + x * 3) % 5) as f64;
        let direction = |k: usize| (k % 3) as f64 + 0.5;
        let activation =
            Array3::from_shape_fn((channels, height, width), |(k, y, x)| (strength(y, x) * direction(k)) as f32);
        let length = (0..channels).map(|k| direction(k).powi(2)).sum::<f64>().sqrt();
        let strengths = Array2::from_shape_fn((height, width), |(y, x)| strength(y, x));
        let expected = ((&strengths - strengths.mean().unwrap()) * length).mapv(|value| value as f32);
        let given = Activations { gradient: Array3::zeros(activation.dim()), activation };
        let ours = at_hand(Method::EigenCam, &[], &given).unwrap();
        assert!(distance(&ours, &relu(&expected)) < TOLERANCE, "{channels} channels");
    }
}
