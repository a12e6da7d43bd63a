//! Protobuf fields as byte ranges, so that a message can be copied with one field changed and nothing lost.
use anyhow::{Context, Result, ensure};
use prost::bytes::{Buf, Bytes};
use prost::encoding::{DecodeContext, WireType, decode_key, decode_varint, encode_key, encode_varint, skip_field};

/// One field of a message.
pub struct Field {
    /// Field number.
    pub number: u32,
    /// Key and value as they stand in the file.
    pub whole: Bytes,
    /// The value of a length-delimited field: a message, a string or bytes.
    pub content: Option<Bytes>,
}

/// Splits a message into its fields.
pub fn fields(message: &Bytes) -> Result<Vec<Field>> {
    let mut rest = message.clone();
    let mut found = Vec::new();
    while rest.has_remaining() {
        let start = message.len() - rest.len();
        let (number, wire_type) = decode_key(&mut rest).context("not a protobuf message")?;
        let content = if wire_type == WireType::LengthDelimited {
            let length = usize::try_from(decode_varint(&mut rest)?)?;
            ensure!(
                length <= rest.len(),
                "a field of {length} bytes stands where {} are left: the file is cut short",
                rest.len()
            );
            Some(rest.split_to(length))
        } else {
            skip_field(wire_type, number, &mut rest, DecodeContext::default())?;
            None
        };
        found.push(Field { number, whole: message.slice(start..message.len() - rest.len()), content });
    }
    Ok(found)
}

/// Writes a length-delimited field.
pub fn put(number: u32, content: &[u8], out: &mut Vec<u8>) {
    encode_key(number, WireType::LengthDelimited, out);
    encode_varint(content.len() as u64, out);
    out.extend_from_slice(content);
}

/// Writes a varint field.
pub fn put_varint(number: u32, value: u64, out: &mut Vec<u8>) {
    encode_key(number, WireType::Varint, out);
    encode_varint(value, out);
}
