//! A picture's rows as they are seen, whatever its orientation.
use super::{PICTURE, all_rows, rows_of, stored};
use crate::support::pictures::{LIMITS, decoded, noise};
use crate::support::shared::root;
use dermai::input::{Source, UprightRows};
use dermai::units::Bytes;
use std::fs;

/// Every fixture: the rows are the pixels that the network's preprocessing starts from, whatever the band, and from standard input too.
#[test]
fn upright_rows_are_the_same_in_any_band() {
    let mut seen = 0;
    let folder = root().join("fixtures/images");
    for entry in fs::read_dir(folder).expect("fixtures") {
        let path = entry.expect("a fixture").path();
        if path.extension().is_some_and(|ending| ending == "md") {
            continue;
        }
        let file = fs::read(&path).expect("a fixture");
        let (rows, size) = all_rows(rows_of(&file));
        assert!(rows == decoded(&path, size), "{}", path.display());
        // One row a band, a few, and a few that do not divide the height.
        for band in [1, u64::from(size.width) * 3 * 2, u64::from(size.width) * 3 * 7 + 5] {
            let stream = Source::Path(path.clone()).open(&LIMITS).expect("a file");
            let banded = UprightRows::open(stream, &LIMITS, Bytes(band)).expect("a picture");
            assert!(all_rows(banded) == (rows.clone(), size), "{}, band of {band} bytes", path.display());
        }
        seen += 1;
    }
    assert!(seen > 30, "{seen}");
}

#[test]
fn a_picture_cut_short_is_an_error_in_any_orientation() {
    let upright = noise(9, PICTURE.pixels() as usize * 3);
    for orientation in 1..=8 {
        let mut file = stored(&upright, PICTURE, orientation);
        file.truncate(file.len() * 2 / 3);
        let mut rows = rows_of(&file);
        let mut row = vec![0; PICTURE.width as usize * 3];
        let error = (0..PICTURE.height).find_map(|_| rows.next_row(&mut row).err()).expect("an error");
        assert!(format!("{error:#}").contains("not a readable PNG, row "), "{error:#}");
    }
}
