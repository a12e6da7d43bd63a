//! YAML that a user wrote, read within bounds, and the known word nearest to a misspelt one. The only place that names `serde_yaml`, which is archived upstream.
use anyhow::{Context, Result, bail};
use serde::de::{DeserializeSeed, Deserializer, EnumAccess, Error, MapAccess, SeqAccess, Visitor};
use std::cell::Cell;
use std::fmt;

pub use serde_yaml::{Mapping, Value};

/// Brackets that may stand open at once. The scanner looks at every open one for every token, so that a file of brackets alone
/// would keep it busy for minutes.
const MOST_OPEN: usize = 500;
/// How much larger than its text a document may become by aliases.
const GROWTH: usize = 4;
/// What every document may hold, however short its text.
const ALWAYS: usize = 10_000;
/// From this likeness on (Jaro-Winkler, 0 to 1) a word is worth asking about; unrelated words reach 0.6.
const ALIKE: f64 = 0.7;
/// Words that are compared with a misspelt one.
const MOST_COMPARED: usize = 500;

/// Reads one document.
///
/// A document whose aliases stand for far more than its text holds (an alias bomb) is refused while it is read, so that memory
/// stays in proportion to `text`.
///
/// # Errors
/// With line and column where the text is not YAML; with the key where one stands twice in a block.
pub fn parse(text: &str) -> Result<Value> {
    if opens(text) > MOST_OPEN {
        bail!("more than {MOST_OPEN} brackets are open at once");
    }
    let left = Cell::new(text.len().saturating_mul(GROWTH).saturating_add(ALWAYS));
    Ok(Tree { left: &left }.deserialize(serde_yaml::Deserializer::from_str(text))?)
}

/// Puts what stands behind `<<` into the block around it.
///
/// # Errors
/// When something else than a block stands there.
pub fn merge(value: &mut Value) -> Result<()> {
    value.apply_merge().context("`<<` has to stand before a block or a list of blocks")
}

/// A value as a document.
///
/// # Errors
/// When it has no form in YAML, such as a map whose keys are lists.
pub fn write(value: &impl serde::Serialize) -> Result<String> {
    Ok(serde_yaml::to_string(value)?)
}

/// Anything as a value.
///
/// # Errors
/// As [`write()`].
pub fn value(of: &impl serde::Serialize) -> Result<Value> {
    Ok(serde_yaml::to_value(of)?)
}

/// A value as YAML, on one line where it is a scalar.
pub fn show(value: &Value) -> String {
    serde_yaml::to_string(value).unwrap_or_default().trim().to_owned()
}

/// The word of `known` that is most like `word`; none when none resembles it.
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word: String = word.chars().take(60).collect();
    let known = known.into_iter().take(MOST_COMPARED).map(|known| (strsim::jaro_winkler(known, &word), known));
    known.filter(|(alike, _)| *alike >= ALIKE).max_by(|(a, _), (b, _)| a.total_cmp(b)).map(|(_, known)| known)
}

/// The most brackets open at once; quoted ones count as well, which only makes the bound stricter.
fn opens(text: &str) -> usize {
    let (mut now, mut most) = (0_usize, 0);
    for byte in text.bytes() {
        match byte {
            b'[' | b'{' => now += 1,
            b']' | b'}' => now = now.saturating_sub(1),
            _ => {}
        }
        most = most.max(now);
    }
    most
}

/// Builds a [`Value`], counting down for each node and each byte of text.
#[derive(Clone, Copy)]
struct Tree<'a> {
    left: &'a Cell<usize>,
}

impl Tree<'_> {
    fn spend<E: Error>(self, cost: usize) -> Result<(), E> {
        match self.left.get().checked_sub(cost) {
            Some(left) => {
                self.left.set(left);
                Ok(())
            }
            None => Err(E::custom("aliases stand for far more than the file holds")),
        }
    }

    fn scalar<E: Error>(self, value: impl Into<Value>) -> Result<Value, E> {
        self.spend(1)?;
        Ok(value.into())
    }
}

impl<'de> DeserializeSeed<'de> for Tree<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Tree<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a YAML value")
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        self.scalar(value)
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        self.scalar(value)
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        self.scalar(value)
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        self.scalar(value)
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        self.spend(value.len())?;
        self.scalar(value)
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        self.scalar(Value::Null)
    }

    fn visit_none<E: Error>(self) -> Result<Value, E> {
        self.visit_unit()
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        self.deserialize(deserializer)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        self.spend(1)?;
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(self)? {
            list.push(item);
        }
        Ok(Value::Sequence(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        self.spend(1)?;
        let mut map = Mapping::new();
        while let Some(key) = entries.next_key_seed(self)? {
            if map.contains_key(&key) {
                return Err(A::Error::custom(format_args!("the key `{}` stands twice in one block", show(&key))));
            }
            let value = entries.next_value_seed(self)?;
            map.insert(key, value);
        }
        Ok(Value::Mapping(map))
    }

    fn visit_enum<A: EnumAccess<'de>>(self, _: A) -> Result<Value, A::Error> {
        Err(A::Error::custom("a tag, such as `!name`, has no meaning here"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fmt::Write as _;

    #[test]
    fn a_document_is_read_as_serde_yaml_reads_it() {
        let text = "a: [1, -2, 3.5, yes, true, null, ~, .inf]\n'b': {c: \"d\", 1: 2}\ne: |\n  two\n  lines\nf: &x 2024-01-01\ng: *x\n";
        let expected: Value = serde_yaml::from_str(text).expect("YAML");
        assert_eq!(parse(text).expect("YAML"), expected);
    }

    #[test]
    fn errors_name_the_place() {
        for (text, expected) in [
            ("a: [1", "line 2 column 1"),
            ("a: 1\na: 2\n", "the key `a` stands twice"),
            ("a: !x 1\n", "a tag"),
            ("a: 1\n---\nb: 1\n", "more than one document"),
            ("a: *nowhere\n", "unknown anchor"),
        ] {
            let error = format!("{:#}", parse(text).expect_err(text));
            assert!(error.contains(expected), "{text:?}: {error}");
        }
    }

    #[test]
    fn aliases_may_repeat_a_block_but_not_explode() {
        let few = "a: &a {k: 1, l: 2}\nb: [*a, *a, *a]\n";
        assert_eq!(parse(few).expect("YAML")["b"][2]["l"], Value::from(2));
        let mut bomb = "a0: &a0 [x]\n".to_owned();
        for i in 1..30 {
            writeln!(bomb, "a{i}: &a{i} [{}]", vec![format!("*a{}", i - 1); 9].join(", ")).expect("a string");
        }
        let wide = format!("a: &a [{}]\nb: [{}]\n", "x,".repeat(10_000), "*a,".repeat(10_000));
        let long = format!("a: &a {}\nb: [{}]\n", "x".repeat(50_000), "*a,".repeat(10_000));
        for text in [bomb, wide, long] {
            let error = format!("{:#}", parse(&text).expect_err("a bomb"));
            assert!(error.contains("aliases stand for far more"), "{error}");
        }
    }

    #[test]
    fn deep_nesting_is_an_error() {
        for text in ["[".repeat(100_000), "{a: ".repeat(1000), "- ".repeat(100_000), "[".repeat(200) + &"]".repeat(200)]
        {
            assert!(parse(&text).is_err());
        }
    }

    #[test]
    fn the_nearest_word_is_the_most_alike() {
        assert_eq!(nearest("helthCheckPath", ["plan", "healthCheckPath", "region"]), Some("healthCheckPath"));
        assert_eq!(nearest("x", []), None);
        assert_eq!(nearest("maxmemoryPolicy", ["user", "name"]), None);
    }
}
