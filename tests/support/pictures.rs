//! Pictures made in memory, and the library's pixels of a picture file.
use dermai::input::{Color, Filter, Layout, Limits, Picture, Preprocessing, Resize, Source, Stream};
use dermai::units::{Bytes, Size};
use std::borrow::Cow;
use std::io::Cursor;
use std::path::Path;

/// All resampling filters, in the order of the goldens.
pub const FILTERS: [Filter; 5] = [Filter::Nearest, Filter::Box, Filter::Bilinear, Filter::Bicubic, Filter::Lanczos];

/// The limits of a process with 512 MB.
pub const LIMITS: Limits = Limits::within(Bytes::mb(512));

/// `count` bytes of SplitMix64, as `fixtures/golden/make.py` draws them.
pub fn noise(seed: u64, count: usize) -> Vec<u8> {
    (1..=count as u64)
        .map(|i| {
            let z = seed.wrapping_add(i.wrapping_mul(0x9E37_79B9_7F4A_7C15));
            let z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            ((z ^ (z >> 31)) >> 56) as u8
        })
        .collect()
}

/// An RGB PNG, with an EXIF orientation when there is one to be written.
pub fn png(rgb: &[u8], size: Size, orientation: Option<u8>) -> Vec<u8> {
    let mut info = png::Info::with_size(size.width, size.height);
    info.color_type = png::ColorType::Rgb;
    info.bit_depth = png::BitDepth::Eight;
    // A big-endian TIFF header and a directory with one entry: tag 274, type SHORT, count 1.
    info.exif_metadata = orientation.map(|value| {
        let mut block = b"MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0".to_vec();
        block.extend([value, 0, 0, 0, 0, 0, 0]);
        Cow::Owned(block)
    });
    let mut file = Vec::new();
    let mut writer = png::Encoder::with_info(&mut file, info).expect("a header").write_header().expect("a header");
    writer.write_image_data(rgb).expect("pixels");
    writer.finish().expect("an end");
    file
}

/// What `spec` makes of a file in memory.
pub fn read(spec: &Preprocessing, file: Vec<u8>) -> Picture {
    spec.read(Stream::Memory(Cursor::new(file)), &LIMITS).unwrap_or_else(|e| panic!("{e:#}"))
}

/// Preprocessing to RGB values 0 to 255, `[1, H, W, 3]`.
pub fn plain(size: Size, resize: Resize) -> Preprocessing {
    Preprocessing {
        layout: Layout::Nhwc,
        size: [size.height, size.width],
        color: Color::Rgb,
        resize,
        scale: 1.0,
        mean: [0.0; 3],
        std: [1.0; 3],
    }
}

/// The tensor's values as bytes.
pub fn bytes(picture: &Picture) -> Vec<u8> {
    picture.tensor.iter().map(|&v| v as u8).collect()
}

/// The decoded pixels of a file of `size` (upright): nearest to its own size takes every pixel as it is.
pub fn decoded(path: &Path, size: Size) -> Vec<u8> {
    let stream = Source::Path(path.to_owned()).open(&LIMITS).unwrap_or_else(|e| panic!("`{}`: {e:#}", path.display()));
    let spec = plain(size, Resize::Stretch { filter: Filter::Nearest });
    let picture = spec.read(stream, &LIMITS).unwrap_or_else(|e| panic!("`{}`: {e:#}", path.display()));
    assert_eq!(picture.size, size, "`{}`", path.display());
    bytes(&picture)
}
