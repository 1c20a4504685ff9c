//! Which process this is.

/// The number of this process: `std::process::id`, asked of the kernel once.
///
/// Each call asks several times, and each time would be a system call. So the number is kept where the kernel wipes it out in a child
/// (`madvise(2)`, `MADV_WIPEONFORK`): however that was made, it has to ask again.
pub(crate) fn id() -> u32 {
    #[cfg(target_os = "linux")]
    if let Some(id) = wiped::id() {
        return id;
    }
    std::process::id()
}

#[cfg(target_os = "linux")]
mod wiped {
    use std::ptr;
    use std::sync::atomic::{AtomicPtr, AtomicU32, Ordering};

    /// Of the mapping: a page, whatever is asked for.
    const SIZE: usize = 1;

    /// `None`: this kernel wipes nothing out.
    pub(super) fn id() -> Option<u32> {
        let known = place()?;
        match known.load(Ordering::Relaxed) {
            0 => {
                let id = std::process::id();
                known.store(id, Ordering::Relaxed);
                Some(id)
            }
            id => Some(id),
        }
    }

    /// A number that is 0 in a child. It is made without a lock, which a child could find held.
    pub(super) fn place() -> Option<&'static AtomicU32> {
        /// Stands for none.
        static NONE: AtomicU32 = AtomicU32::new(0);
        static PLACE: AtomicPtr<AtomicU32> = AtomicPtr::new(ptr::null_mut());
        let none = ptr::from_ref(&NONE).cast_mut();
        let mut place = PLACE.load(Ordering::Acquire);
        if place.is_null() {
            let made = map().unwrap_or(none);
            place = match PLACE.compare_exchange(ptr::null_mut(), made, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => made,
                // Another thread was first; ours stays unused.
                Err(first) => first,
            };
        }
        // SAFETY: it is a static, or was mapped, zero, and is never unmapped.
        if place == none { None } else { Some(unsafe { &*place }) }
    }

    fn map() -> Option<*mut AtomicU32> {
        // SAFETY: a new mapping touches no memory that anybody has; advice is given of that one alone, and an advice that there is none of is refused.
        unsafe {
            let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
            let page = libc::mmap(ptr::null_mut(), SIZE, libc::PROT_READ | libc::PROT_WRITE, flags, -1, 0);
            if page == libc::MAP_FAILED {
                return None;
            }
            // Some emulators take any advice, and heed none.
            let is_heeded = libc::madvise(page, SIZE, -1) != 0 && libc::madvise(page, SIZE, libc::MADV_WIPEONFORK) == 0;
            if !is_heeded {
                libc::munmap(page, SIZE);
                return None;
            }
            Some(page.cast())
        }
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::sync::atomic::Ordering;

    use super::*;

    #[test]
    fn a_child_asks_again() {
        assert_eq!(id(), std::process::id());
        let known = wiped::place().unwrap();
        assert_eq!(known.load(Ordering::Relaxed), std::process::id());
        // SAFETY: the child does nothing that needs a lock, and ends at once.
        let child = unsafe { libc::fork() };
        if child == 0 {
            let is_wiped = known.load(Ordering::Relaxed) == 0 && id() == std::process::id();
            // SAFETY: as above.
            unsafe { libc::_exit(i32::from(!is_wiped)) };
        }
        let mut status = -1;
        // SAFETY: the status is written to until it returns.
        assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
        assert_eq!(status, 0);
        assert_eq!(id(), std::process::id());
    }
}
