//! Decoders are other people's code: one that panics over a damaged picture gives that picture an error, and nothing else ends.
use anyhow::{Result, anyhow};
use std::any::Any;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};

thread_local! {
    static GUARDED: Cell<bool> = const { Cell::new(false) };
}

/// Whether a panic on this thread becomes a picture's error, so that a panic hook need not print it.
pub fn panics_are_errors() -> bool {
    GUARDED.get()
}

/// Does `work`; a panic in it becomes an error.
pub fn guarded<T>(work: impl FnOnce() -> Result<T>) -> Result<T> {
    let before = GUARDED.replace(true);
    let result = catch_unwind(AssertUnwindSafe(work));
    GUARDED.set(before);
    result.unwrap_or_else(|payload| Err(anyhow!("the decoder gave up on it: {}", message(payload.as_ref()))))
}

fn message(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<String>().map(String::as_str).or_else(|| payload.downcast_ref().copied());
    text.and_then(|text| text.lines().next()).unwrap_or("it does not say why").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::bail;

    #[test]
    fn panics_become_errors_and_errors_stay() {
        assert!(guarded(|| Ok(panics_are_errors())).expect("no error"));
        assert!(!panics_are_errors());
        let error = |work: fn() -> Result<()>| guarded(work).expect_err("an error").to_string();
        assert_eq!(error(|| bail!("an error")), "an error");
        assert_eq!(error(|| panic!("a text")), "the decoder gave up on it: a text");
        assert_eq!(error(|| panic!("{} texts\nand more", 2)), "the decoder gave up on it: 2 texts");
        assert!(!panics_are_errors());
    }
}
