//! What is explained: the score of a class, and the gradient of that score with respect to the logits, as nodes.
use super::backward::{Emit, Name};
use crate::model::{Card, OutputKind};
use crate::onnx::{Graph, Node, Shapes};
use anyhow::Result;

/// Which score of a class is differentiated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Score {
    /// The value before softmax or sigmoid: the Grad-CAM paper's choice, and the one whose gradient does not vanish.
    #[default]
    Logit,
    /// The probability, as the replaced app explained it.
    Probability,
}

impl Score {
    /// The name in commands and in files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Logit => "logit",
            Self::Probability => "probability",
        }
    }
}

/// Where the classes' scores stand in a graph.
#[derive(Clone, Debug, PartialEq)]
pub struct Head {
    /// The tensor with one logit a class.
    pub logits: String,
    /// Its shape.
    pub shape: Vec<usize>,
    /// How logits become probabilities.
    kind: Kind,
    /// Logits are divided by it first.
    temperature: f32,
    /// Whether one sigmoid stands for two labels: class 0 is then its opposite.
    pair: bool,
    /// Whether no logit was found, so that what the graph gives is the score.
    pub is_output: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Softmax,
    Sigmoid,
}

impl Head {
    /// Finds the logits behind `output`: what its Softmax or Sigmoid takes, or the output itself where the card says that it holds logits.
    pub fn find(graph: &Graph, shapes: &Shapes, card: &Card, output: &str) -> Result<Self> {
        let (ops, kind): (&[&str], _) = match card.output.kind {
            OutputKind::Logits => (&[], Kind::Softmax),
            OutputKind::Softmax => (&["Softmax"], Kind::Softmax),
            OutputKind::Sigmoid => (&["Sigmoid"], Kind::Sigmoid),
        };
        let before = activation(graph, output, ops).and_then(|node| node.given(0));
        let logits = before.unwrap_or(output).to_owned();
        let shape = shapes.of(&logits)?.to_vec();
        Ok(Self {
            is_output: before.is_none() && !ops.is_empty(),
            pair: kind == Kind::Sigmoid && shape.iter().product::<usize>() == 1 && card.labels.len() == 2,
            temperature: card.output.temperature.unwrap_or(1.0) as f32,
            logits,
            shape,
            kind,
        })
    }

    /// Number of logits.
    pub fn count(&self) -> usize {
        self.shape.iter().product()
    }

    /// Writes the logits as `[1, labels]`.
    pub fn flat(&self, emit: &mut Emit) -> Name {
        let flat = emit.reshape(&self.logits, &[1, self.count()]);
        if !self.pair {
            return flat;
        }
        let opposite = emit.op("Neg", &[&flat]);
        emit.concat(&[&opposite, &flat], 1)
    }

    /// Writes the class that is explained (`class`, int64 `[1]`; -1: the best) as float32 `[1]`, and the score's gradient with respect to the logits.
    pub fn seed(&self, emit: &mut Emit, class: &str, score: Score) -> (Name, Name) {
        let flat = emit.reshape(&self.logits, &[1, self.count()]);
        let best = if self.pair {
            let positive = emit.greater(&flat, 0.0);
            let positive = emit.node(Node::new("Cast", &[&positive], &[]).with("to", 7));
            emit.reshape(&positive, &[1])
        } else {
            emit.node(Node::new("ArgMax", &[&flat], &[]).with("axis", 1).with("keepdims", 0))
        };
        let zero = emit.ints(&[0]);
        let is_best = emit.op("Less", &[class, &zero]);
        let class = emit.op("Where", &[&is_best, &best, class]);
        let chosen = emit.as_float(&class);
        let one_hot = if self.pair {
            // Class 1 is the sigmoid's, class 0 its opposite: +1 and -1.
            let twice = emit.scale(&chosen, 2.0);
            let sign = emit.shift(&twice, -1.0);
            emit.reshape(&sign, &[1, 1])
        } else {
            let all: Vec<i64> = (0..self.count() as i64).collect();
            let all = emit.int_tensor(&[1, self.count()], &all);
            let is_class = emit.op("Equal", &[&all, &class]);
            emit.as_float(&is_class)
        };
        let seed = match score {
            Score::Logit => one_hot,
            Score::Probability if self.is_output => one_hot,
            Score::Probability => self.probability_slope(emit, &flat, &one_hot),
        };
        (chosen, emit.reshape(&seed, &self.shape))
    }

    /// dp/dlogits. For softmax `p_c (Σ q - q)` with q the other classes' probabilities: `1 - p_c`, which cancels near 1, is never computed.
    fn probability_slope(&self, emit: &mut Emit, logits: &str, one_hot: &str) -> Name {
        let heated = emit.scale(logits, 1.0 / self.temperature);
        let slope = match self.kind {
            Kind::Softmax => {
                let p = emit.node(Node::new("Softmax", &[&heated], &[]).with("axis", 1));
                let own = emit.mul(&p, one_hot);
                let own = emit.sum(&own, &[1]);
                let one = emit.float(1.0);
                let rest = emit.sub(&one, one_hot);
                let others = emit.mul(&p, &rest);
                let sum = emit.sum(&others, &[1]);
                let here = emit.mul(&sum, one_hot);
                let both = emit.sub(&here, &others);
                emit.mul(&both, &own)
            }
            Kind::Sigmoid => {
                let p = emit.op("Sigmoid", &[&heated]);
                let negative = emit.op("Neg", &[&heated]);
                let rest = emit.op("Sigmoid", &[&negative]);
                let both = emit.mul(&p, &rest);
                emit.mul(&both, one_hot)
            }
        };
        emit.scale(&slope, 1.0 / self.temperature)
    }
}

/// The node of one of `ops` that gives `output`, before whatever only moves or converts it.
fn activation<'g>(graph: &'g Graph, output: &str, ops: &[&str]) -> Option<&'g Node> {
    let mut at = output;
    loop {
        let node = &graph.nodes[graph.producer(at)?];
        if ops.contains(&node.op_type.as_str()) {
            return Some(node);
        }
        if !crate::onnx::MOVES.contains(&node.op_type.as_str()) {
            return None;
        }
        at = node.given(0)?;
    }
}
