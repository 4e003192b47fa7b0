//! The process's standard descriptors.

use std::fs::File;
use std::io;

#[cfg(unix)]
use rustix::event::PollFlags;

/// Takes stdout for the protocol, and points its descriptor at stderr, so that a stray print cannot break the stream.
#[cfg(unix)]
pub(super) fn take_stdout() -> io::Result<File> {
    let protocol = rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdout(), 3)?;
    rustix::stdio::dup2_stdout(rustix::stdio::stderr())?;
    make_blocking(rustix::stdio::stdin())?;
    make_blocking(&protocol)?;
    Ok(File::from(protocol))
}

/// A client may share a descriptor that does not block. The threads that read and write have to wait, and would take
/// its refusal for the end.
#[cfg(unix)]
fn make_blocking(descriptor: impl std::os::fd::AsFd) -> io::Result<()> {
    use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
    let flags = fcntl_getfl(&descriptor)?;
    if flags.contains(OFlags::NONBLOCK) {
        fcntl_setfl(&descriptor, flags - OFlags::NONBLOCK)?;
    }
    Ok(())
}

#[cfg(not(unix))]
pub(super) fn take_stdout() -> io::Result<File> {
    use std::os::windows::io::{AsHandle, OwnedHandle};
    let protocol: OwnedHandle = io::stdout().as_handle().try_clone_to_owned()?;
    Ok(File::from(protocol))
}

/// Waits until nobody can read any more what is written to this, and says so; not where that cannot be seen.
#[cfg(unix)]
pub(super) fn is_closed_at_last(output: &File) -> bool {
    use rustix::event::{PollFd, poll};
    let mut descriptors = [PollFd::new(output, PollFlags::empty())];
    loop {
        match poll(&mut descriptors, None) {
            Err(rustix::io::Errno::INTR) => {}
            polled => return polled.is_ok() && descriptors[0].revents().intersects(PollFlags::ERR | PollFlags::HUP),
        }
    }
}

#[cfg(not(unix))]
pub(super) fn is_closed_at_last(_output: &File) -> bool {
    false
}

/// Whether nobody can write to stdin any more, even if there is still something to be read.
pub(super) fn stdin_is_abandoned() -> bool {
    #[cfg(unix)]
    return has_hung_up(rustix::stdio::stdin(), HALF);
    #[cfg(not(unix))]
    return false;
}

/// Whether nobody can write to stdin any more, and there is nothing left in it.
pub(super) fn stdin_has_ended() -> bool {
    #[cfg(unix)]
    return stdin_is_abandoned() && rustix::io::ioctl_fionread(rustix::stdio::stdin()).is_ok_and(|left| left == 0);
    #[cfg(not(unix))]
    return false;
}

/// Whether nobody can read any more what is written to stdout; not where that cannot be seen.
pub(super) fn stdout_is_closed() -> bool {
    #[cfg(unix)]
    return has_hung_up(rustix::stdio::stdout(), PollFlags::empty());
    #[cfg(not(unix))]
    return false;
}

/// The other end has closed its half of a socket: it writes no more, and may still read.
#[cfg(target_os = "linux")]
const HALF: PollFlags = PollFlags::RDHUP;
#[cfg(all(unix, not(target_os = "linux")))]
const HALF: PollFlags = PollFlags::empty();

/// Whether the other end of a descriptor is gone, or something else that is looked for has happened there.
#[cfg(unix)]
fn has_hung_up(descriptor: std::os::fd::BorrowedFd<'_>, or: PollFlags) -> bool {
    use rustix::event::{PollFd, Timespec, poll};
    let mut descriptors = [PollFd::from_borrowed_fd(descriptor, or)];
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    let gone = PollFlags::HUP | PollFlags::ERR | or;
    poll(&mut descriptors, Some(&now)).is_ok() && descriptors[0].revents().intersects(gone)
}
