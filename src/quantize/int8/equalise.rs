//! Cross-layer equalisation (Nagel et al., "Data-Free Quantization Through Weight Equalization and Bias Correction", 2019, section 4.1) where it costs
//! nothing: from a convolution through ReLU into depthwise ones, whose weights have a scale for each channel on both sides.
//!
//! Channels that hold small values are scaled up to fill the tensor's range, and the depthwise kernels down. A ceiling (`ReLU6`) cuts a channel that was
//! scaled up at the largest value that calibration saw in it.
use super::network::Network;
use crate::onnx::Node;
use crate::quantize::calibrate::Observed;
use anyhow::Result;
use std::collections::BTreeSet;

/// A channel is scaled by at most this: what hardly ever holds a value must not be cut by accident.
const MOST: f32 = 8.0;

/// A tensor whose channels may be scaled.
#[derive(Debug)]
struct Site {
    tensor: String,
    producer: usize,
    consumers: Vec<usize>,
    /// Where values are cut, as `ReLU6` does.
    ceiling: Option<f32>,
}

/// The tensors that [`equalise`] looks at, if `layers` compute in int8.
pub fn tensors(network: &Network, layers: &BTreeSet<usize>) -> Vec<String> {
    sites(network, layers).into_iter().map(|site| site.tensor).collect()
}

/// Scales channels by what was observed of them.
///
/// # Errors
/// When a weight cannot be read.
pub fn equalise(network: &mut Network, layers: &BTreeSet<usize>, observed: &Observed) -> Result<()> {
    for site in sites(network, layers) {
        let Some(channels) = observed.get(&site.tensor).and_then(|tensor| tensor.channels.as_ref()) else { continue };
        let sizes: Vec<f32> = channels.low.iter().zip(&channels.high).map(|(low, high)| high.max(-low)).collect();
        let factors = factors(&sizes, site.ceiling);
        scale(network, site.producer, &factors, |factor| factor)?;
        for consumer in site.consumers {
            scale(network, consumer, &factors, |factor| 1.0 / factor)?;
        }
    }
    Ok(())
}

/// By how much each channel is scaled.
fn factors(sizes: &[f32], ceiling: Option<f32>) -> Vec<f32> {
    let largest = sizes.iter().copied().fold(0f32, f32::max);
    let full = ceiling.map_or(largest, |ceiling| ceiling.min(largest));
    let factor = |size: &f32| if full > 0.0 { (full / size.max(full / MOST)).clamp(1.0, MOST) } else { 1.0 };
    sizes.iter().map(factor).collect()
}

/// Multiplies each output channel's weights; those of the producer with their bias.
fn scale(network: &mut Network, at: usize, factors: &[f32], by: impl Fn(f32) -> f32) -> Result<()> {
    let node = network.graph.nodes[at].clone();
    let is_producer = by(2.0) > 1.0;
    for input in node.input.iter().skip(1).take(if is_producer { 2 } else { 1 }) {
        let mut values = network.weight(input)?;
        let length = values.len() / factors.len().max(1);
        let multiplied = values.chunks_mut(length.max(1)).zip(factors);
        multiplied.for_each(|(channel, &factor)| channel.iter_mut().for_each(|value| *value *= by(factor)));
        network.change(input, values);
    }
    Ok(())
}

fn sites(network: &Network, layers: &BTreeSet<usize>) -> Vec<Site> {
    layers.iter().filter_map(|&at| site(network, layers, at)).collect()
}

fn site(network: &Network, layers: &BTreeSet<usize>, producer: usize) -> Option<Site> {
    let node = &network.graph.nodes[producer];
    let is_conv = node.op_type == "Conv" && node.input.iter().skip(1).all(|name| network.is_own(name));
    let mut tensor = node.output.first().filter(|name| is_conv && !network.is_output(name))?.clone();
    let mut ceiling = None;
    if let Some(next) = network.sole_consumer(&tensor).map(|at| &network.graph.nodes[at]) {
        match next.op_type.as_str() {
            "Relu" => tensor.clone_from(&next.output[0]),
            "Clip" => {
                let bound = |at: usize| network.graph.constant(next.given(at)?, 1)?.to_floats().first().copied();
                // Only a floor of zero stays where it is when channels are scaled.
                bound(1).filter(|floor| *floor == 0.0)?;
                ceiling = bound(2).map(|ceiling| ceiling as f32);
                tensor.clone_from(&next.output[0]);
            }
            _ => {}
        }
    }
    let channels = *network.shapes.get(&tensor)?.get(1)?;
    let consumers = network.graph.consumers(&tensor).to_vec();
    let fits = |at: &usize| layers.contains(at) && is_depthwise(network, &network.graph.nodes[*at], channels);
    let all = !consumers.is_empty() && consumers.iter().all(fits) && !network.is_output(&tensor);
    all.then_some(Site { tensor, producer, consumers, ceiling })
}

/// A kernel of its own for each channel, and one output for it.
fn is_depthwise(network: &Network, node: &Node, channels: usize) -> bool {
    let shape = node.given(1).filter(|name| network.is_own(name)).and_then(|name| network.shapes.get(name));
    node.op_type == "Conv" && shape.is_some_and(|shape| shape[0] == channels && shape.get(1) == Some(&1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_channels_fill_the_range_and_full_ones_stay() {
        assert_eq!(factors(&[6.0, 3.0, 0.0], Some(6.0)), [1.0, 2.0, MOST]);
        assert_eq!(factors(&[4.0, 2.0], None), [1.0, 2.0]);
        assert_eq!(factors(&[3.0, 1.5], Some(6.0)), [1.0, 2.0]);
        assert_eq!(factors(&[0.0, 0.0], None), [1.0, 1.0]);
    }
}
