//! The sensitivity of layers as a picture: a bar for each in the network's order, and which the highest ones are.
use super::record::{by_sensitivity, counts, recipe, shape};
use super::rows::decimal;
use crate::quantize::{Layer, Made, Reason, Record, State};
use crate::report::plot::canvas::{AMBER, Anchor, Canvas, GREY, INK, NAVY, RED, fit, width};
use crate::report::plot::panel::{Panel, SMALL};
use crate::report::plot::scale::Scale;
use crate::report::plot::{Drawing, MARGIN, Picture, WIDTH, write_drawing};
use crate::text::shortened;
use crate::units::Size;
use anyhow::{Context, Result};
use plotters::prelude::DrawingBackend;
use plotters::style::RGBColor;
use std::io::Write;

/// Pixels from the top to the panel, and to the panel's lower side.
const TOP: i32 = 150;
const BOTTOM: i32 = 500;
/// Where the key begins, and the pixels of a row of it.
const KEY: i32 = BOTTOM + 62;
const ROW: i32 = 20;
/// Layers that are named, in letters of this size; of each name so many characters.
const NAMED: usize = 10;
const LETTERS: i32 = 13;
const NAME: usize = 80;
/// Pixels of the widest bar, of the lowest one, and of a layer that was not measured.
const WIDEST: f64 = 60.0;
const LOWEST: i32 = 3;
/// Of the highest bar, the least value that the axis goes down to.
const LEAST: f64 = 1e-8;
/// The greatest value that the axis goes up to.
const MOST: f64 = 1e6;

/// Draws the layers of a network that was quantized to int8, and gives the picture's size in pixels.
///
/// # Errors
/// When the mode was another one, or `out` cannot be written.
pub fn write_plot(out: &mut dyn Write, made: &Made, picture: Picture) -> Result<Size> {
    let record = made.record.as_ref().with_context(|| format!("`{}` has no layers to draw: `int8` has", made.mode))?;
    write_drawing(out, &Plot { made, record }, picture)
}

struct Plot<'a> {
    made: &'a Made,
    record: &'a Record,
}

impl Plot<'_> {
    /// The layers that are named, with their places from 1 on and their sensitivities; the highest one first.
    fn named(&self) -> impl Iterator<Item = (usize, &Layer, f64)> {
        let place = |layer: &Layer| self.record.layers.iter().take_while(|other| other.node != layer.node).count() + 1;
        let measured = by_sensitivity(self.record).into_iter().filter_map(|layer| Some((layer, layer.sensitivity?)));
        measured.take(NAMED).map(move |(layer, sensitivity)| (place(layer), layer, sensitivity))
    }

    /// The panel; upwards it goes by powers of ten from below the lowest value to above the highest one. None where nothing was measured.
    fn panel(&self) -> Option<(Panel, [f64; 2])> {
        let values = || self.record.layers.iter().filter_map(|layer| layer.sensitivity).filter(|&nats| nats > 0.0);
        let high = values().fold(0.0, f64::max).min(MOST);
        let low = values().fold(high, f64::min).max(high * LEAST);
        let is_measured = self.record.layers.iter().any(|layer| layer.sensitivity.is_some());
        // Where all are zero, any range will do.
        let [low, high] = if high > 0.0 { [low / 2.0, high * 2.0] } else { [1e-4, 1.0] };
        let panel = Panel {
            left: MARGIN + 50,
            top: TOP,
            right: WIDTH as i32 - MARGIN,
            bottom: BOTTOM,
            x: Scale::straight(0.5, self.record.layers.len() as f64 + 0.5),
            y: Scale::Powers(low, high),
        };
        is_measured.then_some((panel, [low, high]))
    }
}

impl Drawing for Plot<'_> {
    fn height(&self) -> i32 {
        KEY + ROW * (1 + self.named().count() as i32) + MARGIN
    }

    fn draw<B: DrawingBackend>(&self, canvas: &Canvas<'_, B>) -> Result<()>
    where
        B::ErrorType: 'static,
    {
        let room = WIDTH as i32 - 2 * MARGIN;
        let title = format!("Sensitivity of the layers of `{}`", self.made.source);
        let recipe = recipe(self.made).unwrap_or_default();
        for (y, size, color, text) in
            [(16, 20, INK, title), (44, 15, INK, counts(self.record)), (66, LETTERS, GREY, recipe)]
        {
            canvas.text((MARGIN, y), &fit(&text, size, room)?, size, color, Anchor::TopLeft);
        }
        let Some((panel, [low, high])) = self.panel() else {
            let text = "not measured: run with `--sensitivity`, without `--auto`";
            canvas.text((MARGIN, TOP), text, 15, INK, Anchor::TopLeft);
            return Ok(());
        };
        self.legend(canvas)?;
        panel.frame(canvas, &panel.y.ticks(low, high, 5), "nats")?;
        let what = "KL divergence of the answers when the layer alone computes in int8, by powers of ten";
        canvas.text((panel.left + 8, panel.top - 8), what, SMALL, GREY, Anchor::BottomLeft);
        let count = self.record.layers.len() as f64;
        let whole = panel.x.ticks(1.0, count, 12).into_iter().filter(|tick| tick.fract() == 0.0);
        panel.marks(
            canvas,
            &[1.0, count].into_iter().chain(whole).collect::<Vec<_>>(),
            "layer, in the network's order",
        )?;
        for (at, layer) in self.record.layers.iter().enumerate() {
            bar(canvas, &panel, (at as f64 + 1.0, layer))?;
        }
        self.numbers(canvas, &panel)?;
        self.key(canvas)
    }
}

impl Plot<'_> {
    /// The numbers of those that are named, above their bars; those in front go first, and one for which there is no room is left out.
    fn numbers<B: DrawingBackend>(&self, canvas: &Canvas<'_, B>, panel: &Panel) -> Result<()>
    where
        B::ErrorType: 'static,
    {
        let mut taken: Vec<(i32, i32)> = Vec::new();
        for (number, _, nats) in self.named() {
            let (x, y) = panel.at(number as f64, nats);
            let text = number.to_string();
            let half = width(&text, SMALL)? / 2 + 2;
            if taken.iter().all(|&(from, to)| x + half < from || x - half > to) {
                canvas.text((x, y.min(panel.bottom - LOWEST) - 15), &text, SMALL, INK, Anchor::TopCentre);
                taken.push((x - half, x + half));
            }
        }
        Ok(())
    }

    /// What the colours mean, of states that occur.
    fn legend<B: DrawingBackend>(&self, canvas: &Canvas<'_, B>) -> Result<()>
    where
        B::ErrorType: 'static,
    {
        let float = [Reason::Unsupported, Reason::Narrow, Reason::Sensitive].map(State::Float);
        let (mut x, y) = (MARGIN + 50, TOP - 48);
        for state in [State::Int8].into_iter().chain(float) {
            let mut of_state = self.record.layers.iter().filter(|layer| layer.state == state).peekable();
            if of_state.peek().is_none() {
                continue;
            }
            let is_measured = of_state.any(|layer| layer.sensitivity.is_some());
            let text = format!("{state}{}", if is_measured { "" } else { ": not measured" });
            canvas.fill((x, y + 1), (x + 18, y + 11), color(state))?;
            canvas.text((x + 24, y), &text, SMALL, GREY, Anchor::TopLeft);
            x += 24 + width(&text, SMALL)? + 22;
        }
        Ok(())
    }

    /// Which the highest ones are.
    fn key<B: DrawingBackend>(&self, canvas: &Canvas<'_, B>) -> Result<()>
    where
        B::ErrorType: 'static,
    {
        let (left, right) = (MARGIN + 50, WIDTH as i32 - MARGIN);
        canvas.text((left, KEY), "The most sensitive layers, in nats", LETTERS, GREY, Anchor::TopLeft);
        for (row, (number, layer, nats)) in self.named().enumerate() {
            let y = KEY + ROW * (row as i32 + 1);
            let name = fit(&shortened(&layer.name, NAME), LETTERS, 640)?;
            let weights = fit(&format!("{} {}", layer.op, shape(layer)), LETTERS, 320)?;
            canvas.text((left + 32, y), &number.to_string(), LETTERS, INK, Anchor::TopRight);
            canvas.text((left + 44, y), &name, LETTERS, INK, Anchor::TopLeft);
            canvas.text((left + 700, y), &weights, LETTERS, GREY, Anchor::TopLeft);
            canvas.text((right, y), &decimal(nats), LETTERS, color(layer.state), Anchor::TopRight);
        }
        Ok(())
    }
}

/// The bar of a layer at its place from 1 on.
fn bar<B: DrawingBackend>(canvas: &Canvas<'_, B>, panel: &Panel, (place, layer): (f64, &Layer)) -> Result<()>
where
    B::ErrorType: 'static,
{
    let slot = f64::from(panel.across(place + 0.5) - panel.across(place - 0.5));
    let half = (slot * 0.4).clamp(0.5, WIDEST / 2.0);
    let middle = f64::from(panel.across(place - 0.5)) + slot / 2.0;
    let (from, to) = ((middle - half).round() as i32, (middle + half).round() as i32);
    let top = layer.sensitivity.map_or(panel.bottom, |nats| panel.up(nats)).min(panel.bottom - LOWEST);
    canvas.fill((from, top), (to.max(from + 1), panel.bottom), color(layer.state))
}

fn color(state: State) -> RGBColor {
    match state {
        State::Int8 => NAVY,
        State::Float(Reason::Unsupported) => GREY,
        State::Float(Reason::Narrow) => AMBER,
        State::Float(Reason::Sensitive) => RED,
    }
}
