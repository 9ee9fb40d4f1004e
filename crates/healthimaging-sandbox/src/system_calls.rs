//! The system calls that decoding needs; any other ends the process.

use std::collections::BTreeMap;

use libc::c_long;
use seccompiler::{
    BpfProgram, Error, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition,
    SeccompFilter, SeccompRule, apply_filter,
};

/// Pipes, memory, time, signals of its own, and the end.
const NEEDED: &[c_long] = &[
    libc::SYS_brk,
    libc::SYS_clock_gettime,
    libc::SYS_close,
    libc::SYS_exit,
    libc::SYS_exit_group,
    libc::SYS_futex,
    libc::SYS_getpid,
    libc::SYS_getrandom,
    libc::SYS_gettid,
    libc::SYS_madvise,
    libc::SYS_mmap,
    libc::SYS_mprotect,
    libc::SYS_mremap,
    libc::SYS_munmap,
    libc::SYS_read,
    libc::SYS_restart_syscall,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_sched_getaffinity,
    libc::SYS_sched_yield,
    libc::SYS_sigaltstack,
    // The C library's sort reads the amount of memory.
    libc::SYS_sysinfo,
    libc::SYS_write,
    libc::SYS_writev,
];

/// The signal that a refused system call ends a process with.
pub(crate) const REFUSED: i32 = libc::SIGSYS;

/// Gives up all other system calls for good. Making one of them ends the process with
/// [`REFUSED`], so that a codec that needs more is noticed and the frame is not blamed.
///
/// # Errors
/// The kernel may have no filters, or this machine may be of another kind.
pub(crate) fn give_up() -> Result<(), Error> {
    let first_is = |value: u64| {
        let condition = SeccompCondition::new(0, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, value)?;
        Ok::<_, Error>(vec![SeccompRule::new(vec![condition])?])
    };
    let mut rules: BTreeMap<_, _> = NEEDED.iter().map(|call| (*call, Vec::new())).collect();
    // Limits and signals of this process only, not those of a neighbor: to abort is to send a signal.
    rules.insert(libc::SYS_prlimit64, first_is(0)?);
    rules.insert(libc::SYS_tgkill, first_is(std::process::id().into())?);
    rules.insert(libc::SYS_tkill, first_is(std::process::id().into())?);
    let filter = SeccompFilter::new(
        rules,
        SeccompAction::Trap,
        SeccompAction::Allow,
        std::env::consts::ARCH.try_into()?,
    )?;
    apply_filter(&BpfProgram::try_from(filter)?)
}
