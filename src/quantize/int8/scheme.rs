//! Which nodes compute in int8, given the layers that do, and which tensors are stored in 8 bits between them.
use super::layers::WITH_WEIGHTS;
use super::network::Network;
use std::collections::{BTreeMap, BTreeSet, HashSet};

/// Operators that follow when all that they take comes from int8, and have a form of their own in it.
const FOLLOW: [&str; 5] = ["Mul", "Sigmoid", "Concat", "AveragePool", "GlobalAveragePool"];
/// Follows when one of its inputs comes from int8: the other branch of a residual is a tensor that int8 layers take, too.
const JOINS: &str = "Add";
/// What they give has the steps of what they take.
const MOVE: [&str; 9] =
    ["MaxPool", "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Transpose", "Identity", "Split", "Slice"];
/// Vanish in the step that stores what they give: the range ends where they cut.
const CUT: [&str; 2] = ["Relu", "Clip"];

/// What computes in int8.
#[derive(Clone, Debug, Default)]
pub struct Scheme {
    /// Places of nodes: the layers, and what follows them.
    pub nodes: BTreeSet<usize>,
    /// Tensors that are stored in 8 bits; with the tensor whose steps it has.
    pub stored: BTreeMap<String, String>,
    /// Those among them that no layer takes, at once or later: scores, the highest of which are what it is about.
    pub scores: BTreeSet<String>,
}

impl Scheme {
    /// For the nodes of `layers` in int8.
    pub fn of(network: &Network, layers: &BTreeSet<usize>) -> Self {
        let nodes = followers(network, layers);
        let mut stored = BTreeMap::new();
        let mut store = |name: &str| {
            if network.graph.initializer(name).is_none() {
                stored.insert(name.to_owned(), name.to_owned());
            }
        };
        for &at in &nodes {
            let node = &network.graph.nodes[at];
            if CUT.contains(&node.op_type.as_str()) {
                continue;
            }
            network.activations(node).for_each(&mut store);
            let is_taken = |name: &str| network.graph.consumers(name).iter().any(|next| nodes.contains(next));
            for output in &node.output {
                let given = settled(network, &nodes, output);
                // A last linear layer gives float: its values are the answer.
                let may_stay =
                    matches!(node.op_type.as_str(), "Gemm" | "MatMul") || MOVE.contains(&node.op_type.as_str());
                if !network.is_output(given) && (is_taken(given) || !may_stay) {
                    store(given);
                }
            }
        }
        // Producers come before consumers, so one walk hands steps on.
        for &at in &nodes {
            let node = &network.graph.nodes[at];
            let source = node.given(0).and_then(|name| stored.get(name)).cloned();
            if let (true, Some(source)) = (MOVE.contains(&node.op_type.as_str()), source) {
                for output in &node.output {
                    if let Some(steps) = stored.get_mut(output) {
                        steps.clone_from(&source);
                    }
                }
            }
        }
        join(network, &nodes, &mut stored);
        let taken = before_layers(network);
        let scores = stored.keys().filter(|name| !taken.contains(name.as_str())).cloned().collect();
        Self { nodes, stored, scores }
    }

    /// Whether a tensor is given by one of its nodes.
    pub fn gives(&self, network: &Network, tensor: &str) -> bool {
        network.graph.producer(tensor).is_some_and(|at| self.nodes.contains(&at))
    }
}

/// What is only put together with others has the steps of the whole: it is copied then, instead of being rounded once more (imagenet-squeezenet10: 10 % less
/// time, KL 0.020 to 0.011). From the last on, as a whole may be a part of another.
fn join(network: &Network, nodes: &BTreeSet<usize>, stored: &mut BTreeMap<String, String>) {
    let is_moved = |name: &str| {
        let producer = network.graph.producer(name).map(|at| &network.graph.nodes[at]);
        producer.is_some_and(|node| MOVE.contains(&node.op_type.as_str()))
    };
    for &at in nodes.iter().rev().filter(|at| network.graph.nodes[**at].op_type == "Concat") {
        let node = &network.graph.nodes[at];
        let Some(steps) = node.output.first().and_then(|output| stored.get(output)).cloned() else { continue };
        for part in network.activations(node) {
            if let (Some(of_part), Some(_), false) = (stored.get_mut(part), network.sole_consumer(part), is_moved(part))
            {
                of_part.clone_from(&steps);
            }
        }
    }
}

/// Tensors that a layer takes, at once or later.
fn before_layers(network: &Network) -> HashSet<&str> {
    let mut found = HashSet::new();
    for node in network.graph.nodes.iter().rev() {
        if WITH_WEIGHTS.contains(&node.op_type.as_str()) || node.output.iter().any(|out| found.contains(out.as_str())) {
            found.extend(network.activations(node));
        }
    }
    found
}

/// The tensor behind the cut that alone takes `output`, or `output` itself.
fn settled<'a>(network: &'a Network, nodes: &BTreeSet<usize>, output: &'a str) -> &'a str {
    let next = network.sole_consumer(output).filter(|next| nodes.contains(next)).map(|next| &network.graph.nodes[next]);
    match next {
        Some(node) if CUT.contains(&node.op_type.as_str()) => node.output.first().map_or(output, String::as_str),
        _ => output,
    }
}

/// The layers, and the nodes between them that can do without float.
fn followers(network: &Network, layers: &BTreeSet<usize>) -> BTreeSet<usize> {
    let graph = &network.graph;
    let mut nodes = layers.clone();
    let mut given: HashSet<&str> = HashSet::new();
    for (at, node) in graph.nodes.iter().enumerate() {
        let op = node.op_type.as_str();
        let all =
            || network.activations(node).count() > 0 && network.activations(node).all(|name| given.contains(name));
        let is_known = || node.output.iter().all(|output| network.shapes.get(output).is_some());
        let follows = node.is_standard()
            && is_known()
            && if op == JOINS {
                network.activations(node).count() == 2 && network.activations(node).any(|name| given.contains(name))
            } else if FOLLOW.contains(&op) {
                all() && network.activations(node).count() == node.input.len()
            } else if CUT.contains(&op) {
                all() && network.sole_consumer(&node.input[0]) == Some(at)
            } else {
                MOVE.contains(&op) && all()
            };
        if follows {
            nodes.insert(at);
        }
        if nodes.contains(&at) {
            given.extend(node.output.iter().map(String::as_str));
        }
    }
    // What no layer comes behind is the network's answer: it stays in float.
    for at in (0..graph.nodes.len()).rev() {
        let node = &graph.nodes[at];
        let leads_on = || node.output.iter().any(|out| graph.consumers(out).iter().any(|next| nodes.contains(next)));
        let cuts = || {
            CUT.contains(&node.op_type.as_str()) && graph.producer(&node.input[0]).is_some_and(|p| layers.contains(&p))
        };
        if nodes.contains(&at) && !layers.contains(&at) && !leads_on() && !cuts() {
            nodes.remove(&at);
        }
    }
    nodes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::onnx::Node;
    use crate::quantize::int8::drawing::{Drawing, X};

    /// A convolution of 4 channels, which takes 3 of the picture.
    fn conv(drawing: &mut Drawing, input: &str, output: &str, inputs: usize) {
        drawing.layer("Conv", input, output, (&[4, inputs, 1, 1], &vec![1.0; 4 * inputs]));
    }

    fn concat(drawing: &mut Drawing, parts: &[&str], output: &str) {
        drawing.node(Node::new("Concat", parts, &[output]).with("axis", 1));
    }

    fn max_pool(drawing: &mut Drawing, input: &str, output: &str) {
        drawing.node(Node::new("MaxPool", &[input], &[output]).with("kernel_shape", vec![1, 1]));
    }

    /// From `input` of 4 channels to the classes.
    fn head(drawing: &mut Drawing, input: &str) {
        drawing.op("GlobalAveragePool", &[input], "mean");
        drawing.op("Flatten", &["mean"], "flat");
        drawing.layer("Gemm", "flat", "head", (&[4, 3], &[1.0; 12]));
        drawing.op("Softmax", &["head"], "y");
    }

    /// With the layers that give these in int8: what its nodes give, what is stored and with whose steps, and the scores.
    fn scheme(drawing: Drawing, layers: &[&str]) -> (Network, Scheme, [String; 3]) {
        let (_folder, model) = drawing.model();
        let network = Network::over(model).unwrap();
        let layers = layers.iter().map(|layer| network.graph.producer(layer).unwrap()).collect();
        let scheme = Scheme::of(&network, &layers);
        let nodes: Vec<_> = scheme.nodes.iter().map(|&at| network.graph.nodes[at].output[0].as_str()).collect();
        let steps = |(name, of): (&String, &String)| if name == of { name.clone() } else { format!("{name}={of}") };
        let stored: Vec<_> = scheme.stored.iter().map(steps).collect();
        let scores: Vec<_> = scheme.scores.iter().map(String::as_str).collect();
        let told = [nodes.join(" "), stored.join(" "), scores.join(" ")];
        (network, scheme, told)
    }

    /// Two convolutions, the second in a residual, and a gate behind it.
    fn residual() -> Drawing {
        let mut drawing = Drawing::default();
        conv(&mut drawing, X, "stem", 3);
        drawing.op("Relu", &["stem"], "cut");
        max_pool(&mut drawing, "cut", "pooled");
        conv(&mut drawing, "pooled", "branch", 4);
        drawing.op("Add", &["branch", "pooled"], "sum");
        drawing.op("Sigmoid", &["sum"], "gate");
        drawing.op("Mul", &["sum", "gate"], "gated");
        head(&mut drawing, "gated");
        drawing
    }

    #[test]
    fn all_between_layers_is_stored_but_what_a_cut_takes_and_the_answer() {
        let (.., [nodes, stored, scores]) = scheme(residual(), &["stem", "branch", "head"]);
        assert_eq!(nodes, "stem cut pooled branch sum gate gated mean flat head");
        assert_eq!(stored, "branch cut flat=mean gate gated mean pooled=cut sum x");
        assert_eq!(scores, "");
    }

    #[test]
    fn what_no_layer_in_int8_comes_behind_stays_in_float() {
        let (network, scheme, [nodes, stored, scores]) = scheme(residual(), &["branch"]);
        assert_eq!(nodes, "branch");
        assert_eq!(stored, "branch pooled");
        assert!(scheme.gives(&network, "branch") && !scheme.gives(&network, "pooled"));
        assert_eq!(scores, "", "the head takes it, in float or not");
    }

    #[test]
    fn an_addition_follows_one_branch_and_other_operators_all() {
        let mut drawing = Drawing::default();
        conv(&mut drawing, X, "one", 3);
        conv(&mut drawing, X, "other", 3);
        drawing.op("Add", &["one", "other"], "sum");
        drawing.op("Mul", &["one", "other"], "product");
        drawing.op("Tanh", &["sum"], "curved");
        conv(&mut drawing, "sum", "behind", 4);
        concat(&mut drawing, &["behind", "curved", "product"], "whole");
        conv(&mut drawing, "whole", "last", 12);
        head(&mut drawing, "last");
        let (.., [nodes, stored, _]) = scheme(drawing, &["one", "behind", "last", "head"]);
        assert_eq!(nodes, "one sum behind last mean flat head");
        assert_eq!(stored, "behind flat=mean last mean one other sum whole x");
    }

    #[test]
    fn parts_of_a_whole_have_its_steps_where_nobody_else_takes_them() {
        let mut drawing = Drawing::default();
        conv(&mut drawing, X, "stem", 3);
        conv(&mut drawing, "stem", "part", 4);
        conv(&mut drawing, "stem", "uncut", 4);
        drawing.op("Relu", &["uncut"], "cut");
        concat(&mut drawing, &["part", "cut"], "inner");
        conv(&mut drawing, "stem", "shared", 4);
        max_pool(&mut drawing, "stem", "moved");
        concat(&mut drawing, &["inner", "shared", "moved"], "outer");
        conv(&mut drawing, "outer", "one", 16);
        conv(&mut drawing, "shared", "other", 4);
        drawing.op("Add", &["one", "other"], "sum");
        head(&mut drawing, "sum");
        let layers = ["stem", "part", "uncut", "shared", "one", "other", "head"];
        let (.., [_, stored, _]) = scheme(drawing, &layers);
        let expected = "cut=outer flat=mean inner=outer mean moved=stem one other outer part=outer shared stem sum x";
        assert_eq!(stored, expected);
    }

    #[test]
    fn a_whole_with_a_part_in_float_is_stored_as_a_whole() {
        let mut drawing = Drawing::default();
        conv(&mut drawing, X, "part", 3);
        conv(&mut drawing, X, "float", 3);
        concat(&mut drawing, &["part", "float"], "whole");
        conv(&mut drawing, "whole", "last", 8);
        head(&mut drawing, "last");
        let (network, scheme, [nodes, stored, _]) = scheme(drawing, &["part", "last", "head"]);
        assert_eq!(nodes, "part last mean flat head");
        assert_eq!(stored, "flat=mean last mean part whole x");
        assert!(!scheme.gives(&network, "whole"));
    }

    #[test]
    fn scores_are_what_no_layer_takes() {
        let drawn = || {
            let mut drawing = Drawing::default();
            conv(&mut drawing, X, "stem", 3);
            drawing.op("Relu", &["stem"], "cut");
            conv(&mut drawing, "cut", "classes", 4);
            drawing.op("Relu", &["classes"], "scores");
            drawing.op("GlobalAveragePool", &["scores"], "mean");
            drawing.op("Flatten", &["mean"], "flat");
            drawing.op("Softmax", &["flat"], "y");
            drawing
        };
        let (.., told) = scheme(drawn(), &["stem", "classes"]);
        assert_eq!(told, ["stem cut classes scores", "cut scores x", "scores"]);
        // One that stays in float is a layer still.
        let (.., told) = scheme(drawn(), &["stem"]);
        assert_eq!(told, ["stem cut", "cut x", ""]);
    }
}
