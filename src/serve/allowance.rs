//! Memory for a request's body: known from its announced length, or asked for as it comes.
use super::admission::{Admission, Ticket};
use super::problem::Problem;
use crate::units::Bytes;
use axum::http::HeaderMap;
use axum::http::header::CONTENT_LENGTH;

/// A body that does not say its length has memory in steps of this size: the kernel moves pages instead of copying them.
pub const STEP: usize = 1 << 20;

/// How many times its length a body takes in memory, as a fraction.
#[derive(Clone, Copy, Debug)]
pub struct Factor(pub u64, pub u64);

impl Factor {
    /// Memory of a body of this length.
    fn of(self, length: u64) -> Bytes {
        Bytes(length.saturating_mul(self.0) / self.1)
    }

    /// The longest body that takes so much memory.
    fn within(self, memory: Bytes) -> Bytes {
        Bytes(memory.0 / self.0 * self.1)
    }
}

/// Memory for a body, which is asked for as it comes where its length is not said.
pub struct Allowance<'a> {
    admission: &'a Admission,
    ticket: Ticket,
    factor: Factor,
    /// The longest body that there is memory for.
    pub most: u64,
    /// So long a body has its memory.
    granted: u64,
}

impl<'a> Allowance<'a> {
    /// Lets a request in whose body takes so many times its length.
    ///
    /// # Errors
    /// As [`Admission::enter`], and 400 where the length is no number.
    pub fn of(admission: &'a Admission, headers: &HeaderMap, factor: Factor) -> Result<Self, Problem> {
        let most = factor.within(admission.longest()?).0;
        let granted = if headers.contains_key(CONTENT_LENGTH) {
            length(headers).ok_or_else(|| Problem::bad("`Content-Length` is no number"))?
        } else {
            most.min(STEP as u64)
        };
        let ticket = admission.enter(factor.of(granted))?;
        Ok(Self { admission, ticket, factor, most, granted })
    }

    /// Lets the request take so much more, for something else than its body.
    ///
    /// # Errors
    /// As [`Admission::widen`].
    pub fn widen(&mut self, extra: Bytes) -> Result<(), Problem> {
        self.admission.widen(&mut self.ticket, extra)
    }

    /// Has memory for a body of this length.
    ///
    /// # Errors
    /// 413 when that can never be, 429 when it is not there now.
    pub fn grow(&mut self, length: u64) -> Result<(), Problem> {
        if length > self.most {
            let most = Bytes(self.most);
            return Err(Problem::too_large(&format!("the body is over the limit of {most} (`--max-body`)")));
        }
        if length > self.granted {
            let granted = (length + STEP as u64).min(self.most);
            self.widen(self.factor.of(granted - self.granted))?;
            self.granted = granted;
        }
        Ok(())
    }

    /// Who is in, once the body is there.
    pub fn ticket(self) -> Ticket {
        self.ticket
    }
}

/// What a request says of its body's length.
pub fn length(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok())
}
