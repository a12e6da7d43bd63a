//! Tensors as the protocol writes them: in JSON, or behind it in binary.
use super::super::problem::Problem;
use serde::de::{DeserializeSeed, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;
use std::fmt;

/// What is asked.
#[derive(Deserialize)]
pub struct Request<'a> {
    #[serde(default)]
    pub id: Option<String>,
    #[serde(borrow)]
    pub inputs: Vec<Input<'a>>,
    #[serde(default)]
    pub outputs: Vec<Wanted>,
    #[serde(default)]
    pub parameters: Parameters,
}

/// A tensor that is given.
#[derive(Deserialize)]
pub struct Input<'a> {
    pub name: String,
    pub shape: Vec<usize>,
    pub datatype: String,
    #[serde(default)]
    pub parameters: Parameters,
    #[serde(borrow, default)]
    pub data: Option<&'a RawValue>,
}

/// A tensor that is wanted.
#[derive(Clone, Deserialize)]
pub struct Wanted {
    pub name: String,
    #[serde(default)]
    pub parameters: Parameters,
}

/// Of requests and tensors; others are not looked at.
#[derive(Clone, Default, Deserialize)]
pub struct Parameters {
    /// Bytes of this tensor behind the JSON.
    pub binary_data_size: Option<usize>,
    /// Whether this output is to be binary.
    pub binary_data: Option<bool>,
    /// Whether all outputs are, unless told otherwise.
    pub binary_data_output: Option<bool>,
    /// So many best classes instead of the values.
    pub classification: Option<usize>,
}

/// What is answered.
#[derive(Serialize)]
pub struct Response<'a> {
    pub model_name: &'a str,
    pub model_version: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    pub outputs: Vec<Output>,
}

/// A tensor that is answered.
#[derive(Serialize)]
pub struct Output {
    pub name: String,
    pub datatype: &'static str,
    pub shape: Vec<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parameters: Option<Size>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<Data>,
}

/// Bytes behind the JSON.
#[derive(Serialize)]
pub struct Size {
    binary_data_size: usize,
}

/// Values of an output.
#[derive(Serialize)]
#[serde(untagged)]
pub enum Data {
    Floats(Vec<f32>),
    Texts(Vec<String>),
}

impl Data {
    /// As the protocol names its type.
    pub fn datatype(&self) -> &'static str {
        match self {
            Self::Floats(_) => "FP32",
            Self::Texts(_) => "BYTES",
        }
    }

    /// Little-endian; texts behind their length in 4 bytes.
    pub fn binary(&self) -> Vec<u8> {
        match self {
            Self::Floats(values) => values.iter().flat_map(|value| value.to_le_bytes()).collect(),
            Self::Texts(texts) => texts
                .iter()
                .flat_map(|text| (text.len() as u32).to_le_bytes().into_iter().chain(text.bytes()))
                .collect(),
        }
    }
}

impl Output {
    /// With its values in JSON, or behind it: they are then pushed to `binary`.
    pub fn new(name: String, shape: Vec<usize>, data: Data, binary: Option<&mut Vec<u8>>) -> Self {
        let datatype = data.datatype();
        match binary {
            None => Self { name, datatype, shape, parameters: None, data: Some(data) },
            Some(binary) => {
                let bytes = data.binary();
                let parameters = Some(Size { binary_data_size: bytes.len() });
                binary.extend(bytes);
                Self { name, datatype, shape, parameters, data: None }
            }
        }
    }
}

/// The part of `binary` that belongs to a tensor, or none where its values stand in the JSON.
pub fn part<'b>(input: &Input<'_>, binary: &mut &'b [u8]) -> Result<Option<&'b [u8]>, Problem> {
    let Some(size) = input.parameters.binary_data_size else { return Ok(None) };
    let (part, rest) = binary.split_at_checked(size).ok_or_else(|| {
        Problem::bad(&format!("input `{}`: {size} bytes are announced, {} are there", input.name, binary.len()))
    })?;
    *binary = rest;
    Ok(Some(part))
}

/// float32 values.
pub fn floats(input: &Input<'_>, binary: Option<&[u8]>) -> Result<Vec<f32>, Problem> {
    let bad = |why: &str| Problem::bad(&format!("input `{}`: {why}", input.name));
    if input.datatype != "FP32" {
        return Err(bad(&format!("the datatype is `{}`, and has to be `FP32`", input.datatype)));
    }
    let values = match (binary, input.data) {
        (Some(bytes), _) => {
            let (chunks, rest) = bytes.as_chunks();
            if !rest.is_empty() {
                return Err(bad("its bytes are no whole float32 values"));
            }
            chunks.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()
        }
        (None, Some(data)) => serde_json::from_str::<Flat>(data.get()).map_err(|error| bad(&error.to_string()))?.0,
        (None, None) => return Err(bad("it has no `data`")),
    };
    let expected = input.shape.iter().try_fold(1usize, |all, side| all.checked_mul(*side));
    if Some(values.len()) != expected {
        return Err(bad(&format!("its shape is {:?}, and there are {} values", input.shape, values.len())));
    }
    Ok(values)
}

/// Elements of a BYTES tensor in binary.
pub fn elements<'b>(name: &str, mut bytes: &'b [u8]) -> Result<Vec<&'b [u8]>, Problem> {
    let cut = || Problem::bad(&format!("input `{name}`: an element is shorter than its length says"));
    let mut all = Vec::new();
    while !bytes.is_empty() {
        let (length, rest) = bytes.split_first_chunk().ok_or_else(cut)?;
        let (element, rest) = rest.split_at_checked(u32::from_le_bytes(*length) as usize).ok_or_else(cut)?;
        all.push(element);
        bytes = rest;
    }
    Ok(all)
}

/// Numbers of nested lists, one behind the other: the protocol allows both.
struct Flat(Vec<f32>);

impl<'de> Deserialize<'de> for Flat {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut all = Vec::new();
        Into(&mut all).deserialize(deserializer)?;
        Ok(Self(all))
    }
}

struct Into<'v>(&'v mut Vec<f32>);

impl<'de> DeserializeSeed<'de> for Into<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Into<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("numbers, or lists of them")
    }

    fn visit_f64<E>(self, value: f64) -> Result<(), E> {
        self.0.push(value as f32);
        Ok(())
    }

    fn visit_i64<E>(self, value: i64) -> Result<(), E> {
        self.0.push(value as f32);
        Ok(())
    }

    fn visit_u64<E>(self, value: u64) -> Result<(), E> {
        self.0.push(value as f32);
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        while list.next_element_seed(Into(self.0))?.is_some() {}
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_may_be_nested() {
        for text in ["[1, 2.5, -3, 4e2]", "[[1, 2.5], [-3, 4e2]]", "[[[[1], [2.5]], [[-3], [4e2]]]]"] {
            assert_eq!(serde_json::from_str::<Flat>(text).unwrap().0, [1.0, 2.5, -3.0, 400.0], "{text}");
        }
        assert!(serde_json::from_str::<Flat>(r#"[1, "2"]"#).is_err());
    }

    #[test]
    fn elements_are_cut_by_their_lengths() {
        assert_eq!(elements("image", b"\x02\0\0\0ab\0\0\0\0\x01\0\0\0c").unwrap(), [&b"ab"[..], b"", b"c"]);
        for cut in [&b"\x02\0\0\0a"[..], b"\x02\0\0", b"\xff\xff\xff\xffabc"] {
            assert_eq!(elements("image", cut).unwrap_err().status(), 400, "{cut:?}");
        }
    }
}
