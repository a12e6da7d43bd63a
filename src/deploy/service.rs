//! One service of a Blueprint, and one of its environment variables.
use super::node::Node;
use crate::yaml::{self, Value};

/// What a service is. A static site is `type: web` with `runtime: static`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `web`: a public server.
    Web,
    /// `web` with `runtime: static`: files on a content network.
    Static,
    /// `pserv`: a server that only the private network reaches.
    Private,
    /// `worker`: a process that nobody connects to.
    Worker,
    /// `cron`: a process that runs on a schedule.
    Cron,
    /// `keyvalue`, formerly `redis`: a store.
    KeyValue,
    /// `workflow`: tasks that Render runs on demand.
    Workflow,
}

impl Kind {
    /// As in a sentence, with its article.
    pub fn label(self) -> &'static str {
        match self {
            Self::Web => "a web service",
            Self::Static => "a static site",
            Self::Private => "a private service",
            Self::Worker => "a background worker",
            Self::Cron => "a cron job",
            Self::KeyValue => "a Key Value instance",
            Self::Workflow => "a workflow",
        }
    }

    /// Whether it is a process that runs all the time: web service, private service or background worker.
    pub fn is_server(self) -> bool {
        matches!(self, Self::Web | Self::Private | Self::Worker)
    }
}

/// A service and where it is defined.
#[derive(Clone, Debug)]
pub struct Service<'a> {
    /// Everything that the file says about it.
    pub node: Node<'a>,
    /// What it is; none when `type` is missing or unknown.
    pub kind: Option<Kind>,
    /// Its name, unless that is missing.
    pub name: Option<&'a str>,
    /// `runtime`, or `env` as it was once called.
    pub runtime: Option<&'a str>,
}

impl<'a> Service<'a> {
    pub(super) fn new(node: Node<'a>) -> Self {
        let runtime = node.text("runtime").or_else(|| node.text("env"));
        let kind = match node.text("type") {
            Some("web") if runtime == Some("static") => Some(Kind::Static),
            Some("web") => Some(Kind::Web),
            Some("pserv") => Some(Kind::Private),
            Some("worker") => Some(Kind::Worker),
            Some("cron") => Some(Kind::Cron),
            Some("keyvalue" | "redis") => Some(Kind::KeyValue),
            Some("workflow") => Some(Kind::Workflow),
            _ => None,
        };
        Self { kind, name: node.text("name"), runtime, node }
    }

    /// Its environment variables in the order of the file.
    pub fn env_vars(&self) -> Vec<EnvVar<'a>> {
        self.node.items_of("envVars").into_iter().map(EnvVar).collect()
    }
}

/// An entry of `envVars`.
#[derive(Clone, Debug)]
pub struct EnvVar<'a>(pub Node<'a>);

impl<'a> EnvVar<'a> {
    /// Name of the variable; none where a whole group is taken over.
    pub fn key(&self) -> Option<&'a str> {
        self.0.text("key")
    }

    /// The literal value as the process will see it. What YAML reads as a number or as true or false is written out.
    pub fn literal(&self) -> Option<String> {
        let value = self.0.get("value")?.value;
        match value {
            Value::String(text) => Some(text.clone()),
            Value::Bool(_) | Value::Number(_) => Some(yaml::show(value)),
            _ => None,
        }
    }

    /// The group whose variables are all taken over.
    pub fn group(&self) -> Option<&'a str> {
        self.0.text("fromGroup")
    }
}
