//! Which keys a Blueprint may have and what stands under them, as tables. From render.com/schema/render.yaml.json and render.com/docs/blueprint-spec.
use super::lint::rules::{self, Rule};
use super::service::Kind;
use Need::{Old, Optional, Required, WebOnly};
use Shape::{Block, List, OneOf, Text, Whole};

macro_rules! value {
    ($($word:literal),+) => {
        OneOf(&[&[$($word),+]], &rules::UNKNOWN_VALUE)
    };
}

mod places;
mod services;

pub use places::ROOT;
use places::{ALLOWED_SOURCE, ENV_VAR};
use services::{CRON, KEY_VALUE, SERVER, STATIC, WORKFLOW};

/// What may stand under a key.
#[derive(Debug)]
pub enum Shape {
    /// Anything; a rule of its own looks at it.
    Any,
    /// A text.
    Text,
    /// `true` or `false`.
    Flag,
    /// A whole number between two limits; outside: the rule.
    Whole(i64, i64, &'static Rule),
    /// One of some texts; another text: the rule.
    OneOf(&'static [&'static [&'static str]], &'static Rule),
    /// A list.
    List(&'static Self),
    /// A block of keys.
    Block(&'static Keys),
    /// A list of services, each with the keys of its kind.
    Services,
}

/// The keys of a block.
#[derive(Debug)]
pub struct Keys {
    /// What the block is, with its article.
    pub what: &'static str,
    /// Its keys.
    pub keys: &'static [Key],
}

/// A key of a block.
#[derive(Debug)]
pub struct Key {
    /// Its name.
    pub name: &'static str,
    /// What stands under it.
    pub shape: Shape,
    /// Whether it may be there.
    pub need: Need,
}

/// Whether a key may or has to be there.
#[derive(Debug)]
pub enum Need {
    /// It may.
    Optional,
    /// It has to.
    Required,
    /// It may, for now; the rule, and what to do instead.
    Old(&'static Rule, &'static str),
    /// It may, but only a web service or static site makes use of it.
    WebOnly,
}

const fn key(name: &'static str, shape: Shape) -> Key {
    Key { name, shape, need: Optional }
}

const fn required(name: &'static str, shape: Shape) -> Key {
    Key { name, shape, need: Required }
}

const fn web_only(name: &'static str, shape: Shape) -> Key {
    Key { name, shape, need: WebOnly }
}

const fn old(name: &'static str, shape: Shape, instead: &'static str) -> Key {
    Key { name, shape, need: Old(&rules::DEPRECATED_KEY, instead) }
}

const MOST: i64 = i64::MAX;
static TEXT: Shape = Text;

const REGION: Shape = OneOf(&[&["oregon", "ohio", "virginia", "frankfurt", "singapore"]], &rules::UNKNOWN_REGION);
const GENERATION: Shape = OneOf(&[&["off", "manual", "automatic"]], &rules::PREVIEWS_VALUE);
const COUNT: Shape = Whole(1, MOST, &rules::OUT_OF_RANGE);
const SWITCH: Shape = value!("enabled", "disabled");
const ENV_VARS: Shape = List(&Block(&ENV_VAR));
const ALLOWED: Shape = List(&Block(&ALLOWED_SOURCE));

/// Kinds of services whose tables differ, so that a key of another kind is told from a misspelt one.
pub const TABLES: [&Keys; 5] = [&SERVER, &STATIC, &CRON, &KEY_VALUE, &WORKFLOW];

/// The keys of a service.
pub fn keys_of(kind: Kind) -> &'static Keys {
    match kind {
        Kind::Web | Kind::Private | Kind::Worker => &SERVER,
        Kind::Static => &STATIC,
        Kind::Cron => &CRON,
        Kind::KeyValue => &KEY_VALUE,
        Kind::Workflow => &WORKFLOW,
    }
}
