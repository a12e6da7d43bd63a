//! The program on a terminal: a pseudo-terminal (pty(7)) takes what it draws.
use std::fs::File;
use std::io::Read;
use std::num::NonZero;
use std::os::fd::{FromRawFd, OwnedFd};
use std::process::{Command, ExitStatus, Stdio};
use std::ptr;

const ROWS: NonZero<u16> = NonZero::new(60).unwrap();
const COLUMNS: NonZero<u16> = NonZero::new(110).unwrap();

/// Both ends of a terminal.
fn open() -> (OwnedFd, OwnedFd) {
    let (mut ours, mut its) = (-1, -1);
    let size = libc::winsize { ws_row: ROWS.get(), ws_col: COLUMNS.get(), ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: the two numbers are written before openpty returns, `size` is only read, and the other pointers may be null.
    let done = unsafe { libc::openpty(&raw mut ours, &raw mut its, ptr::null_mut(), ptr::null(), &raw const size) };
    assert_eq!(done, 0, "no pseudo-terminal: {}", std::io::Error::last_os_error());
    // SAFETY: openpty has just opened both, and nothing else owns them.
    unsafe { (OwnedFd::from_raw_fd(ours), OwnedFd::from_raw_fd(its)) }
}

/// Runs `command` with standard error, and where wanted standard output, on a terminal; what the terminal got.
pub fn on_terminal(mut command: Command, stdout_too: bool) -> (ExitStatus, String) {
    let (ours, its) = open();
    command.stdin(Stdio::null()).stdout(Stdio::null());
    if stdout_too {
        command.stdout(its.try_clone().expect("a copy"));
    }
    command.stderr(its);
    let mut child = command.spawn().expect("the program can be started");
    drop(command); // its copies of the terminal, so that reading ends with the program
    let mut drawn = Vec::new();
    let mut terminal = File::from(ours);
    let mut buffer = [0; 4096];
    // When the other side is closed, reading fails with EIO instead of giving nothing.
    while let Ok(count @ 1..) = terminal.read(&mut buffer) {
        drawn.extend_from_slice(&buffer[..count]);
    }
    let status = child.wait().expect("a status");
    (status, String::from_utf8(drawn).expect("the program writes UTF-8"))
}

/// What is left on the screen of what was drawn, lines without what is blank behind them.
pub fn left_standing(drawn: &str) -> String {
    let mut screen = vt100::Parser::new(ROWS, COLUMNS, 0);
    screen.process(drawn.as_bytes());
    screen.screen().contents()
}
