//! A value of a Blueprint with the path that leads to it. Reading one never fails: what has the wrong type is absent, and the lint says so.
use crate::text::one_line;
use crate::yaml::Value;

/// Characters of the file that a message repeats at most.
const MOST_SHOWN: usize = 60;

/// A value and where it stands, such as `services[0].plan`.
#[derive(Clone, Debug)]
pub struct Node<'a> {
    /// Where it stands; empty for the whole file.
    pub path: String,
    /// What stands there.
    pub value: &'a Value,
}

impl<'a> Node<'a> {
    /// The value under a key; none when there is nothing there.
    pub fn get(&self, key: &str) -> Option<Self> {
        let value = self.value.as_mapping()?.get(key).filter(|value| !value.is_null())?;
        Some(Self { path: self.path_of(key), value })
    }

    /// The items of a list; none when it is not one.
    pub fn items(&self) -> Vec<Self> {
        let list = self.value.as_sequence().map_or(&[][..], Vec::as_slice);
        let at = |(at, value)| Self { path: format!("{}[{at}]", self.path), value };
        list.iter().enumerate().map(at).collect()
    }

    /// The items of the list under a key; none when there is no such list.
    pub fn items_of(&self, key: &str) -> Vec<Self> {
        self.get(key).map_or_else(Vec::new, |list| list.items())
    }

    /// The text under a key.
    pub fn text(&self, key: &str) -> Option<&'a str> {
        self.get(key)?.value.as_str()
    }

    /// The whole number under a key.
    pub fn whole(&self, key: &str) -> Option<i64> {
        self.get(key)?.value.as_i64()
    }

    /// The `true` or `false` under a key.
    pub fn flag(&self, key: &str) -> Option<bool> {
        self.get(key)?.value.as_bool()
    }

    /// Whether something stands under a key.
    pub fn has(&self, key: &str) -> bool {
        self.get(key).is_some()
    }

    /// The path that a key of this block has.
    pub fn path_of(&self, key: &str) -> String {
        let key = shown(key);
        if self.path.is_empty() { key } else { format!("{}.{key}", self.path) }
    }
}

/// Text of the file for a message: cut, and on one line.
pub(super) fn shown(text: &str) -> String {
    let mut kept: String = text.chars().take(MOST_SHOWN).collect();
    if text.chars().nth(MOST_SHOWN).is_some() {
        kept.push('…');
    }
    one_line(&kept).into_owned()
}

/// What a value is, for a message: `a text`, `a list`, …
pub(super) fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "empty",
        Value::Bool(_) => "true or false",
        Value::Number(n) if n.is_f64() => "a number with a fraction",
        Value::Number(_) => "a whole number",
        Value::String(_) => "a text",
        Value::Sequence(_) => "a list",
        Value::Mapping(_) => "a block",
        Value::Tagged(_) => "a tagged value",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::yaml::parse;

    #[test]
    fn paths_lead_to_values_and_wrong_types_are_absent() {
        let value = parse("a: [{b: text, c: 3, d: true, e: }]").expect("YAML");
        let node = Node { path: String::new(), value: &value };
        let item = &node.items_of("a")[0];
        assert_eq!(
            (item.path.as_str(), item.text("b"), item.whole("c"), item.flag("d")),
            ("a[0]", Some("text"), Some(3), Some(true))
        );
        assert_eq!((item.text("c"), item.has("e"), item.path_of("b")), (None, false, "a[0].b".to_owned()));
        assert!(item.items_of("b").is_empty());
    }

    #[test]
    fn text_of_the_file_is_shown_cut_and_tame() {
        assert_eq!(shown("a\n\u{202e}b"), "a\\n\\u{202e}b");
        assert_eq!(shown(&"x".repeat(1000)), "x".repeat(60) + "…");
    }
}
