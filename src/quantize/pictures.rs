//! A set of pictures, with labels or without: where it comes from, its hash, and a walk over it.
use super::listing::{in_folder, listed};
use crate::input::{Limits, Preprocessing, Source, sha256_of};
use crate::model::{Card, Label};
use crate::predict::{Failure, Read, each};
use crate::units::Progress;
use anyhow::{Context, Result, bail, ensure};
use std::io::Cursor;
use std::path::{Path, PathBuf};

/// A folder that holds such a file is the set that it lists.
const LABELS: &str = "labels.csv";
/// One picture in so many may be unreadable: 5 %.
const ONE_IN: usize = 20;
/// So many unreadable pictures are named.
const NAMED: usize = 3;

/// A picture of a set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Where it is.
    pub source: Source,
    /// Its name in the set: its path from the folder or the list, with `/` between the parts.
    pub name: String,
    /// Position of its label among the card's; none: it is not labelled, or its label is ignored.
    pub class: Option<usize>,
}

/// Pictures in a fixed order.
#[derive(Clone, Debug)]
pub struct Pictures {
    place: PathBuf,
    entries: Vec<Entry>,
}

/// Pictures that were left out because they cannot be read.
#[derive(Clone, Debug, Default)]
pub struct Unreadable {
    /// How many.
    pub count: usize,
    /// The first few, with reasons.
    pub first: Vec<Failure>,
}

impl Pictures {
    /// All images below a folder, or those that a `labels.csv` lists, with the labels that it has. A folder that holds a `labels.csv` is the set that
    /// it lists. Labels are ids of `card`.
    ///
    /// # Errors
    /// When there is no picture, one is missing or named twice, or a label is unknown: path, row and label are named.
    pub fn labelled(place: &Path, card: &Card) -> Result<Self> {
        Self::of(place, Some(&card.labels))
    }

    /// The same without a look at labels.
    ///
    /// # Errors
    /// As [`Pictures::labelled`], but for labels.
    pub fn unlabelled(place: &Path) -> Result<Self> {
        Self::of(place, None)
    }

    fn of(place: &Path, labels: Option<&[Label]>) -> Result<Self> {
        let list = place.join(LABELS);
        let entries = if place.is_dir() && !list.is_file() {
            in_folder(place)?
        } else if place.is_dir() {
            listed(&list, labels)?
        } else {
            ensure!(
                place.exists(),
                "`{}` does not exist: expected a folder with images, or a `{LABELS}`",
                place.display()
            );
            let is_list = place.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("csv"));
            ensure!(is_list, "`{}` is neither a folder nor a list of images that ends in `.csv`", place.display());
            listed(place, labels)?
        };
        Ok(Self { place: place.to_owned(), entries })
    }

    /// The folder or list that was named.
    pub fn place(&self) -> &Path {
        &self.place
    }

    /// Its pictures, in order; never empty.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// At most `most` of its pictures, spread over them.
    #[must_use]
    pub fn spread(&self, most: usize) -> Self {
        let entries = spread(self.entries.len(), most).map(|at| self.entries[at].clone());
        Self { place: self.place.clone(), entries: entries.collect() }
    }

    /// Whether its pictures have labels.
    pub fn is_labelled(&self) -> bool {
        self.entries.iter().all(|entry| entry.class.is_some())
    }

    /// SHA-256 over the set, whatever its order and wherever it lies: of the sorted lines `<sha256 of the file>  <name>`, as `sha256sum FILE… | sort |
    /// sha256sum` in its folder gives it. Labels do not count. A file that cannot be opened has `unreadable` in place of its hash.
    pub fn sha256(&self, limits: &Limits) -> Result<String> {
        let hash = |source: &Source| source.open(limits).and_then(|mut stream| sha256_of(&mut stream));
        let line = |entry: &Entry| {
            let hash = hash(&entry.source).unwrap_or_else(|_| "unreadable".to_owned());
            format!("{hash}  {}\n", entry.name)
        };
        let mut lines: Vec<_> = self.entries.iter().map(line).collect();
        lines.sort();
        sha256_of(&mut Cursor::new(lines.concat()))
    }

    /// Calls `work` with each picture that can be read and its place in the set, in order; at most one more is held.
    ///
    /// # Errors
    /// When more than 5 % cannot be read: how many and why is said; and when `work` fails.
    pub fn each(
        &self,
        spec: &Preprocessing,
        limits: &Limits,
        progress: &mut dyn Progress,
        work: impl FnMut(usize, &Entry, &Read) -> Result<()>,
    ) -> Result<Unreadable> {
        let is_too_many = |unreadable: &Unreadable| unreadable.is_too_many(self.entries.len());
        let unreadable = self.walk(spec, limits, progress, is_too_many, work)?;
        if is_too_many(&unreadable) {
            bail!("{}; more than 5 % are too many: repair them, or take them out", self.told(&unreadable));
        }
        Ok(unreadable)
    }

    /// The same of a part of a set, where it says nothing how many of them cannot be read.
    ///
    /// # Errors
    /// When `work` fails.
    pub fn each_readable(
        &self,
        spec: &Preprocessing,
        limits: &Limits,
        progress: &mut dyn Progress,
        work: impl FnMut(usize, &Entry, &Read) -> Result<()>,
    ) -> Result<Unreadable> {
        self.walk(spec, limits, progress, |_| false, work)
    }

    /// The same, without work for a set that is given up.
    fn walk(
        &self,
        spec: &Preprocessing,
        limits: &Limits,
        progress: &mut dyn Progress,
        is_given_up: impl Fn(&Unreadable) -> bool,
        mut work: impl FnMut(usize, &Entry, &Read) -> Result<()>,
    ) -> Result<Unreadable> {
        let sources: Vec<_> = self.entries.iter().map(|entry| entry.source.clone()).collect();
        let mut unreadable = Unreadable::default();
        let mut all = self.entries.iter().enumerate();
        each(&sources, spec, limits, progress, |_, read| {
            let (at, entry) = all.next().context("more pictures came than there are")?;
            match read {
                // Nothing comes of it any more, but how many are bad is told.
                Ok(_) if is_given_up(&unreadable) => Ok(()),
                Ok(read) => work(at, entry, &read),
                Err(error) => {
                    unreadable.add(&entry.name, &error);
                    Ok(())
                }
            }
        })?;
        Ok(unreadable)
    }

    /// A sentence about pictures that were left out, if any were.
    pub fn warning(&self, unreadable: &Unreadable) -> Option<String> {
        (unreadable.count > 0).then(|| format!("left out: {}", self.told(unreadable)))
    }

    fn told(&self, unreadable: &Unreadable) -> String {
        let reasons: Vec<_> = unreadable.first.iter().map(|f| format!("`{}`: {}", f.image, f.error)).collect();
        let more = if unreadable.count > reasons.len() { "; …" } else { "" };
        format!(
            "{} of {} pictures of `{}` cannot be read ({}{more})",
            unreadable.count,
            self.entries.len(),
            self.place.display(),
            reasons.join("; ")
        )
    }
}

impl Unreadable {
    fn add(&mut self, name: &str, error: &anyhow::Error) {
        self.count += 1;
        if self.first.len() < NAMED {
            self.first.push(Failure { image: name.to_owned(), error: format!("{error:#}") });
        }
    }

    fn is_too_many(&self, of: usize) -> bool {
        self.count * ONE_IN > of
    }
}

/// Positions of at most `most` of `count`, evenly spread from the first on.
pub fn spread(count: usize, most: usize) -> impl Iterator<Item = usize> {
    let some = count.min(most);
    (0..some).map(move |at| at * count / some)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::Bytes;
    use std::fs;

    const LIMITS: Limits = Limits::within(Bytes::mb(64));

    fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        folder
    }

    fn labels() -> Vec<Label> {
        ["mel", "nevus"].map(|id| Label { id: id.to_owned(), en: None, vi: None }).to_vec()
    }

    fn error(place: &Path) -> String {
        format!("{:#}", Pictures::of(place, Some(&labels())).unwrap_err())
    }

    #[test]
    fn a_list_and_a_folder_that_holds_it_are_one_set() {
        let place = folder(&[
            ("labels.csv", "\u{feff}label,file,note\nnevus,b/two.jpg,x\nmel, ./one.jpg ,y\n"),
            ("one.jpg", "1"),
            ("b/two.jpg", "2"),
            ("three.jpg", "3"),
        ]);
        for named in [place.path().to_owned(), place.path().join("labels.csv")] {
            let set = Pictures::of(&named, Some(&labels())).unwrap();
            let found: Vec<_> = set.entries().iter().map(|e| (e.name.as_str(), e.class)).collect();
            assert_eq!(found, [("b/two.jpg", Some(1)), ("one.jpg", Some(0))]);
            assert!(set.is_labelled());
            let plain = Pictures::unlabelled(&named).unwrap();
            assert!(!plain.is_labelled() && plain.entries().len() == 2);
        }
        fs::remove_file(place.path().join("labels.csv")).unwrap();
        let set = Pictures::of(place.path(), Some(&labels())).unwrap();
        let found: Vec<_> = set.entries().iter().map(|e| (e.name.as_str(), e.class)).collect();
        assert_eq!(found, [("b/two.jpg", None), ("one.jpg", None), ("three.jpg", None)]);
    }

    #[test]
    fn the_hash_is_that_of_names_and_contents_and_nothing_else() {
        let hash =
            |files: &[(&str, &str)]| Pictures::unlabelled(folder(files).path()).unwrap().sha256(&LIMITS).unwrap();
        let set = hash(&[("a.jpg", "1"), ("b.jpg", "2")]);
        assert_eq!(set, hash(&[("labels.csv", "file\nb.jpg\na.jpg\n"), ("a.jpg", "1"), ("b.jpg", "2")]));
        // printf 1 > a.jpg; printf 2 > b.jpg; sha256sum a.jpg b.jpg | sort | sha256sum
        assert_eq!(set, "a8307527868aae110b1689becf9b8d6d10ce7a78900f9f3ec2a80356c0b155c6");
        for other in
            [[("a.jpg", "1"), ("c.jpg", "2")], [("a.jpg", "2"), ("b.jpg", "1")], [("a.jpg", "1"), ("b.jpg", "3")]]
        {
            assert_ne!(set, hash(&other));
        }
    }

    #[test]
    fn a_set_that_is_not_whole_is_refused_by_name() {
        let set = |list: &str| folder(&[("labels.csv", list), ("a.jpg", "1"), ("b.jpg", "2")]);
        for (list, expected) in [
            ("file,label\na.jpg,mel\nb.jpg,nevos\n", "row 3: the card has no label `nevos`; did you mean `nevus`?"),
            ("file,label\na.jpg,xyz\n", "row 2: the card has no label `xyz`; it has `mel`, `nevus`"),
            ("file,label\nc.jpg,mel\n", "c.jpg` does not exist"),
            ("file,label\na.jpg,mel\n./a.jpg,mel\n", "row 3: `"),
            ("file,label\n,mel\n", "row 2: no file is named"),
            ("file,label\n", "labels.csv`: no image is listed"),
            ("", "no column `file`"),
            ("file\na.jpg\n", "no column `label`"),
            ("file,label\na.jpg\n", "labels.csv`: CSV error"),
        ] {
            let place = set(list);
            let said = error(place.path());
            assert!(said.contains(expected) && said.contains("labels.csv"), "{list:?}: {said}");
        }
        let empty = folder(&[("notes.txt", "")]);
        assert!(error(empty.path()).contains("no image in this folder"), "{}", error(empty.path()));
        assert!(error(&empty.path().join("notes.txt")).contains("neither a folder nor a list"));
        assert!(error(&empty.path().join("none")).contains("does not exist"));
    }

    #[test]
    fn a_few_are_spread_over_all() {
        assert_eq!((spread(0, 20).count(), spread(20, 0).count()), (0, 0));
        assert_eq!(spread(3, 20).collect::<Vec<_>>(), [0, 1, 2]);
        let some: Vec<_> = spread(733, 20).collect();
        assert_eq!((some.len(), some[0], some[1], some[19]), (20, 0, 36, 696));
    }

    #[test]
    fn up_to_one_in_twenty_may_be_unreadable() {
        let mut unreadable = Unreadable::default();
        for count in 0..5 {
            assert_eq!(unreadable.is_too_many(60), count > 3);
            unreadable.add("a.jpg", &anyhow::anyhow!("is no image"));
        }
        assert_eq!((unreadable.count, unreadable.first.len()), (5, NAMED));
    }
}
