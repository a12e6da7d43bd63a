//! Writing nodes: each call adds one to the patch and gives the name of its output. Knows what each opset calls things.
use super::node::Node;
use super::proto::TensorProto;
use anyhow::{Result, ensure};

/// Oldest operator set whose nodes are written here (Where came with 9).
const OLDEST: i64 = 9;

/// A patch's nodes and constants in the making.
#[derive(Debug)]
pub struct Emit {
    opset: i64,
    prefix: String,
    count: usize,
    /// Nodes so far.
    pub nodes: Vec<Node>,
    /// Constants so far.
    pub constants: Vec<TensorProto>,
}

/// The name of a tensor that was added.
pub type Name = String;

impl Emit {
    /// For a graph of `opset`; every name starts with `prefix`, which no tensor of the graph may.
    pub fn new(opset: i64, prefix: &str) -> Result<Self> {
        ensure!(
            opset >= OLDEST,
            "the model's opset is {opset}; {OLDEST} or later is needed: export it again, or convert it with `onnx.version_converter`"
        );
        Ok(Self { opset, prefix: prefix.to_owned(), count: 0, nodes: Vec::new(), constants: Vec::new() })
    }

    /// Version of the operator set.
    pub fn opset(&self) -> i64 {
        self.opset
    }

    /// A name that is not taken.
    pub fn fresh(&mut self, what: &str) -> Name {
        self.count += 1;
        format!("{}{}{what}", self.prefix, self.count)
    }

    /// Adds a node with one output.
    pub fn op(&mut self, op: &str, inputs: &[&str]) -> Name {
        self.node(Node::new(op, inputs, &[]))
    }

    /// Adds a node that has its inputs and attributes, with one output.
    pub fn node(&mut self, node: Node) -> Name {
        self.outputs(node, 1).remove(0)
    }

    /// Adds a node that has its inputs and attributes, with `count` outputs.
    pub fn outputs(&mut self, mut node: Node, count: usize) -> Vec<Name> {
        node.output = (0..count).map(|_| self.fresh(&node.op_type.clone())).collect();
        node.name.clone_from(&node.output[0]);
        let names = node.output.clone();
        self.nodes.push(node);
        names
    }

    /// A float32 constant.
    pub fn floats(&mut self, shape: &[usize], values: &[f32]) -> Name {
        let name = self.fresh("c");
        self.constants.push(TensorProto::of_floats(&name, shape, values));
        name
    }

    /// A float32 scalar.
    pub fn float(&mut self, value: f32) -> Name {
        self.floats(&[], &[value])
    }

    /// An int64 constant of one axis.
    pub fn ints(&mut self, values: &[i64]) -> Name {
        self.int_tensor(&[values.len()], values)
    }

    /// An int64 constant.
    pub fn int_tensor(&mut self, shape: &[usize], values: &[i64]) -> Name {
        let name = self.fresh("c");
        self.constants.push(TensorProto::of_ints(&name, shape, values));
        name
    }

    /// `a + b`.
    pub fn add(&mut self, a: &str, b: &str) -> Name {
        self.op("Add", &[a, b])
    }

    /// `a - b`.
    pub fn sub(&mut self, a: &str, b: &str) -> Name {
        self.op("Sub", &[a, b])
    }

    /// `a * b`.
    pub fn mul(&mut self, a: &str, b: &str) -> Name {
        self.op("Mul", &[a, b])
    }

    /// `a / b`.
    pub fn div(&mut self, a: &str, b: &str) -> Name {
        self.op("Div", &[a, b])
    }

    /// `a * factor`; `a` itself where that is 1.
    pub fn scale(&mut self, a: &str, factor: f32) -> Name {
        if factor == 1.0 {
            return a.to_owned();
        }
        let factor = self.float(factor);
        self.mul(a, &factor)
    }

    /// `a + offset`.
    pub fn shift(&mut self, a: &str, offset: f32) -> Name {
        let offset = self.float(offset);
        self.add(a, &offset)
    }

    /// `a` where `condition` holds, 0 elsewhere.
    pub fn masked(&mut self, condition: &str, a: &str) -> Name {
        let zero = self.float(0.0);
        self.op("Where", &[condition, a, &zero])
    }

    /// 1.0 where `condition` holds, 0.0 elsewhere.
    pub fn as_float(&mut self, condition: &str) -> Name {
        self.node(Node::new("Cast", &[condition], &[]).with("to", 1))
    }

    /// `a > b` as truth values.
    pub fn greater(&mut self, a: &str, b: f32) -> Name {
        let b = self.float(b);
        self.op("Greater", &[a, &b])
    }

    /// `a < b` as truth values.
    pub fn less(&mut self, a: &str, b: f32) -> Name {
        let b = self.float(b);
        self.op("Less", &[a, &b])
    }

    /// `a == b` for floats as truth values: an operator of that kind came with opset 11.
    pub fn equal(&mut self, a: &str, b: &str) -> Name {
        if self.opset >= 11 {
            return self.op("Equal", &[a, b]);
        }
        let (less, greater) = (self.op("Less", &[a, b]), self.op("Greater", &[a, b]));
        let differs = self.op("Or", &[&less, &greater]);
        self.op("Not", &[&differs])
    }

    /// What is left of `a`, whole numbers and none negative, when `b` is taken out of it as often as it fits: Mod came with opset 10.
    pub fn remainder(&mut self, a: &str, b: &str) -> Name {
        if self.opset >= 10 {
            return self.op("Mod", &[a, b]);
        }
        let times = self.div(a, b);
        let taken = self.mul(&times, b);
        self.sub(a, &taken)
    }

    /// `a` in another shape.
    pub fn reshape(&mut self, a: &str, shape: &[usize]) -> Name {
        let shape: Vec<i64> = shape.iter().map(|&d| d as i64).collect();
        let shape = self.ints(&shape);
        self.op("Reshape", &[a, &shape])
    }

    /// `a` repeated along its axes of length 1, to `shape`.
    pub fn expand(&mut self, a: &str, shape: &[usize]) -> Name {
        let shape: Vec<i64> = shape.iter().map(|&d| d as i64).collect();
        let shape = self.ints(&shape);
        self.op("Expand", &[a, &shape])
    }

    /// `a` with its axes in the order `perm`.
    pub fn transpose(&mut self, a: &str, perm: &[usize]) -> Name {
        if perm.iter().enumerate().all(|(i, &p)| i == p) {
            return a.to_owned();
        }
        let perm: Vec<i64> = perm.iter().map(|&p| p as i64).collect();
        self.node(Node::new("Transpose", &[a], &[]).with("perm", perm))
    }

    /// The sum over `axes`, which stay with length 1; `a` itself where there are none.
    pub fn sum(&mut self, a: &str, axes: &[usize]) -> Name {
        self.reduce("ReduceSum", a, axes, 13)
    }

    /// The mean over `axes`, which stay with length 1.
    pub fn mean(&mut self, a: &str, axes: &[usize]) -> Name {
        self.reduce("ReduceMean", a, axes, 18)
    }

    /// The smallest value over `axes`, which stay with length 1.
    pub fn smallest(&mut self, a: &str, axes: &[usize]) -> Name {
        self.reduce("ReduceMin", a, axes, 18)
    }

    /// The largest value over `axes`, which stay with length 1.
    pub fn largest(&mut self, a: &str, axes: &[usize]) -> Name {
        self.reduce("ReduceMax", a, axes, 18)
    }

    /// Reduce operators take their axes as an input since opset `since`, as an attribute before.
    fn reduce(&mut self, op: &str, a: &str, axes: &[usize], since: i64) -> Name {
        if axes.is_empty() {
            return a.to_owned();
        }
        let axes: Vec<i64> = axes.iter().map(|&axis| axis as i64).collect();
        if self.opset >= since {
            let axes = self.ints(&axes);
            return self.node(Node::new(op, &[a, &axes], &[]).with("keepdims", 1));
        }
        self.node(Node::new(op, &[a], &[]).with("axes", axes).with("keepdims", 1))
    }

    /// The parts at the positions `index` along `axis`.
    pub fn gather(&mut self, a: &str, axis: usize, index: &[i64]) -> Name {
        let index = self.ints(index);
        self.node(Node::new("Gather", &[a, &index], &[]).with("axis", axis as i64))
    }

    /// The parts from `start` up to `end` along `axis`.
    pub fn slice(&mut self, a: &str, axis: usize, start: usize, end: usize) -> Name {
        let (starts, ends, axes) = (vec![start as i64], vec![end as i64], vec![axis as i64]);
        if self.opset < 10 {
            return self
                .node(Node::new("Slice", &[a], &[]).with("starts", starts).with("ends", ends).with("axes", axes));
        }
        let (starts, ends, axes) = (self.ints(&starts), self.ints(&ends), self.ints(&axes));
        self.op("Slice", &[a, &starts, &ends, &axes])
    }

    /// Every `step`-th value of `a`, which has one axis, from `start` on; both are tensors `[1]`.
    pub fn every(&mut self, a: &str, start: &str, step: &str) -> Name {
        let (end, axis) = (self.ints(&[i64::MAX]), self.ints(&[0]));
        self.op("Slice", &[a, start, &end, &axis, step])
    }

    /// One behind the other along `axis`.
    pub fn concat(&mut self, all: &[&str], axis: usize) -> Name {
        self.node(Node::new("Concat", all, &[]).with("axis", axis as i64))
    }

    /// The gradient of something that was broadcast from `from` to `to`, summed back to `from`.
    pub fn unbroadcast(&mut self, gradient: &str, to: &[usize], from: &[usize]) -> Name {
        if to == from {
            return gradient.to_owned();
        }
        let added = to.len() - from.len();
        let axes: Vec<usize> = (0..to.len()).filter(|&i| i < added || (from[i - added] == 1 && to[i] != 1)).collect();
        let summed = self.sum(gradient, &axes);
        if added == 0 { summed } else { self.reshape(&summed, from) }
    }
}
