//! Memory of an idle server.
//!
//! Most of what a process of this program occupies are pages of its file: the kernel maps 64 KiB around each function that
//! runs once at start. While the server is idle, these pages are given back; the next request reads those that it needs
//! from the cache of the kernel again. So is the freed memory of small work; that of large work is returned at once (`MemoryBudget`).
//! Unpacked metadata and what other caches hold is given back after two minutes without work.

/// Gives pages of the program and freed memory back whenever the server is idle. To be called in the async runtime.
#[cfg(not(target_os = "linux"))]
pub(crate) fn watch() {}

#[cfg(target_os = "linux")]
pub(crate) use linux::watch;

#[cfg(target_os = "linux")]
mod linux {
    use std::ffi::c_void;
    use std::ptr;
    use std::time::Duration;

    use healthimaging::MemoryBudget;
    use rustix::mm::{Advice, madvise};
    use rustix::time::{ClockId, clock_gettime};

    /// Pause between looks at a server that works. It doubles while the server is idle.
    const BUSY_PAUSE: Duration = Duration::from_millis(250);

    /// Longest pause between looks at a server that is idle.
    const IDLE_PAUSE: Duration = Duration::from_mins(1);

    /// Processor time between two looks up to which the server is idle.
    const IDLE_TIME: Duration = Duration::from_millis(2);

    /// Gives pages of the program and freed memory back whenever the server is idle. To be called in the async runtime.
    pub(crate) fn watch() {
        tokio::spawn(async {
            let mut pause = BUSY_PAUSE;
            let mut before = processor_time();
            loop {
                tokio::time::sleep(pause).await;
                let now = processor_time();
                let was_busy = now.saturating_sub(before) > IDLE_TIME;
                before = now;
                if was_busy {
                    pause = BUSY_PAUSE;
                    continue;
                }
                if pause == IDLE_PAUSE {
                    healthimaging_workflows::document::forget();
                    MemoryBudget::process().empty_caches();
                }
                // Again at each look: upkeep reads some of them now and then.
                let _ = tokio::task::spawn_blocking(release).await;
                pause = IDLE_PAUSE.min(pause * 2);
            }
        });
    }

    /// Processor time of this process.
    fn processor_time() -> Duration {
        clock_gettime(ClockId::ProcessCPUTime).try_into().unwrap_or_default()
    }

    /// Gives back freed memory, and the pages of code: of the program and of its libraries.
    fn release() {
        healthimaging_pixels::return_freed_memory();
        let Ok(maps) = std::fs::read_to_string("/proc/self/maps") else { return };
        for (start, length) in maps.lines().filter_map(code) {
            let address = ptr::with_exposed_provenance_mut::<c_void>(start);
            #[expect(unsafe_code, reason = "advice about memory is unsafe in general")]
            // SAFETY: the mapping is executable, not writable, and of a file: what is read from it next is the content of
            // the file again, which is what it was before.
            let _ = unsafe { madvise(address, length, Advice::LinuxDontNeed) };
        }
    }

    /// The start and the length of a mapping of code from a file, from a line of `/proc/self/maps` (`proc_pid_maps(5)`).
    fn code(line: &str) -> Option<(usize, usize)> {
        let (range, rest) = line.split_once(' ')?;
        if !rest.starts_with("r-xp ") || !rest.contains('/') {
            return None;
        }
        let (start, end) = range.split_once('-')?;
        let start = usize::from_str_radix(start, 16).ok()?;
        let end = usize::from_str_radix(end, 16).ok()?;
        Some((start, end.checked_sub(start)?))
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn only_code_of_files_is_given_back() {
            let line = "55d0c2a00000-55d0c2a21000 r-xp 00021000 fd:01 1234  /usr/bin/a program";
            assert_eq!(code(line), Some((0x55d0_c2a0_0000, 0x2_1000)));
            for other in [
                "55d0c2a21000-55d0c2a30000 r--p 00042000 fd:01 1234  /usr/bin/program",
                "55d0c2a21000-55d0c2a30000 rwxp 00042000 fd:01 1234  /usr/bin/program",
                "7ffd1d1f2000-7ffd1d1f4000 r-xp 00000000 00:00 0  [vdso]",
                "",
            ] {
                assert_eq!(code(other), None, "{other}");
            }
        }

        #[test]
        fn a_program_works_on_after_its_pages_are_given_back() {
            release();
            let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
            assert!(maps.lines().filter_map(code).count() > 1, "{maps}");
        }
    }
}
