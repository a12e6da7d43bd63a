//! Every operator with a rule and every attribute setting of the reference networks stands in enough graphs.
use super::sketch::X;
use super::{Drawn, all_cases, chains, graphs, quantized};
use crate::support::shared::{root, shared};
use dermai::explain::backward::{is_supported, path};
use dermai::onnx::Node;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use syn::visit::{self, Visit};

/// In how many graphs each has to stand.
const LEAST: usize = 5;

/// The operators that the functions `rule` of the source name.
struct Rules(BTreeSet<String>);

impl<'ast> Visit<'ast> for Rules {
    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        if item.sig.ident == "rule" {
            visit::visit_block(self, &item.block);
        }
    }

    fn visit_arm(&mut self, arm: &'ast syn::Arm) {
        let text = |literal: &syn::Lit| if let syn::Lit::Str(text) = literal { Some(text.value()) } else { None };
        let alternatives = match &arm.pat {
            syn::Pat::Or(or) => or.cases.iter().collect(),
            one => vec![one],
        };
        let literals =
            alternatives.into_iter().filter_map(|p| if let syn::Pat::Lit(l) = p { text(&l.lit) } else { None });
        self.0.extend(literals);
    }
}

/// Every operator with a rule, read off the source, so that a new rule without graphs fails here.
fn operators() -> BTreeSet<String> {
    let mut rules = Rules(BTreeSet::new());
    for entry in fs::read_dir(root().join("src/explain/backward")).unwrap() {
        rules.visit_file(&syn::parse_file(&fs::read_to_string(entry.unwrap().path()).unwrap()).unwrap());
    }
    assert!(rules.0.iter().all(|op| is_supported(&Node::new(op, &[], &[]))), "{:?}", rules.0);
    rules.0
}

/// A node's attributes, as the reference networks' list has them: those of a convolution summed up.
fn setting(node: &Node) -> Value {
    let mut found = Map::new();
    for a in &node.attribute {
        let value = match a.r#type {
            1 => json!(a.f),
            2 => json!(a.i),
            3 => json!(String::from_utf8_lossy(&a.s)),
            6 => json!(a.floats),
            _ => json!(a.ints),
        };
        found.insert(a.name.clone(), value);
    }
    if node.op_type != "Conv" {
        return found.into();
    }
    let list = |name: &str| node.ints(name).map(<[i64]>::to_vec).unwrap_or_default();
    let (pads, strides) = (list("pads"), list("strides"));
    let (begins, ends) = pads.split_at(pads.len() / 2);
    json!({
        "asym_pad": begins != ends,
        "auto_pad": node.text("auto_pad").unwrap_or("NOTSET"),
        "dilated": list("dilations").iter().any(|&d| d > 1),
        "grouped": node.int("group").is_some_and(|g| g > 1),
        "strides": if strides.is_empty() { vec![1, 1] } else { strides },
    })
}

/// Whether two settings are the same, floats as float32 has them.
fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => a.as_f64().map(|a| a as f32) == b.as_f64().map(|b| b as f32),
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(key, value)| b.get(key).is_some_and(|other| same(value, other)))
        }
        _ => a == b,
    }
}

/// The settings of the reference networks, from their list: `- Operator (n): {..}; {..}`, each in backticks.
fn listed() -> Vec<(String, Value)> {
    let Some(shared) = shared() else { return Vec::new() };
    let text = fs::read_to_string(shared.join("reference/README.md")).unwrap();
    let list = text.split("## Attribute settings met").nth(1).expect("the list");
    let mut found = Vec::new();
    for line in list.lines().filter_map(|line| line.strip_prefix("- ")) {
        let op = line.split(' ').next().unwrap();
        let settings = line.split('`').skip(1).step_by(2).map(|s| (op.to_owned(), serde_json::from_str(s).unwrap()));
        found.extend(settings);
    }
    assert!(found.len() > 50, "{} settings", found.len());
    found
}

#[test]
fn every_operator_and_setting_stands_in_enough_graphs() {
    let cases = all_cases();
    let all: Vec<Drawn> = [graphs(&cases), chains::all(&cases), quantized::all()].into_iter().flatten().collect();
    let mut operators: BTreeMap<String, usize> = operators().into_iter().map(|op| (op, 0)).collect();
    let mut settings: Vec<(String, Value, usize)> = listed().into_iter().map(|(op, s)| (op, s, 0)).collect();
    for Drawn { sketch, output, .. } in &all {
        let (_, graph) = sketch.model(output);
        // What only computes a shape or a condition is differentiated by nobody.
        let on_path = path(&graph, X, output).into_iter().map(|at| &graph.nodes[at]);
        let nodes: Vec<(&str, Value)> = on_path.map(|n| (n.op_type.as_str(), setting(n))).collect();
        for op in nodes.iter().map(|(op, _)| *op).collect::<BTreeSet<_>>() {
            operators.entry(op.to_owned()).and_modify(|count| *count += 1);
        }
        for (op, wanted, count) in &mut settings {
            *count += usize::from(nodes.iter().any(|(own, found)| own == op && same(found, wanted)));
        }
    }
    eprintln!("{} graphs", all.len());
    let mut missing = Vec::new();
    let counted = operators.iter().map(|(op, count)| (op.clone(), *count));
    for (what, count) in counted.chain(settings.iter().map(|(op, setting, count)| (format!("{op} {setting}"), *count)))
    {
        eprintln!("{count:5} {what}");
        if count < LEAST {
            missing.push(format!("{what}: {count}"));
        }
    }
    assert!(missing.is_empty(), "in fewer than {LEAST} graphs:\n{}", missing.join("\n"));
}
