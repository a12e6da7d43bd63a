//! How a budget is divided between requests, their decoders and their bodies.
use crate::units::Bytes;

/// What the kernel needs for sockets, page tables and its batches of pages, and what connections hold, 16 KB each of 64: the larger of both.
pub const RESERVE: Bytes = Bytes::mb(4);
const RESERVED: f64 = 0.04;
/// A worker more is worth it where a decoder has at least so much.
const LEAST_DECODER: Bytes = Bytes::mb(3);
/// A photo of a phone has at least so much room.
const LEAST_BODY: Bytes = Bytes::mb(1);

/// What fits into a budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// Requests that are worked on at once.
    pub slots: usize,
    /// Memory for the decoder of each.
    pub decoder: Bytes,
    /// Bodies of all requests that are in, beyond those that were measured.
    pub bodies: Bytes,
}

impl Room {
    /// Divides what `budget` leaves, where `one` request takes so much and another one `further` memory: half for decoders, half for bodies.
    ///
    /// # Errors
    /// When not even one request fits: what it takes.
    pub fn of(budget: Bytes, one: Bytes, further: Bytes, workers: usize) -> Result<Self, Bytes> {
        let reserve = (budget.0 as f64 * RESERVED).max(RESERVE.0 as f64) as u64;
        let takes = |slots: u64| one.0 + (slots - 1) * further.0 + reserve;
        let left = |slots: u64| budget.0.checked_sub(takes(slots)).map(|left| left / 2);
        let alone = left(1).filter(|half| *half >= LEAST_BODY.0);
        let Some(half) = alone else { return Err(Bytes(takes(1) + 2 * LEAST_BODY.0)) };
        let more = (2..=workers.max(1) as u64).rev().find_map(|slots| {
            let half = left(slots)?;
            (half / slots >= LEAST_DECODER.0).then_some((slots, half))
        });
        let (slots, half) = more.unwrap_or((1, half));
        Ok(Self { slots: slots as usize, decoder: Bytes(half / slots), bodies: Bytes(half) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: Bytes = Bytes::mb(60);
    const FURTHER: Bytes = Bytes::mb(4);

    #[test]
    fn a_budget_is_divided_and_never_exceeded() {
        assert_eq!(Room::of(Bytes::mb(64), ONE, FURTHER, 2), Err(Bytes::mb(66)));
        let tight = Room::of(Bytes::mb(72), ONE, FURTHER, 2).unwrap();
        assert_eq!(tight, Room { slots: 1, decoder: Bytes::mb(4), bodies: Bytes::mb(4) });
        for (budget, workers) in [(66, 1), (80, 2), (96, 2), (512, 2), (512, 64), (4096, 8)] {
            let room = Room::of(Bytes::mb(budget), ONE, FURTHER, workers).unwrap();
            assert!((1..=workers).contains(&room.slots), "{room:?}");
            let taken =
                ONE.0 + (room.slots as u64 - 1) * FURTHER.0 + room.slots as u64 * room.decoder.0 + room.bodies.0;
            assert!(taken <= Bytes::mb(budget).0, "{budget} MB: {room:?}");
        }
        assert_eq!(Room::of(Bytes::mb(96), ONE, FURTHER, 2).unwrap().slots, 2);
        assert_eq!(Room::of(Bytes::mb(4096), ONE, FURTHER, 8).unwrap().slots, 8);
    }
}
