//! A card's `input` block, and what it makes of a picture: the tensor `[1, 3, H, W]` or `[1, H, W, 3]`.
use super::decode::{self, Header};
use super::guard::guarded;
use super::limits::Limits;
use super::orientation::Orientation;
use super::placement::Placement;
use super::resize::{Axis, Filter, Order, Resizer};
use super::source::Stream;
use crate::units::Size;
use anyhow::{Context, Result};
use ndarray::Array4;
use serde::{Deserialize, Serialize};
use std::ops::Range;
use std::time::{Duration, Instant};

/// The least scale of a reduced decode, in network inputs. Measured on 50 photos enlarged to 20 megapixels: at twice the input one
/// probability moved by 0.023.
const REDUCED: u32 = 4;

/// How a picture becomes a tensor: `value = (x * scale - mean) / std` with x in 0..=255, channels in `color`'s order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Preprocessing {
    /// Order of the tensor's axes.
    pub layout: Layout,
    /// Height and width that the network takes.
    pub size: [u32; 2],
    /// Order of the channels.
    pub color: Color,
    /// How the picture is brought to `size`.
    pub resize: Resize,
    /// Factor for values 0..=255.
    pub scale: f64,
    /// Subtracted after scaling, one a channel in `color`'s order.
    pub mean: [f64; 3],
    /// Divisor after subtraction, one a channel in `color`'s order.
    pub std: [f64; 3],
}

/// Order of a tensor's axes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Layout {
    /// `[1, 3, H, W]`, as PyTorch exports.
    Nchw,
    /// `[1, H, W, 3]`, as Keras exports.
    Nhwc,
}

impl std::fmt::Display for Layout {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if *self == Self::Nchw { "NCHW" } else { "NHWC" })
    }
}

/// Order of the channels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
#[allow(missing_docs)]
pub enum Color {
    Rgb,
    Bgr,
}

/// How a picture of any shape is brought to the network's size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    tag = "mode",
    rename_all = "lowercase",
    deny_unknown_fields,
    expecting = "`{mode: stretch, filter: bilinear}`, or mode `crop` or `pad`"
)]
pub enum Resize {
    /// Both axes at once, whatever the proportions.
    Stretch {
        /// Resampling filter.
        filter: Filter,
    },
    /// The shorter side to `shortest`, then the centre, as torchvision does.
    Crop {
        /// Length of the shorter side before the centre is cut out.
        shortest: u32,
        /// Resampling filter.
        filter: Filter,
    },
    /// The whole picture inside, centred, the rest filled.
    Pad {
        /// Fill, red green blue.
        color: [u8; 3],
        /// Resampling filter.
        filter: Filter,
    },
}

impl Resize {
    fn filter(self) -> Filter {
        match self {
            Self::Stretch { filter } | Self::Crop { filter, .. } | Self::Pad { filter, .. } => filter,
        }
    }
}

/// A picture as the network sees it.
#[derive(Clone, Debug)]
pub struct Picture {
    /// `[1, 3, H, W]` or `[1, H, W, 3]`, normalised.
    pub tensor: Array4<f32>,
    /// Size of the upright picture.
    pub size: Size,
    /// Time spent decoding rows.
    pub decode: Duration,
    /// Time spent resizing and normalising.
    pub preprocess: Duration,
}

impl Preprocessing {
    /// Reads a picture into a tensor. A picture larger than needed by far is decoded at a reduced scale, never below [`REDUCED`] times the network's size.
    ///
    /// # Errors
    /// When it is beyond `limits` or cannot be decoded. A decoder that panics is such an error too: one picture must not end a server or
    /// take the answers for other pictures with it.
    pub fn read(&self, stream: Stream, limits: &Limits) -> Result<Picture> {
        guarded(|| self.decode(stream, limits))
    }

    /// Shape of the tensor: `[1, 3, H, W]` or `[1, H, W, 3]`.
    pub fn shape(&self) -> [usize; 4] {
        let [height, width] = self.size.map(|side| side as usize);
        match self.layout {
            Layout::Nchw => [1, 3, height, width],
            Layout::Nhwc => [1, height, width, 3],
        }
    }

    fn decode(&self, stream: Stream, limits: &Limits) -> Result<Picture> {
        let begun = Instant::now();
        let opened = decode::open(stream, limits)?;
        let Header { size, orientation, format } = opened.header;
        limits.check_rows(size, self.resize.filter().support())?;
        let upright = orientation.upright(size);
        let placement = Placement::of(upright, self);
        // Nearest picks single pixels, which a reduced decode does not have.
        let Size { width, height } = placement.scaled;
        let enough = Size { width: width.saturating_mul(REDUCED), height: height.saturating_mul(REDUCED) };
        let at_least = (self.resize.filter() != Filter::Nearest).then(|| orientation.upright(enough));
        let mut started = opened.start(at_least)?;
        let (across, down) = self.axes(&placement, orientation, size, &started);
        let order = Order::of_pillow(upright, placement.scaled);
        let order = if orientation.is_transposed() { order.transposed() } else { order };
        let mut resizer = Resizer::new(started.size.width, across, down, order);
        let mut row = vec![0; started.size.width as usize * 3];
        let mut preprocess = Duration::ZERO;
        for y in 0..started.size.height {
            started
                .rows
                .next_row(&mut row)
                .with_context(|| format!("{}, row {} of {}", format.unreadable(), y + 1, started.size.height))?;
            let pushed = Instant::now();
            resizer.push(&row);
            preprocess += pushed.elapsed();
        }
        let decode = begun.elapsed().saturating_sub(preprocess);
        let begun = Instant::now();
        let (pixels, stored) = resizer.finish();
        let pixels = orientation.apply(pixels, stored);
        let tensor = self.normalise(&self.on_canvas(pixels, orientation.upright(stored), &placement));
        Ok(Picture { tensor, size: upright, decode, preprocess: preprocess + begun.elapsed() })
    }

    /// The resampling of the stored columns and rows that gives `placement` once the result is turned upright.
    fn axes(
        &self,
        placement: &Placement,
        orientation: Orientation,
        full: Size,
        started: &decode::Started,
    ) -> (Axis, Axis) {
        let stored = |source: u32, length: u32, target: u32, kept: Range<u32>, mirrored: bool| {
            // A reduced decode rounds its size up: the picture then ends within its last pixel, which lies first on a mirrored axis.
            let length = f64::from(length) / f64::from(started.reduction);
            let span = if mirrored { f64::from(source) - length..f64::from(source) } else { 0.0..length };
            let axis = Axis::new(self.resize.filter(), source, span, target, kept);
            if mirrored { axis.mirrored(source) } else { axis }
        };
        let (x, y) = (placement.x.clone(), placement.y.clone());
        let ((columns, x), (rows, y)) = ((placement.scaled.width, x), (placement.scaled.height, y));
        let ((columns, x), (rows, y)) =
            if orientation.is_transposed() { ((rows, y), (columns, x)) } else { ((columns, x), (rows, y)) };
        (
            stored(started.size.width, full.width, columns, x, orientation.mirrors_stored_x()),
            stored(started.size.height, full.height, rows, y, orientation.mirrors_stored_y()),
        )
    }

    /// `[H, W, 3]` at the network's size: `pixels` themselves, or on a ground of the pad colour.
    fn on_canvas(&self, pixels: Vec<u8>, size: Size, placement: &Placement) -> Vec<u8> {
        let Resize::Pad { color, .. } = self.resize else { return pixels };
        let [height, width] = self.size.map(|side| side as usize);
        let mut canvas = color.repeat(height * width);
        let (left, top) = (placement.offset.0 as usize, placement.offset.1 as usize);
        for (y, row) in pixels.chunks_exact(size.width as usize * 3).enumerate() {
            let start = ((top + y) * width + left) * 3;
            canvas[start..start + row.len()].copy_from_slice(row);
        }
        canvas
    }

    /// Applies scale, mean and std to RGB pixels `[H, W, 3]`, in float32 and in the order that numpy does it.
    fn normalise(&self, pixels: &[u8]) -> Array4<f32> {
        let tables: [[f32; 256]; 3] = std::array::from_fn(|channel| {
            std::array::from_fn(|value| {
                (value as f32 * self.scale as f32 - self.mean[channel] as f32) / self.std[channel] as f32
            })
        });
        let [height, width] = self.size.map(|side| side as usize);
        let source = |channel: usize| if self.color == Color::Bgr { 2 - channel } else { channel };
        let value = |y, x, channel: usize| tables[channel][usize::from(pixels[(y * width + x) * 3 + source(channel)])];
        match self.layout {
            Layout::Nchw => Array4::from_shape_fn((1, 3, height, width), |(_, c, y, x)| value(y, x, c)),
            Layout::Nhwc => Array4::from_shape_fn((1, height, width, 3), |(_, y, x, c)| value(y, x, c)),
        }
    }
}
