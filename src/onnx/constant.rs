//! Constants of a graph: small tensors read into numbers, and numbers written as tensors.
use super::proto::TensorProto;
use prost::bytes::Bytes;

/// A small tensor's values; `shape` is empty for a scalar.
#[derive(Clone, Debug, PartialEq)]
pub struct Constant {
    /// Length of each axis.
    pub shape: Vec<usize>,
    /// The values in row-major order.
    pub values: Numbers,
}

/// Numbers of either kind that graphs compute with at export time: integers and truth values, or floats.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)]
pub enum Numbers {
    Ints(Vec<i64>),
    Floats(Vec<f64>),
}

/// `onnx.TensorProto.DataType`.
mod data_type {
    pub const FLOAT: i32 = 1;
    pub const UINT8: i32 = 2;
    pub const INT8: i32 = 3;
    pub const INT32: i32 = 6;
    pub const INT64: i32 = 7;
    pub const BOOL: i32 = 9;
    pub const FLOAT16: i32 = 10;
    pub const DOUBLE: i32 = 11;
}

impl Constant {
    /// Integers of one axis.
    pub fn ints(values: Vec<i64>) -> Self {
        Self { shape: vec![values.len()], values: Numbers::Ints(values) }
    }

    /// Reads a tensor whose values lie in it; `None` for external data, other types, or more than `most` values.
    pub fn read(tensor: &TensorProto, most: usize) -> Option<Self> {
        let shape: Vec<_> = tensor.dims.iter().map(|&d| usize::try_from(d).ok()).collect::<Option<_>>()?;
        let count = shape.iter().try_fold(1usize, |all, &d| all.checked_mul(d))?;
        if tensor.data_location != 0 || count > most {
            return None;
        }
        let values = match tensor.data_type {
            data_type::FLOAT | data_type::DOUBLE => Numbers::Floats(floats(tensor)),
            data_type::INT64 | data_type::INT32 | data_type::BOOL | data_type::UINT8 | data_type::INT8 => {
                Numbers::Ints(ints(tensor))
            }
            _ => return None,
        };
        let constant = Self { shape, values };
        (constant.len() == count).then_some(constant)
    }

    /// The values as integers; `None` where they are floats.
    pub fn as_ints(&self) -> Option<&[i64]> {
        match &self.values {
            Numbers::Ints(values) => Some(values),
            Numbers::Floats(_) => None,
        }
    }

    /// The values as floats, integers converted.
    pub fn to_floats(&self) -> Vec<f64> {
        match &self.values {
            Numbers::Ints(values) => values.iter().map(|&v| v as f64).collect(),
            Numbers::Floats(values) => values.clone(),
        }
    }

    /// Number of values.
    pub fn len(&self) -> usize {
        match &self.values {
            Numbers::Ints(values) => values.len(),
            Numbers::Floats(values) => values.len(),
        }
    }

    /// Whether there is no value.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

fn floats(tensor: &TensorProto) -> Vec<f64> {
    let raw = if tensor.raw_data.is_empty() { &tensor.float_data } else { &tensor.raw_data };
    if tensor.data_type == data_type::DOUBLE {
        return raw.as_chunks().0.iter().map(|b| f64::from_le_bytes(*b)).collect();
    }
    raw.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b).into()).collect()
}

fn ints(tensor: &TensorProto) -> Vec<i64> {
    let raw = &tensor.raw_data;
    match tensor.data_type {
        data_type::INT64 if raw.is_empty() => tensor.int64_data.clone(),
        _ if raw.is_empty() => tensor.int32_data.iter().map(|&v| v.into()).collect(),
        data_type::INT64 => raw.as_chunks().0.iter().map(|b| i64::from_le_bytes(*b)).collect(),
        data_type::INT32 => raw.as_chunks().0.iter().map(|b| i32::from_le_bytes(*b).into()).collect(),
        data_type::INT8 => raw.iter().map(|b| b.cast_signed().into()).collect(),
        _ => raw.iter().map(|&b| b.into()).collect(),
    }
}

impl TensorProto {
    /// A float32 tensor.
    pub fn of_floats(name: &str, shape: &[usize], values: &[f32]) -> Self {
        let raw: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        Self::of_raw(name, shape, data_type::FLOAT, raw)
    }

    /// An int64 tensor.
    pub fn of_ints(name: &str, shape: &[usize], values: &[i64]) -> Self {
        let raw: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        Self::of_raw(name, shape, data_type::INT64, raw)
    }

    /// An int8 tensor.
    pub fn of_int8s(name: &str, shape: &[usize], values: &[i8]) -> Self {
        Self::of_raw(name, shape, data_type::INT8, values.iter().map(|v| v.cast_unsigned()).collect())
    }

    /// An int32 tensor.
    pub fn of_int32s(name: &str, shape: &[usize], values: &[i32]) -> Self {
        let raw: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        Self::of_raw(name, shape, data_type::INT32, raw)
    }

    /// A uint8 scalar.
    pub fn of_uint8(name: &str, value: u8) -> Self {
        Self::of_raw(name, &[], data_type::UINT8, vec![value])
    }

    /// `onnx.TensorProto.DataType.FLOAT`.
    pub const FLOAT: i32 = data_type::FLOAT;
    /// `onnx.TensorProto.DataType.INT8`.
    pub const INT8: i32 = data_type::INT8;
    /// `onnx.TensorProto.DataType.FLOAT16`.
    pub const FLOAT16: i32 = data_type::FLOAT16;

    /// Whether it holds float32 values.
    pub fn is_float(&self) -> bool {
        self.data_type == data_type::FLOAT
    }

    /// The same shape under another name and of another type, without values.
    #[must_use]
    pub fn described(&self, name: &str, data_type: i32) -> Self {
        Self { name: name.to_owned(), dims: self.dims.clone(), data_type, ..Self::default() }
    }

    /// The same tensor with its values, little-endian, in it.
    #[must_use]
    pub fn with_values(&self, values: &Bytes) -> Self {
        Self { raw_data: values.clone(), ..self.described(&self.name, self.data_type) }
    }

    /// Whether it holds shapes, indices or sizes: 64-bit integers.
    pub fn is_integer64(&self) -> bool {
        self.data_type == data_type::INT64
    }

    /// Whether it holds indices or sizes: 32 or 64-bit integers.
    pub fn is_integer(&self) -> bool {
        matches!(self.data_type, data_type::INT64 | data_type::INT32)
    }

    fn of_raw(name: &str, shape: &[usize], data_type: i32, raw: Vec<u8>) -> Self {
        Self {
            name: name.to_owned(),
            dims: shape.iter().map(|&d| d as i64).collect(),
            data_type,
            raw_data: Bytes::from(raw),
            ..Self::default()
        }
    }
}
