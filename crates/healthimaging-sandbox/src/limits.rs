//! What a child gives up before its first frame, and its limits for each frame.

use std::io;

use crate::allowance::Allowance;

/// Seconds of processor time that any frame may take, more than any server waits.
const ANY_FRAME: u64 = 60;

/// Limits that hold in this process.
#[derive(Debug)]
pub(crate) struct Limits(());

#[cfg(unix)]
impl Limits {
    /// Gives up files, core dumps and further processes, for good.
    pub(crate) fn enter() -> io::Result<Self> {
        use rustix::process::{Resource, Rlimit, setrlimit};
        let none = |resource, most| {
            let limit = Rlimit { current: Some(most), maximum: Some(most) };
            setrlimit(resource, limit)
        };
        none(Resource::Core, 0)?;
        none(Resource::Fsize, 0)?;
        // The two pipes and stderr are open already.
        none(Resource::Nofile, 3)?;
        none(Resource::Nproc, 0)?;
        // The first use of the clock looks up its address in the system.
        processor_seconds();
        // Some kernels and containers have no filters; the limits hold without.
        #[cfg(target_os = "linux")]
        let _ = crate::system_calls::give_up();
        Ok(Self(()))
    }

    /// Limits the memory of decoding. The server stops a child that takes too long;
    /// the limit of processor time is for a child whose server is gone.
    #[expect(clippy::unused_self, reason = "only a process that entered may be limited so")]
    pub(crate) fn allow(&self, allowance: &Allowance) -> io::Result<()> {
        use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
        let soft = |resource, current: u64| {
            let maximum = getrlimit(resource).maximum;
            let current = Some(maximum.map_or(current, |most| most.min(current)));
            setrlimit(resource, Rlimit { current, maximum })
        };
        soft(Resource::Data, allowance.memory)?;
        let most = processor_seconds().saturating_add(allowance.seconds).saturating_add(ANY_FRAME);
        soft(Resource::Cpu, most)?;
        Ok(())
    }
}

/// Seconds of processor time that this process has taken.
#[cfg(unix)]
fn processor_seconds() -> u64 {
    use rustix::time::{ClockId, clock_gettime};
    u64::try_from(clock_gettime(ClockId::ProcessCPUTime).tv_sec).unwrap_or_default()
}

#[cfg(not(unix))]
impl Limits {
    /// On this system the server has withheld all there is to give up.
    pub(crate) fn enter() -> io::Result<Self> {
        Ok(Self(()))
    }

    /// Time is the server's to watch.
    pub(crate) fn allow(&self, _: &Allowance) -> io::Result<()> {
        Ok(())
    }
}
