//! Weights of convolutions in the runtime's blocked layout: from OIHW to it by value, and the nodes that lead back.
//!
//! The form for one class of CPU holds `OIHWBiBo`, or `OIHWBo` where input channels are few or each has a group of its own (onnxruntime:
//! `core/mlas/lib/reorder.cpp`, `core/optimizer/nchwc_transformer.cc`). The portable form makes its OIHW of the same bytes while it runs.
use crate::onnx::{Node, TensorProto};

/// What operator set the nodes that lead back need (onnx/docs/Changelog.md: `Slice`-10).
pub const LEAST_OPSET: i64 = 10;

/// A layout of one weight: output channels in blocks, padded with zeros to whole ones; the channel within its block is the innermost axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Blocked {
    out: usize,
    input: usize,
    height: usize,
    width: usize,
    /// Output channels in a block.
    block: usize,
    /// Input channels in a block: as many, or one.
    inner: usize,
}

impl Blocked {
    /// The layouts that the runtime chooses from for a weight `[out, in, height, width]`; none for other ranks.
    pub fn all(dims: &[i64], block: usize) -> Vec<Self> {
        let sides: Vec<_> = dims.iter().filter_map(|&side| usize::try_from(side).ok().filter(|&s| s > 0)).collect();
        match sides[..] {
            [out, input, height, width] if dims.len() == 4 && block > 1 => {
                [block, 1].map(|inner| Self { out, input, height, width, block, inner }).to_vec()
            }
            _ => Vec::new(),
        }
    }

    fn padded_out(self) -> usize {
        self.out.next_multiple_of(self.block)
    }

    fn padded_input(self) -> usize {
        self.input.next_multiple_of(self.inner)
    }

    fn area(self) -> usize {
        self.height * self.width
    }

    /// The bytes of a weight, OIHW, in this layout.
    pub fn applied(self, values: &[u8]) -> Vec<u8> {
        let Self { out, input, block, inner, .. } = self;
        let (area, padded) = (self.area(), self.padded_input());
        let size = values.len() / (out * input * area);
        let mut blocked = vec![0; self.padded_out() * padded * area * size];
        for (at, value) in values.chunks_exact(size).enumerate() {
            let (o, i, place) = (at / area / input, at / area % input, at % area);
            let before = (o / block * (padded / inner) + i / inner) * area + place;
            let to = ((before * inner + i % inner) * block + o % block) * size;
            blocked[to..to + size].copy_from_slice(value);
        }
        blocked
    }

    /// A weight in this layout, `stored` as the runtime is told to see it, and the nodes that make the weight `whole` of it. Names of what is
    /// added begin with `prefix`.
    pub fn undone(self, whole: &TensorProto, prefix: &str) -> Undone {
        let Self { out, input, height, width, block, inner } = self;
        let (padded_out, padded_input, area) = (self.padded_out(), self.padded_input(), self.area());
        let plain = [padded_out, padded_input, height, width];
        let mut made = Undone {
            stored: TensorProto {
                dims: [padded_out / block, padded_input * area, block].map(|side| side as i64).to_vec(),
                ..whole.described(&format!("{}/blocked", own(&whole.name, prefix)), whole.data_type)
            },
            constants: Vec::new(),
            nodes: Vec::new(),
        };
        let swap = |from: &str, to: &str| Node::new("Transpose", &[from], &[to]).with("perm", vec![0, 2, 1]);
        let [mut last, then] = ["/out", "/in"].map(|end| format!("{}{end}", own(&whole.name, prefix)));
        made.nodes.push(swap(&made.stored.name, &last));
        if inner > 1 && area > 1 {
            // Input channels within their block stand inside of the kernel's area: a second swap, of what the first has left.
            let seen = format!("{then}/seen");
            let shape = made.constant(prefix, &[padded_out * padded_input / inner, area, inner]);
            made.nodes.push(Node::new("Reshape", &[&last, &shape], &[&seen]));
            made.nodes.push(swap(&seen, &then));
            last = then;
        }
        let shape = made.constant(prefix, &plain);
        if (padded_out, padded_input) == (out, input) {
            made.nodes.push(Node::new("Reshape", &[&last, &shape], &[&whole.name]));
        } else {
            let padded = format!("{}/padded", own(&whole.name, prefix));
            let (start, end) = (made.constant(prefix, &[0, 0]), made.constant(prefix, &[out, input]));
            made.nodes.push(Node::new("Reshape", &[&last, &shape], &[&padded]));
            made.nodes.push(Node::new("Slice", &[&padded, &start, &end], &[&whole.name]));
        }
        made
    }
}

/// A name of our own for what belongs to the weight `name`.
fn own(name: &str, prefix: &str) -> String {
    if name.starts_with(prefix) { name.to_owned() } else { format!("{prefix}{name}") }
}

/// What takes the place of a weight that is stored in blocks.
#[derive(Clone, Debug)]
pub struct Undone {
    /// Name, type and shape of what is stored.
    pub stored: TensorProto,
    /// Shapes; equal ones have the same name, within a graph too.
    pub constants: Vec<TensorProto>,
    /// From what is stored to the weight.
    pub nodes: Vec<Node>,
}

impl Undone {
    /// The name of a list of integers.
    fn constant(&mut self, prefix: &str, values: &[usize]) -> String {
        let values: Vec<_> = values.iter().map(|&value| value as i64).collect();
        let text: Vec<_> = values.iter().map(ToString::to_string).collect();
        let name = format!("{prefix}ints/{}", text.join(","));
        self.constants.push(TensorProto::of_ints(&name, &[values.len()], &values));
        name
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the nodes make of the stored bytes, one byte an element.
    fn run(undone: &Undone, bytes: &[u8]) -> Vec<u8> {
        let ints = |name: &str| -> Vec<usize> {
            let tensor = undone.constants.iter().find(|tensor| tensor.name == name).unwrap();
            tensor.raw_data.as_chunks().0.iter().map(|b| i64::from_le_bytes(*b) as usize).collect()
        };
        let mut shape: Vec<usize> = undone.stored.dims.iter().map(|&side| side as usize).collect();
        let mut values = bytes.to_vec();
        for (node, before) in undone
            .nodes
            .iter()
            .zip(std::iter::once(&undone.stored.name).chain(undone.nodes.iter().map(|node| &node.output[0])))
        {
            assert_eq!(&node.input[0], before, "each takes what the one before gives");
            match node.op_type.as_str() {
                "Reshape" => shape = ints(&node.input[1]),
                "Transpose" => {
                    let [a, b, c] = shape[..] else { panic!("{shape:?}") };
                    let from = std::mem::take(&mut values);
                    values = (0..a * b * c).map(|at| from[at / (b * c) * b * c + at % b * c + at / b % c]).collect();
                    shape = vec![a, c, b];
                }
                "Slice" => {
                    let (end, area) = (ints(&node.input[2]), shape[2] * shape[3]);
                    let from = std::mem::take(&mut values);
                    let stays = |at: &usize| at / area / shape[1] < end[0] && at / area % shape[1] < end[1];
                    values = (0..from.len()).filter(stays).map(|at| from[at]).collect();
                    shape[..2].copy_from_slice(&end);
                }
                other => panic!("{other}"),
            }
        }
        assert_eq!(shape.iter().product::<usize>(), values.len());
        values
    }

    fn weight(dims: [i64; 4]) -> (TensorProto, Vec<u8>) {
        let count = dims.iter().product::<i64>() as usize;
        let tensor = TensorProto { name: "w".into(), dims: dims.to_vec(), ..TensorProto::default() };
        (tensor, (0..count).map(|at| (at % 251 + 1) as u8).collect())
    }

    /// Kernels that are no squares, channels that fill no block, and groups of one channel.
    #[test]
    fn nodes_lead_back_from_every_layout() {
        for dims in [[16, 8, 3, 2], [24, 8, 1, 1], [5, 3, 2, 3], [20, 12, 1, 5], [16, 1, 5, 3], [9, 17, 3, 3]] {
            let (tensor, values) = weight(dims);
            for layout in Blocked::all(&dims, 8) {
                let undone = layout.undone(&tensor, "p/");
                let stored = layout.applied(&values);
                assert_eq!(stored.len() as i64, undone.stored.dims.iter().product::<i64>());
                assert_eq!(run(&undone, &stored), values, "{layout:?}");
                assert_eq!(undone.nodes.last().unwrap().output, ["w"]);
            }
        }
    }

    /// The elements' places in `OIHWBiBo` and `OIHWBo`, counted by hand for a block of two.
    #[test]
    fn blocks_are_where_the_runtime_has_them() {
        let (_, values) = weight([2, 2, 1, 2]);
        // [o, i, w]: 1 2 | 3 4 || 5 6 | 7 8
        let [both, out] = Blocked::all(&[2, 2, 1, 2], 2)[..] else { panic!() };
        assert_eq!(both.applied(&values), [1, 5, 3, 7, 2, 6, 4, 8], "OIHWBiBo: the area, then in, then out");
        assert_eq!(out.applied(&values), [1, 5, 2, 6, 3, 7, 4, 8], "OIHWBo: in, then the area, then out");
        let padded = Blocked::all(&[1, 1, 1, 2], 2)[0].applied(&[1, 2]);
        assert_eq!(padded, [1, 0, 0, 0, 2, 0, 0, 0], "what fills a block is zero");
        // Two bytes an element.
        assert_eq!(Blocked::all(&[2, 1, 1, 1], 2)[1].applied(&[1, 2, 3, 4]), [1, 2, 3, 4]);
        assert_eq!(Blocked::all(&[2, 2, 1], 2), []);
        assert_eq!(Blocked::all(&[2, 2, 1, 1], 1), []);
    }
}
