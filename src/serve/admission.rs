//! Who comes in: as many requests, and as much of their bodies, as fit into what memory is left; the rest is refused at once.
use super::problem::Problem;
use super::room::Room;
use crate::units::Bytes;
use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{Instant, sleep, timeout};

/// Bodies are counted in pieces of this size.
const PIECE: u64 = 1 << 10;
/// At the end, what is on its way has so much time left: what it asks has to be worked on, too.
const LAST_BODIES: Duration = Duration::from_secs(5);
/// And so much answers that are on their way: a slow reader does not hold up the end.
const LAST_ANSWERS: Duration = Duration::from_secs(20);
/// Nobody is let in who would likely wait for longer: what is in when the server is told to end has to be answered within 25 s.
const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// Who is in.
#[derive(Debug)]
pub struct Admission {
    room: OnceLock<Result<Room, String>>,
    places: Arc<Semaphore>,
    pieces: Arc<Semaphore>,
    slots: Arc<Semaphore>,
    queue: usize,
    body: Bytes,
    /// When the end began.
    drains: watch::Sender<Option<Instant>>,
    /// Time that a request took of late, in microseconds.
    usual: AtomicU64,
    /// The same of one picture or tensor of a request with several; 0: there was none.
    each: AtomicU64,
}

/// A request that is in.
#[derive(Debug)]
pub struct Ticket {
    _place: OwnedSemaphorePermit,
    pieces: OwnedSemaphorePermit,
    slots: Arc<Semaphore>,
}

/// A request that is worked on.
#[derive(Debug)]
pub struct Slot {
    _ticket: Ticket,
    _slot: Option<OwnedSemaphorePermit>,
}

impl Admission {
    /// Nobody comes in before [`Admission::open`]; `queue` requests may wait, with bodies of at most `body`.
    pub fn new(queue: usize, body: Bytes) -> Self {
        let none = || Arc::new(Semaphore::new(0));
        Self {
            room: OnceLock::new(),
            places: none(),
            pieces: none(),
            slots: none(),
            queue,
            body,
            drains: watch::Sender::new(None),
            usual: AtomicU64::new(0),
            each: AtomicU64::new(0),
        }
    }

    /// What a request takes is known: they may come, or why none can.
    pub fn open(&self, room: Result<Room, String>) {
        if self.room.set(room).is_ok()
            && let Some(Ok(room)) = self.room.get()
        {
            self.places.add_permits(room.slots + self.queue);
            self.pieces.add_permits(pieces(room.bodies));
            self.slots.add_permits(room.slots);
        }
    }

    /// Nobody comes in any more.
    pub fn drain(&self) {
        self.drains.send_replace(Some(Instant::now()));
    }

    /// Whether it is ending.
    pub fn drains(&self) -> bool {
        self.drains.borrow().is_some()
    }

    /// When answers have to be out; none: the server is not ending.
    pub fn answers_by(&self) -> Option<Instant> {
        Some((*self.drains.borrow())? + LAST_ANSWERS)
    }

    /// Memory for the decoder of a request that is in.
    pub fn decoder(&self) -> Option<Bytes> {
        Some(self.room.get()?.as_ref().ok()?.decoder)
    }

    /// What fits.
    ///
    /// # Errors
    /// While that is not known (503), when nothing fits (503), and at the end (503).
    pub fn room(&self) -> Result<Room, Problem> {
        if self.drains() {
            return Err(Problem::unavailable("the server is ending"));
        }
        self.known_room()
    }

    /// The same at the end of the server, too, for whoever is in.
    pub fn known_room(&self) -> Result<Room, Problem> {
        match self.room.get() {
            None => Err(Problem::unavailable("the server is starting: it measures what a request takes").after(1)),
            Some(Err(why)) => Err(Problem::unavailable(why)),
            Some(Ok(room)) => Ok(*room),
        }
    }

    /// Longest body that can come in.
    pub fn longest(&self) -> Result<Bytes, Problem> {
        Ok(self.room()?.bodies.min(self.body))
    }

    /// Lets a request in whose body holds `length` bytes of memory.
    ///
    /// # Errors
    /// 413 when that can never be, 429 when it cannot be now.
    pub fn enter(&self, length: Bytes) -> Result<Ticket, Problem> {
        let longest = self.longest()?;
        if length > longest {
            return Err(Problem::too_large(&format!(
                "a body of {length} is over the limit of {longest} (`--max-body`)"
            )));
        }
        let full = || Problem::too_many(self.wait());
        if self.waits() > LONGEST_WAIT {
            return Err(full());
        }
        let place = Arc::clone(&self.places).try_acquire_owned().map_err(|_| full())?;
        let pieces = self.take(length).ok_or_else(full)?;
        Ok(Ticket { _place: place, pieces, slots: Arc::clone(&self.slots) })
    }

    /// Lets a request that is in take so much more, out of the memory for bodies.
    ///
    /// # Errors
    /// 413 when that can never be, 429 when it is not there now.
    pub fn widen(&self, ticket: &mut Ticket, extra: Bytes) -> Result<(), Problem> {
        let most = self.known_room()?.bodies;
        if pieces(extra) + ticket.pieces.num_permits() > pieces(most) {
            let why =
                format!("the body and {extra} for this map are over the {most} that there are: send a smaller copy");
            return Err(Problem::too_large(&why));
        }
        let more = self.take(extra).ok_or_else(|| Problem::too_many(self.wait()))?;
        ticket.pieces.merge(more);
        Ok(())
    }

    fn take(&self, memory: Bytes) -> Option<OwnedSemaphorePermit> {
        let count = u32::try_from(pieces(memory)).unwrap_or(u32::MAX);
        Arc::clone(&self.pieces).try_acquire_many_owned(count).ok()
    }

    /// Waits until nobody works, and keeps it so.
    ///
    /// # Errors
    /// 503 while nobody can be let in; 429 when somebody works for too long, such as for a slow reader: all others wait meanwhile.
    pub async fn alone(&self) -> Result<OwnedSemaphorePermit, Problem> {
        let slots = self.known_room()?.slots as u32;
        let all = timeout(LONGEST_WAIT, Arc::clone(&self.slots).acquire_many_owned(slots)).await;
        let all = all.map_err(|_| Problem::too_many(self.wait()))?;
        all.map_err(|_| Problem::unavailable("the server is ending"))
    }

    /// Waits for what a request needs before it can be worked on, such as its body; at the end of the server it is given up before the server is,
    /// and `why` is said.
    pub async fn arriving<T>(&self, what: impl Future<Output = Result<T, Problem>>, why: &str) -> Result<T, Problem> {
        let mut drains = self.drains.subscribe();
        let given_up = async {
            // Who tells lives as long as this.
            let _ = drains.wait_for(Option::is_some).await;
            sleep(LAST_BODIES).await;
        };
        tokio::select! {
            what = what => what,
            () = given_up => Err(Problem::unavailable(why)),
        }
    }

    /// Notes how long a request was worked on that was answered.
    pub fn took(&self, time: Duration) {
        follow(&self.usual, time);
    }

    /// Notes how long each of several pictures or tensors took.
    pub fn took_each(&self, time: Duration) {
        follow(&self.each, time);
    }

    /// Time until who comes now is likely worked on.
    fn waits(&self) -> Duration {
        let slots = self.known_room().map_or(1, |room| room.slots) as u64;
        let before = self.counts().0 as u64 / slots;
        Duration::from_micros(self.usual.load(Ordering::Relaxed) * before)
    }

    /// Pictures or tensors that can be worked on one after the other in the time that others may have to wait.
    pub fn most_at_once(&self) -> usize {
        let each = self.each.load(Ordering::Relaxed);
        let each = if each == 0 { self.usual.load(Ordering::Relaxed) } else { each };
        ((LONGEST_WAIT.as_micros() as u64 / each.max(1)) as usize).max(1)
    }

    /// Seconds until a place is likely free: RFC 9110, 10.2.3.
    fn wait(&self) -> u64 {
        (self.waits().as_secs_f64().ceil() as u64).clamp(1, 60)
    }

    /// Requests that are in, and those of them that wait.
    pub fn counts(&self) -> (usize, usize) {
        let Ok(room) = self.known_room() else { return (0, 0) };
        let inside = (room.slots + self.queue).saturating_sub(self.places.available_permits());
        let working = room.slots.saturating_sub(self.slots.available_permits());
        (inside, inside.saturating_sub(working))
    }
}

impl Ticket {
    /// Waits for its turn; they come in order.
    pub async fn slot(self) -> Slot {
        // It is never closed.
        let slot = Arc::clone(&self.slots).acquire_owned().await.ok();
        Slot { _ticket: self, _slot: slot }
    }
}

/// Moves a time, in microseconds, to what was seen last.
fn follow(usual: &AtomicU64, seen: Duration) {
    let seen = seen.as_micros() as u64;
    let before = usual.load(Ordering::Relaxed);
    usual.store(if before == 0 { seen } else { (before * 7 + seen) / 8 }, Ordering::Relaxed);
}

fn pieces(bytes: Bytes) -> usize {
    (bytes.0.div_ceil(PIECE) as usize).min(Semaphore::MAX_PERMITS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_does_not_fit_is_told_at_once() {
        let admission = Admission::new(1, Bytes::mb(2));
        assert_eq!(admission.enter(Bytes(1)).unwrap_err().status(), 503);
        admission.open(Ok(Room { slots: 1, decoder: Bytes::mb(1), bodies: Bytes::mb(3) }));
        assert_eq!(admission.enter(Bytes(Bytes::mb(2).0 + 1)).unwrap_err().status(), 413);
        let first = admission.enter(Bytes::mb(2)).unwrap();
        // There is a place, and no room for its body.
        assert_eq!(admission.enter(Bytes::mb(2)).unwrap_err().status(), 429);
        let second = admission.enter(Bytes::mb(1)).unwrap();
        assert_eq!(admission.enter(Bytes(0)).unwrap_err().status(), 429);
        assert_eq!(admission.counts(), (2, 2));
        drop((first, second));
        assert_eq!(admission.counts(), (0, 0));
        admission.took(Duration::from_secs(20));
        let _inside = admission.enter(Bytes(0)).unwrap();
        assert_eq!(admission.enter(Bytes(0)).unwrap_err().status(), 429, "it would wait for 20 s");
        admission.drain();
        assert_eq!(admission.enter(Bytes(0)).unwrap_err().status(), 503);
    }

    #[test]
    fn a_batch_does_not_lower_what_a_batch_may_be() {
        let admission = Admission::new(1, Bytes::mb(2));
        admission.took(Duration::from_millis(500));
        assert_eq!(admission.most_at_once(), 20);
        for _ in 0..50 {
            admission.took(Duration::from_secs(2));
            admission.took_each(Duration::from_millis(100));
        }
        assert_eq!(admission.most_at_once(), 100);
    }
}
