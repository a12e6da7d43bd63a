//! `cargo xtask fixtures`: draws the test images, no one's photo; `--check` compares them with what is committed.
//!
//! The bytes are meant to be the same on every machine: the drawing uses only arithmetic that IEEE 754 fixes, the encoders
//! are pinned by `Cargo.lock`, and JPEG is written with integers alone. (libwebp's lossy encoder has some floats: if one
//! file differs on another architecture, it is `webp-lossy.webp`.)

mod bad;
mod canvas;
mod images;
mod indexed;
mod jpeg;
mod lesion;
mod noise;
mod png;
mod tags;
mod tiff;
mod webp;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::{Context, bail, ensure};

/// What all drawn files together may take, in bytes.
const MAX_BYTES: usize = 1_500_000;

/// A drawn file.
struct Fixture {
    /// File name.
    name: String,
    /// One line for the folder's README.
    about: String,
    /// What the file holds.
    bytes: Vec<u8>,
}

impl Fixture {
    fn new(name: &str, about: &str, bytes: Vec<u8>) -> Self {
        Self { name: name.to_owned(), about: about.to_owned(), bytes }
    }
}

/// Draws the images of `fixtures/images` and `fixtures/bad` below the workspace's `root`, with a README in each. With
/// `check` it writes nothing and fails on the first file that is missing, differs or has no business there.
pub fn run(root: &Path, check: bool) -> anyhow::Result<()> {
    let demo = images::demo()?;
    let bad = with_readme("Bad images", "What must be refused, with an error and in little memory.", bad::all(&demo)?);
    let images = with_readme("Images", "One picture in every format that is read.", images::all(demo)?);
    let total: usize = images.iter().chain(&bad).map(|fixture| fixture.bytes.len()).sum();
    ensure!(total <= MAX_BYTES, "the fixtures take {total} bytes, more than {MAX_BYTES}: draw smaller ones");
    for (folder, fixtures) in [("images", images), ("bad", bad)] {
        let folder = root.join("fixtures").join(folder);
        if check {
            compare(&folder, &fixtures)?;
        } else {
            write(&folder, &fixtures)?;
        }
    }
    Ok(())
}

fn with_readme(title: &str, purpose: &str, mut fixtures: Vec<Fixture>) -> Vec<Fixture> {
    let mut text = format!(
        "# {title}\n\n{purpose} Drawn by `cargo xtask fixtures`; do not edit.\n\n| file | what it is |\n|---|---|\n"
    );
    for Fixture { name, about, .. } in &fixtures {
        // Writing to a string does not fail.
        let _ = writeln!(text, "| `{name}` | {about} |");
    }
    fixtures.push(Fixture::new("README.md", "", text.into_bytes()));
    fixtures
}

fn write(folder: &Path, fixtures: &[Fixture]) -> anyhow::Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("create `{}`", folder.display()))?;
    for Fixture { name, bytes, .. } in fixtures {
        let path = folder.join(name);
        fs::write(&path, bytes).with_context(|| format!("write `{}`", path.display()))?;
    }
    Ok(())
}

fn compare(folder: &Path, fixtures: &[Fixture]) -> anyhow::Result<()> {
    for Fixture { name, bytes, .. } in fixtures {
        let path = folder.join(name);
        let committed =
            fs::read(&path).with_context(|| format!("read `{}`: run `cargo xtask fixtures`", path.display()))?;
        ensure!(committed == *bytes, "`{}` is not what is drawn: run `cargo xtask fixtures`", path.display());
    }
    let drawn: BTreeSet<&str> = fixtures.iter().map(|fixture| fixture.name.as_str()).collect();
    for entry in fs::read_dir(folder).with_context(|| format!("list `{}`", folder.display()))? {
        let entry = entry.with_context(|| format!("list `{}`", folder.display()))?;
        if !entry.file_name().to_str().is_some_and(|name| drawn.contains(name)) {
            bail!("`{}` is drawn by no one: remove it or add it to `cargo xtask fixtures`", entry.path().display());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_described() {
        for fixtures in [images::all(Vec::new()).expect("draws"), bad::all(&[]).expect("draws")] {
            let names: BTreeSet<&str> = fixtures.iter().map(|fixture| fixture.name.as_str()).collect();
            assert_eq!(names.len(), fixtures.len());
            assert!(fixtures.iter().all(|fixture| !fixture.about.is_empty() && !fixture.about.contains('|')));
        }
    }

    #[test]
    fn check_names_the_file_that_differs_is_missing_or_is_too_many() {
        let root = std::env::temp_dir().join(format!("dermai-fixtures-{}", std::process::id()));
        let fixtures = [Fixture::new("a.txt", "a", b"a".to_vec())];
        write(&root, &fixtures).expect("writes");
        compare(&root, &fixtures).expect("the same");
        let complaint = || format!("{:#}", compare(&root, &fixtures).expect_err("differs"));
        fs::write(root.join("b.txt"), "b").expect("writes");
        assert!(complaint().contains("b.txt"));
        fs::write(root.join("a.txt"), "b").expect("writes");
        assert!(complaint().contains("a.txt"));
        fs::remove_file(root.join("a.txt")).expect("removes");
        assert!(complaint().contains("a.txt"));
        fs::remove_dir_all(&root).expect("removes");
    }
}
