//! Which pictures a folder or a `labels.csv` names, and with which labels.
use super::pictures::Entry;
use crate::input::{Source, expand};
use crate::model::Label;
use crate::text::one_line;
use crate::yaml::nearest;
use anyhow::{Context, Result, bail, ensure};
use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

/// Columns of such a file; others are ignored.
const FILE: &str = "file";
const LABEL: &str = "label";
/// So many labels are named where none is near.
const LISTED: usize = 10;

/// Images below a folder.
pub fn in_folder(folder: &Path) -> Result<Vec<Entry>> {
    let mut once = Once::default();
    let mut entries = Vec::new();
    for source in expand(&[folder.to_owned()])? {
        let Source::Path(path) = &source else { continue };
        let name = name_of(path.strip_prefix(folder).unwrap_or(path));
        once.add(path, &format!("`{}`", path.display()))?;
        entries.push(Entry { source, name, class: None });
    }
    Ok(entries)
}

/// Images that a list names, relative to its own folder.
pub fn listed(list: &Path, labels: Option<&[Label]>) -> Result<Vec<Entry>> {
    let named = || format!("`{}`", list.display());
    let mut rows = csv::ReaderBuilder::new().trim(csv::Trim::All).from_path(list).with_context(named)?;
    let head = rows.headers().with_context(named)?.clone();
    let column = |name: &str| head.iter().position(|column| column == name);
    let missing = |name: &str| format!("{}: the first row has no column `{name}`; expected `{FILE},{LABEL}`", named());
    let file = column(FILE).with_context(|| missing(FILE))?;
    let label = labels.map(|labels| Ok::<_, anyhow::Error>((column(LABEL).with_context(|| missing(LABEL))?, labels)));
    let label = label.transpose()?;
    let folder = list.parent().unwrap_or(Path::new(""));
    let mut once = Once::default();
    let mut entries = Vec::new();
    for row in rows.records() {
        let row = row.with_context(named)?;
        let place = format!("{}, row {}", named(), row.position().map_or(0, csv::Position::line));
        let text =
            row.get(file).filter(|text| !text.is_empty()).with_context(|| format!("{place}: no file is named"))?;
        let path = folder.join(text);
        ensure!(path.exists(), "{place}: `{}` does not exist", path.display());
        once.add(&path, &place)?;
        let class = label.map(|(at, labels)| class(row.get(at).unwrap_or_default(), labels));
        let class = class.transpose().with_context(|| place.clone())?;
        entries.push(Entry { source: Source::Path(path), name: name_of(Path::new(text)), class });
    }
    ensure!(!entries.is_empty(), "{}: no image is listed", named());
    Ok(entries)
}

/// The label's position; labels are ids.
fn class(label: &str, labels: &[Label]) -> Result<usize> {
    let ids = || labels.iter().map(|label| label.id.as_str());
    ids().position(|id| id == label).with_context(|| {
        let hint = nearest(label, ids()).map(|near| format!("did you mean `{near}`?"));
        let hint = hint.unwrap_or_else(|| {
            let known: Vec<_> = ids().take(LISTED).map(|id| format!("`{id}`")).collect();
            format!("it has {}{}", known.join(", "), if labels.len() > LISTED { ", …" } else { "" })
        });
        format!("the card has no label `{}`; {hint}", one_line(label))
    })
}

/// The parts of a path with `/` between them.
fn name_of(path: &Path) -> String {
    let parts = path.components().filter(|part| *part != Component::CurDir);
    parts.map(|part| Source::Path(part.as_os_str().into()).name()).collect::<Vec<_>>().join("/")
}

/// Files that were named, by where they really are.
#[derive(Default)]
struct Once(BTreeMap<PathBuf, String>);

impl Once {
    /// Notes a file.
    ///
    /// # Errors
    /// When it was named before: a picture that counts twice makes figures wrong.
    fn add(&mut self, path: &Path, place: &str) -> Result<()> {
        let real = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        if let Some(first) = self.0.insert(real, place.to_owned()) {
            bail!("{place}: `{}` was there before ({first}); each image counts once", path.display());
        }
        Ok(())
    }
}
