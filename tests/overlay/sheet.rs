//! The contact sheet of many overlays.
use super::{PICTURE, pixels};
use dermai::explain::overlay::{Cell, Sheet, Thumbnail};
use std::fs::{self, File};
use std::io::BufWriter;

#[test]
fn a_contact_sheet_holds_what_has_room_and_counts_the_rest() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("sheet.png");
    let side = |cells: usize, announced: usize| {
        let mut sheet = Sheet::start(BufWriter::new(File::create(&path).expect("a file")), announced).expect("a sheet");
        for at in 0..cells {
            let size = [PICTURE, PICTURE.transposed()][at % 2];
            let mut thumbnail = Thumbnail::of(size);
            let row = [200, 10, at as u8].repeat(size.width as usize);
            (0..size.height).for_each(|_| thumbnail.push(&row));
            let name = format!("a folder/picture {at}.jpg");
            sheet
                .add(Cell { name, note: "mel".into(), probability: Some(0.5), thumbnail: Some(thumbnail) })
                .expect("a cell");
        }
        let shown = sheet.finish().expect("an end");
        let (pixels, size, _) = pixels(&fs::read(&path).expect("the sheet"));
        // In a thumbnail's middle row, cells show their number as blue.
        let pitch = |y: u32, x: u32| pixels[((y * size.width + x) * 3) as usize..][..3].to_vec();
        let is_cell = |at: usize| {
            let (column, row) = (at as u32 % 6, at as u32 / 6);
            let high = (size.height - 12) / (announced.clamp(1, 600) as u32).div_ceil(6);
            pitch(row * high + 12 + 60, 12 + column * 172 + 80) == [200, 10, at as u8]
        };
        let found = (0..announced.min(600)).filter(|&at| is_cell(at)).count();
        (shown.shown, shown.left_out, found)
    };
    for (cells, announced, expected) in [
        (0, 0, (0, 0, 0)),
        (1, 1, (1, 0, 1)),
        (6, 6, (6, 0, 6)),
        (7, 7, (7, 0, 7)),
        (4, 20, (4, 0, 4)), // sixteen pictures could not be read
        (6, 20, (6, 0, 6)),
        (603, 603, (600, 3, 600)),
    ] {
        assert_eq!(side(cells, announced), expected, "{cells} of {announced}");
    }
}
