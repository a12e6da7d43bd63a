//! One operator of a graph: reading its attributes, and building new ones.
use super::proto::{AttributeProto, NodeProto, TensorProto, attribute_type};
use prost::bytes::Bytes;

/// `onnx.NodeProto`: an operator, the tensors it takes and gives, and its attributes.
pub type Node = NodeProto;

impl Node {
    /// A node of the default operator set without attributes. Its name is that of its first output.
    pub fn new(op: &str, inputs: &[&str], outputs: &[&str]) -> Self {
        Self {
            op_type: op.to_owned(),
            name: outputs.first().copied().unwrap_or_default().to_owned(),
            input: inputs.iter().map(ToString::to_string).collect(),
            output: outputs.iter().map(ToString::to_string).collect(),
            ..Self::default()
        }
    }

    /// The same with an attribute more.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        let mut attribute = AttributeProto { name: name.to_owned(), ..AttributeProto::default() };
        match value.into() {
            Value::Int(i) => (attribute.i, attribute.r#type) = (i, attribute_type::INT),
            Value::Float(f) => (attribute.f, attribute.r#type) = (f, attribute_type::FLOAT),
            Value::Ints(all) => (attribute.ints, attribute.r#type) = (all, attribute_type::INTS),
            Value::Floats(all) => (attribute.floats, attribute.r#type) = (all, attribute_type::FLOATS),
            Value::Tensor(tensor) => (attribute.t, attribute.r#type) = (Some(tensor), attribute_type::TENSOR),
            Value::Text(text) => (attribute.s, attribute.r#type) = (Bytes::from(text), attribute_type::STRING),
        }
        self.attribute.push(attribute);
        self
    }

    fn attribute(&self, name: &str) -> Option<&AttributeProto> {
        self.attribute.iter().find(|a| a.name == name)
    }

    /// An integer attribute.
    pub fn int(&self, name: &str) -> Option<i64> {
        self.attribute(name).map(|a| a.i)
    }

    /// A float attribute.
    pub fn float(&self, name: &str) -> Option<f32> {
        self.attribute(name).map(|a| a.f)
    }

    /// A list of integers.
    pub fn ints(&self, name: &str) -> Option<&[i64]> {
        self.attribute(name).map(|a| a.ints.as_slice())
    }

    /// A list of floats.
    pub fn floats(&self, name: &str) -> Option<&[f32]> {
        self.attribute(name).map(|a| a.floats.as_slice())
    }

    /// A text attribute; one that is not UTF-8 reads as absent.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.attribute(name).and_then(|a| std::str::from_utf8(&a.s).ok())
    }

    /// A tensor attribute.
    pub fn tensor(&self, name: &str) -> Option<&TensorProto> {
        self.attribute(name).and_then(|a| a.t.as_ref())
    }

    /// Input number `at`, if it is given: an optional input that is left out is an empty name.
    pub fn given(&self, at: usize) -> Option<&str> {
        self.input.get(at).map(String::as_str).filter(|name| !name.is_empty())
    }

    /// What an error calls it: its name, or where it has none, its first output.
    pub fn label(&self) -> &str {
        if self.name.is_empty() { self.output.first().map_or("", String::as_str) } else { &self.name }
    }

    /// Whether it belongs to the default operator set.
    pub fn is_standard(&self) -> bool {
        matches!(self.domain.as_str(), "" | "ai.onnx")
    }
}

/// An attribute's value.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)]
pub enum Value {
    Int(i64),
    Float(f32),
    Ints(Vec<i64>),
    Floats(Vec<f32>),
    Tensor(TensorProto),
    Text(String),
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}

impl From<f32> for Value {
    fn from(value: f32) -> Self {
        Self::Float(value)
    }
}

impl From<Vec<i64>> for Value {
    fn from(value: Vec<i64>) -> Self {
        Self::Ints(value)
    }
}

impl From<&[i64]> for Value {
    fn from(value: &[i64]) -> Self {
        Self::Ints(value.to_vec())
    }
}

impl From<Vec<f32>> for Value {
    fn from(value: Vec<f32>) -> Self {
        Self::Floats(value)
    }
}

impl From<TensorProto> for Value {
    fn from(value: TensorProto) -> Self {
        Self::Tensor(value)
    }
}

impl From<&str> for Value {
    fn from(value: &str) -> Self {
        Self::Text(value.to_owned())
    }
}
