//! Tensors as the protocol writes them: in JSON, or behind it in binary.
use super::super::problem::Problem;
use serde::de::{DeserializeSeed, Error, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

/// What is asked.
#[derive(Deserialize)]
pub struct Request<'a> {
    #[serde(default)]
    pub id: Option<String>,
    #[serde(borrow, deserialize_with = "few")]
    pub inputs: Vec<Input<'a>>,
    #[serde(default, deserialize_with = "few")]
    pub outputs: Vec<Wanted>,
    #[serde(default)]
    pub parameters: Parameters,
}

/// A tensor that is given.
#[derive(Deserialize)]
pub struct Input<'a> {
    pub name: String,
    #[serde(deserialize_with = "few")]
    pub shape: Vec<usize>,
    pub datatype: String,
    #[serde(default)]
    pub parameters: Parameters,
    #[serde(borrow, default)]
    pub data: Option<&'a RawValue>,
}

impl Input<'_> {
    /// Elements by its shape; none: more than can be counted.
    pub fn elements(&self) -> Option<usize> {
        self.shape.iter().try_fold(1, |all: usize, side| all.checked_mul(*side))
    }
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
    let expected = input.elements();
    let values = match (binary, input.data) {
        (Some(bytes), _) => {
            let (chunks, rest) = bytes.as_chunks();
            if !rest.is_empty() {
                return Err(bad("its bytes are no whole float32 values"));
            }
            chunks.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()
        }
        (None, Some(data)) => {
            // A number has a character, and one behind it: nobody makes us reserve more than was sent.
            let most = expected.filter(|count| *count <= data.get().len() / 2 + 1);
            let most =
                most.ok_or_else(|| bad(&format!("its shape is {:?}, and there are fewer values", input.shape)))?;
            let mut all = Vec::with_capacity(most);
            let mut numbers = serde_json::Deserializer::from_str(data.get());
            Into(&mut all).deserialize(&mut numbers).map_err(|error| bad(&error.to_string()))?;
            all
        }
        (None, None) => return Err(bad("it has no `data`")),
    };
    if Some(values.len()) != expected {
        return Err(bad(&format!("its shape is {:?}, and there are {} values", input.shape, values.len())));
    }
    Ok(values)
}

/// The `count` elements of a BYTES tensor in binary.
pub fn elements<'b>(name: &str, mut bytes: &'b [u8], count: usize) -> Result<Vec<&'b [u8]>, Problem> {
    let cut = || Problem::bad(&format!("input `{name}`: an element is shorter than its length says"));
    let other = || Problem::bad(&format!("input `{name}`: there are not {count} elements, as its shape says"));
    let mut all = Vec::new();
    while !bytes.is_empty() {
        if all.len() == count {
            return Err(other());
        }
        let (length, rest) = bytes.split_first_chunk().ok_or_else(cut)?;
        let (element, rest) = rest.split_at_checked(u32::from_le_bytes(*length) as usize).ok_or_else(cut)?;
        all.push(element);
        bytes = rest;
    }
    if all.len() == count { Ok(all) } else { Err(other()) }
}

/// The `count` elements of a BYTES tensor in JSON.
pub fn texts<'a>(input: &Input<'_>, data: &'a RawValue, count: usize) -> Result<Vec<Cow<'a, str>>, Problem> {
    let bad = |why: &str| Problem::bad(&format!("input `{}`: {why}", input.name));
    let mut all = serde_json::Deserializer::from_str(data.get());
    let AtMost(all) = AtMost::of(&mut all, count).map_err(|error| bad(&format!("expected base64 texts: {error}")))?;
    let all: Vec<Cow<'a, str>> = all.into_iter().map(|Text(text)| text).collect();
    if all.len() == count { Ok(all) } else { Err(bad(&format!("there are not {count} elements, as its shape says"))) }
}

/// Text that is borrowed where it holds no escapes.
#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

/// Parts of a list, tensors and sides of a shape among them: more make no sense, and each takes more memory than its text.
const FEW: usize = 8;

fn few<'de, D: Deserializer<'de>, T: Deserialize<'de>>(list: D) -> Result<Vec<T>, D::Error> {
    AtMost::of(list, FEW).map(|AtMost(all)| all)
}

/// A list of no more parts than it may have.
struct AtMost<T>(Vec<T>);

impl<'de, T: Deserialize<'de>> AtMost<T> {
    fn of<D: Deserializer<'de>>(list: D, most: usize) -> Result<Self, D::Error> {
        list.deserialize_seq(Parts(most, PhantomData))
    }
}

struct Parts<T>(usize, PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for Parts<T> {
    type Value = AtMost<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a list of at most {}", self.0)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<AtMost<T>, A::Error> {
        let mut all = Vec::new();
        while let Some(part) = list.next_element()? {
            if all.len() == self.0 {
                return Err(A::Error::invalid_length(all.len() + 1, &self));
            }
            all.push(part);
        }
        Ok(AtMost(all))
    }
}

/// Numbers of nested lists, one behind the other (the protocol allows both), as many as there is room for.
struct Into<'v>(&'v mut Vec<f32>);

impl<'de> DeserializeSeed<'de> for Into<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl Into<'_> {
    fn push<E: Error>(self, value: f32) -> Result<(), E> {
        if self.0.len() == self.0.capacity() {
            return Err(E::custom("there are more values than its shape says"));
        }
        self.0.push(value);
        Ok(())
    }
}

impl<'de> Visitor<'de> for Into<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("numbers, or lists of them")
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<(), E> {
        self.push(value as f32)
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<(), E> {
        self.push(value as f32)
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<(), E> {
        self.push(value as f32)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        while list.next_element_seed(Into(self.0))?.is_some() {}
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn input(shape: &str, data: &str) -> Result<Vec<f32>, u16> {
        let text = format!(r#"{{"name": "x", "shape": {shape}, "datatype": "FP32", "data": {data}}}"#);
        let input: Input<'_> = serde_json::from_str(&text).unwrap();
        floats(&input, None).map_err(|problem| problem.status())
    }

    #[test]
    fn lists_may_be_nested() {
        for text in ["[1, 2.5, -3, 4e2]", "[[1, 2.5], [-3, 4e2]]", "[[[[1], [2.5]], [[-3], [4e2]]]]"] {
            assert_eq!(input("[2, 2]", text), Ok(vec![1.0, 2.5, -3.0, 400.0]), "{text}");
        }
        for (shape, text) in
            [("[2]", r#"[1, "2"]"#), ("[2]", "[1]"), ("[2]", "[1, 2, 3, 4]"), ("[4294967296, 4294967296]", "[1]")]
        {
            assert_eq!(input(shape, text), Err(400), "{shape} {text}");
        }
    }

    #[test]
    fn lists_are_short() {
        let many = format!(r#"{{"inputs": [], "outputs": [{}]}}"#, [r#"{"name": "x"}"#; 9].join(","));
        assert!(serde_json::from_str::<Request<'_>>(&many).is_err());
    }

    #[test]
    fn elements_are_cut_by_their_lengths() {
        let three = b"\x02\0\0\0ab\0\0\0\0\x01\0\0\0c";
        assert_eq!(elements("image", three, 3).unwrap(), [&b"ab"[..], b"", b"c"]);
        assert_eq!([2, 4].map(|count| elements("image", three, count).unwrap_err().status()), [400, 400]);
        for cut in [&b"\x02\0\0\0a"[..], b"\x02\0\0", b"\xff\xff\xff\xffabc"] {
            assert_eq!(elements("image", cut, 1).unwrap_err().status(), 400, "{cut:?}");
        }
    }
}
