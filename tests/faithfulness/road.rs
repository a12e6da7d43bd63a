//! ROAD: what it removes, its noise, and that it finds the right map.
use super::{LAYOUTS, Linear, Told, golden, mask, near, planes, tensor};
use anyhow::Result;
use dermai::explain::Map;
use dermai::explain::faithfulness::{RoadSettings, Subject, impute, road};
use dermai::input::Layout;
use ndarray::{Array3, Array4, Ix2, Ix3};

/// What ROAD shows the network: the picture, then without the hottest and without the coldest pixels, for each percentile.
fn shown(planes_: &Array3<f32>, layout: Layout, heat: &Map, settings: &RoadSettings) -> Vec<Array3<f32>> {
    let picture = tensor(planes_, layout);
    let subject = Subject::new(&picture, layout, heat).unwrap();
    let mut seen = Vec::new();
    let mut told = Told::default();
    let mut probability = |tensor: &Array4<f32>| -> Result<f32> {
        seen.push(planes(tensor, layout));
        Ok(0.5)
    };
    let found = road(&subject, settings, &mut probability, &mut told).unwrap();
    assert_eq!((told.total, told.steps, told.finished), (seen.len() as u64, seen.len() as u64, true));
    assert_eq!(&seen[0], planes_);
    for (step, pair) in found.steps.iter().zip(seen[1..].chunks(2)) {
        for (share, after) in [(step.morf_removed, &pair[0]), (step.lerf_removed, &pair[1])] {
            let changed = after.iter().zip(planes_).filter(|(a, b)| a != b).count();
            assert!(near(share, changed as f64 / planes_.len() as f64, 1e-9), "{share} removed, {changed} changed");
        }
    }
    seen
}

#[test]
fn road_removes_what_pytorch_grad_cam_removes() {
    let mut npz = golden();
    let planes = npz.array::<f32>("picture_0").into_dimensionality::<Ix3>().unwrap();
    let mut compared = 0;
    for (heat, prefix) in [("heat", ""), ("tied", "tied_")] {
        let heat = npz.array::<f32>(heat).into_dimensionality::<Ix2>().unwrap();
        let settings = RoadSettings::standard();
        for layout in LAYOUTS {
            let seen = shown(&planes, layout, &heat, &settings);
            for (percentile, pair) in settings.percentiles.iter().zip(seen[1..].chunks(2)) {
                for (end, after) in ["morf", "lerf"].into_iter().zip(pair) {
                    let name = format!("{prefix}{end}_{percentile}");
                    // With ties the reference may remove everything and fail; then the coldest are spared.
                    let expected = if npz.has(&name) { mask(&mut npz, &name) } else { heat.mapv(|heat| heat > 0.0) };
                    let changed =
                        ndarray::Zip::indexed(&expected).map_collect(|(y, x), _| after[[0, y, x]] != planes[[0, y, x]]);
                    assert_eq!(changed, expected, "{name}");
                    compared += usize::from(npz.has(&name));
                }
            }
        }
    }
    assert_eq!(compared, 2 * 14);
}

#[test]
fn road_s_noise_is_a_share_of_the_deviation_and_repeats_with_its_seed() {
    let mut npz = golden();
    let planes = npz.array::<f32>("picture_0").into_dimensionality::<Ix3>().unwrap() * 40.0;
    let heat = npz.array::<f32>("heat").into_dimensionality::<Ix2>().unwrap();
    let run = |noise, seed| shown(&planes, Layout::Nchw, &heat, &RoadSettings { percentiles: vec![20.0], noise, seed });
    let (noisy, again, other) = (run(0.01, 7), run(0.01, 7), run(0.01, 8));
    assert_eq!(noisy, again);
    assert_ne!(noisy[1], other[1]);
    let mut plain = planes.clone();
    let removed = ndarray::Zip::indexed(&heat).map_collect(|(y, x), _| noisy[1][[0, y, x]] != planes[[0, y, x]]);
    impute(plain.view_mut(), &removed).unwrap();
    let added = (&noisy[1] - &plain).mapv(f64::from);
    let added: Vec<_> = added.indexed_iter().filter(|((_, y, x), _)| removed[[*y, *x]]).map(|(_, n)| *n).collect();
    let deviation = (added.iter().map(|n| n * n).sum::<f64>() / added.len() as f64).sqrt();
    let expected = 0.01 * planes.mapv(f64::from).std(0.0);
    assert!(near(deviation / expected, 1.0, 0.1), "{deviation} of {} pixels, not {expected}", added.len());
}

#[test]
fn road_finds_the_right_map() {
    for layout in LAYOUTS {
        let network = Linear::new(layout);
        let picture = network.picture();
        let [right, random, inverted] = network.maps().map(|map| {
            let subject = Subject::new(&picture, layout, &map).unwrap();
            let mut probability = |tensor: &Array4<f32>| -> Result<f32> { Ok(network.probability(tensor) as f32) };
            road(&subject, &RoadSettings::standard(), &mut probability, &mut ()).unwrap()
        });
        assert!(near(right.whole, 1.0, 1e-6));
        assert!(right.morf() < random.morf() && random.morf() < inverted.morf(), "{right:?} {random:?} {inverted:?}");
        assert!(right.lerf() > random.lerf() && random.lerf() > inverted.lerf());
        assert!(right.combined() > 0.1 && near(right.combined(), -inverted.combined(), 0.01));
        // Chequers are imputed to about their mean, which takes half of a pixel's weight.
        let mut weights: Vec<_> = network.weight.iter().copied().collect();
        weights.sort_by(f64::total_cmp);
        for step in &right.steps {
            let count = (step.lerf_removed * weights.len() as f64).round() as usize;
            let coldest: f64 = weights[..count].iter().sum();
            let hottest: f64 = weights[weights.len() - count..].iter().sum();
            assert!(near(step.lerf, 1.0 - coldest / 2.0, 0.03), "{step:?}, {coldest}");
            assert!(near(step.morf, 1.0 - hottest / 2.0, 0.03), "{step:?}, {hottest}");
        }
    }
}

#[test]
fn a_map_without_contrast_removes_nothing() {
    let network = Linear::new(Layout::Nchw);
    let picture = network.picture();
    let subject = Subject::new(&picture, Layout::Nchw, &Map::ones((3, 3))).unwrap();
    let mut probability = |tensor: &Array4<f32>| -> Result<f32> { Ok(network.probability(tensor) as f32) };
    let found = road(&subject, &RoadSettings::standard(), &mut probability, &mut ()).unwrap();
    assert!(found.steps.iter().all(|step| step.morf_removed == 0.0 && step.lerf_removed == 0.0));
    assert_eq!(found.combined(), 0.0);
}
