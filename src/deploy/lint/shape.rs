//! The form of the file against the tables of [`super::super::schema`]: unknown and missing keys, wrong types, words and numbers.
use super::Report;
use super::rules::{KEY_NOT_FOR_KIND, MISSING_KEY, UNKNOWN_KEY, UNKNOWN_PLAN, WEB_ONLY_KEY, WRONG_TYPE};
use crate::deploy::blueprint::Blueprint;
use crate::deploy::node::{Node, kind_of, shown};
use crate::deploy::plan::Plan;
use crate::deploy::schema::{Key, Keys, Need, ROOT, Shape, TABLES, keys_of};
use crate::deploy::service::{Kind, Service};
use crate::yaml::{self, Value};

/// Words that a message lists where one of them is near.
const MOST_LISTED: usize = 12;

pub(super) fn check(blueprint: &Blueprint, report: &mut Report) {
    block(&blueprint.root(), ROOT.what, ROOT.keys.iter().collect::<Vec<_>>().as_slice(), None, report);
}

/// Looks at every key of a block. `kind` is that of the service when the block is one.
fn block(node: &Node, what: &str, keys: &[&Key], kind: Option<Kind>, report: &mut Report) {
    let Some(map) = node.value.as_mapping() else {
        return wrong_type(node, &format!("{what}, which is a block of keys"), report);
    };
    for (name, value) in map {
        if report.is_full() {
            return;
        }
        let Some(name) = name.as_str() else {
            let path = node.path_of(&yaml::show(name));
            report.add(&UNKNOWN_KEY, path, "a key that is not a text", "remove it");
            continue;
        };
        let inner = Node { path: node.path_of(name), value };
        match keys.iter().find(|key| key.name == name) {
            Some(key) => known(&inner, key, kind, report),
            None => unknown(&inner, name, what, keys, kind, report),
        }
    }
    for key in keys.iter().filter(|key| matches!(key.need, Need::Required) && !map.contains_key(key.name)) {
        let message = format!("{what} has no `{}`", key.name);
        report.add(&MISSING_KEY, node.path_of(key.name), message, format!("add `{}`", key.name));
    }
}

fn known(node: &Node, key: &Key, kind: Option<Kind>, report: &mut Report) {
    match key.need {
        Need::Old(rule, instead) => {
            report.add(rule, node.path.clone(), format!("`{}` has been replaced", key.name), instead);
        }
        Need::WebOnly if matches!(kind, Some(Kind::Private | Kind::Worker)) => {
            let message = format!("`{}` has no effect at {}", key.name, kind.map_or("a service", Kind::label));
            report.add(&WEB_ONLY_KEY, node.path.clone(), message, "remove it");
        }
        _ => {}
    }
    shape(node, &key.shape, report);
}

fn unknown(node: &Node, name: &str, what: &str, keys: &[&Key], kind: Option<Kind>, report: &mut Report) {
    let elsewhere = kind.is_some() && TABLES.iter().any(|table| table.keys.iter().any(|key| key.name == name));
    let what = match kind {
        Some(kind) => kind.label(),
        None => what,
    };
    if elsewhere {
        let message = format!("{what} has no `{}`", shown(name));
        report.add(&KEY_NOT_FOR_KIND, node.path.clone(), message, "remove it, or change the `type` or `runtime`");
        return;
    }
    let message = format!("`{}` is not a key of {what}", shown(name));
    let fix = match yaml::nearest(name, keys.iter().map(|key| key.name)) {
        Some(nearest) => format!("did you mean `{nearest}`?"),
        None => "remove it".to_owned(),
    };
    report.add(&UNKNOWN_KEY, node.path.clone(), message, fix);
}

fn shape(node: &Node, expected: &Shape, report: &mut Report) {
    match (expected, node.value) {
        (Shape::Any, _) | (Shape::Text, Value::String(_)) | (Shape::Flag, Value::Bool(_)) => {}
        (Shape::Flag, _) => wrong_type(node, "`true` or `false`", report),
        (Shape::Whole(from, to, rule), value) => match value.as_i64() {
            Some(n) if (*from..=*to).contains(&n) => {}
            Some(n) => {
                let limits = if *to == i64::MAX { format!("at least {from}") } else { format!("from {from} to {to}") };
                report.add(rule, node.path.clone(), format!("{n} is not allowed"), format!("write a number {limits}"));
            }
            None => wrong_type(node, "a whole number", report),
        },
        (Shape::OneOf(words, rule), Value::String(text)) => {
            let words = || words.iter().copied().flatten().copied();
            if !words().any(|word| word == text) {
                // `pro_plus` is the API's spelling of `pro plus`: it is worth saying that it is the same plan.
                let spelt = Plan::named(text).map(|plan| plan.id).filter(|id| words().any(|word| word == *id));
                let fix = match (spelt, yaml::nearest(text, words())) {
                    (Some(id), _) if rule.id == UNKNOWN_PLAN.id => format!("in a Blueprint it is spelt `{id}`"),
                    (_, Some(nearest)) if words().count() > MOST_LISTED => format!("did you mean `{nearest}`?"),
                    _ => format!("write one of `{}`", words().collect::<Vec<_>>().join("`, `")),
                };
                report.add(rule, node.path.clone(), format!("Render has no `{}` here", shown(text)), fix);
            }
        }
        (Shape::Text | Shape::OneOf(..), _) => wrong_type(node, "a text", report),
        (Shape::List(inner), Value::Sequence(_)) => {
            for item in node.items() {
                if report.is_full() {
                    return;
                }
                shape(&item, inner, report);
            }
        }
        (Shape::List(_), _) => wrong_type(node, "a list", report),
        (Shape::Block(keys), _) => block(node, keys.what, &keys.keys.iter().collect::<Vec<_>>(), None, report),
        (Shape::Services, Value::Sequence(_)) => {
            for item in node.items() {
                if report.is_full() {
                    return;
                }
                service(item, report);
            }
        }
        (Shape::Services, _) => wrong_type(node, "a list of services", report),
    }
}

fn service(node: Node, report: &mut Report) {
    let service = Service::new(node);
    let kinds: &[&Keys] = match service.kind {
        Some(kind) => &[keys_of(kind)],
        None => &TABLES,
    };
    let mut keys: Vec<&Key> = Vec::new();
    for key in kinds.iter().flat_map(|keys| keys.keys) {
        if !keys.iter().any(|before| before.name == key.name) {
            keys.push(key);
        }
    }
    block(&service.node, kinds[0].what, &keys, service.kind, report);
}

fn wrong_type(node: &Node, expected: &str, report: &mut Report) {
    let fix = match node.value {
        Value::Number(_) | Value::Bool(_) if expected == "a text" => "put it in quotes".to_owned(),
        Value::Null => "write a value or remove the key".to_owned(),
        _ => format!("write {expected}"),
    };
    let message = format!("it is {}; expected {expected}", kind_of(node.value));
    report.add(&WRONG_TYPE, node.path.clone(), message, fix);
}
