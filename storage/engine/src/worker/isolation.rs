//! The restrictions of an engine process, applied before it reads its first frame.

use std::{collections::BTreeMap, fs, io};

use nix::{
    libc,
    sys::resource::{Resource, setrlimit},
};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    TargetArch, apply_filter_all_threads,
};

/// The nice value of its threads: they have a lower priority than the node's.
pub(super) const NICE: i32 = 10;
/// Processor time after which the kernel ends the process, in seconds; the node ends it long before that.
const CPU_SECONDS: u64 = 2 * 3600;
/// The kernel's out-of-memory killer chooses this process before any other.
const OOM_SCORE_ADJUSTMENT: &str = "1000";
/// `prctl(2)`: setting the name of a thread and of a memory region.
const PRCTL_OPERATIONS: [u64; 2] = [15, 0x5356_4d41];
/// `fcntl(2)`: reading the flags of a descriptor.
const FCNTL_OPERATIONS: [u64; 2] = [1, 3];

/// The allowed system calls: memory, threads, the clock, open sockets, randomness, exit. None opens a file, a socket or
/// a program; every other call fails with `EPERM`.
const CALLS: &[i64] = &[
    libc::SYS_brk,
    libc::SYS_clock_getres,
    libc::SYS_clock_gettime,
    libc::SYS_clock_nanosleep,
    libc::SYS_clone,
    libc::SYS_clone3,
    libc::SYS_close,
    libc::SYS_epoll_ctl,
    libc::SYS_epoll_pwait,
    libc::SYS_exit,
    libc::SYS_exit_group,
    libc::SYS_futex,
    libc::SYS_getpid,
    libc::SYS_getrandom,
    libc::SYS_gettid,
    libc::SYS_madvise,
    libc::SYS_membarrier,
    libc::SYS_mlock,
    libc::SYS_mmap,
    libc::SYS_mprotect,
    libc::SYS_mremap,
    libc::SYS_munlock,
    libc::SYS_munmap,
    libc::SYS_nanosleep,
    libc::SYS_ppoll,
    libc::SYS_read,
    libc::SYS_readv,
    libc::SYS_recvfrom,
    libc::SYS_restart_syscall,
    libc::SYS_rseq,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_sched_getaffinity,
    libc::SYS_sched_yield,
    libc::SYS_sendto,
    libc::SYS_set_robust_list,
    libc::SYS_shutdown,
    libc::SYS_sigaltstack,
    libc::SYS_tgkill,
    libc::SYS_write,
    libc::SYS_writev,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_epoll_wait,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_poll,
];

/// Closes all descriptors that a library of the node has left open for its children.
///
/// # Errors
/// Errors of the system.
pub(super) fn close_inherited_files() -> io::Result<()> {
    let open: Vec<i32> = fs::read_dir("/proc/self/fd")?
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter(|number| *number > libc::STDERR_FILENO)
        .collect();
    for number in open {
        // The descriptor of the listing itself is already closed.
        let _ = nix::unistd::close(number);
    }
    Ok(())
}

/// Lowers the priority, and disables writing files and core dumps.
///
/// # Errors
/// Errors of the system.
pub(super) fn restrict_resources() -> io::Result<()> {
    // If these two fail, the limits below still apply.
    let _ = fs::write("/proc/self/oom_score_adj", OOM_SCORE_ADJUSTMENT);
    let _ = rustix::process::nice(NICE);
    std::env::set_current_dir("/")?;
    setrlimit(Resource::RLIMIT_CORE, 0, 0)?;
    setrlimit(Resource::RLIMIT_FSIZE, 0, 0)?;
    setrlimit(Resource::RLIMIT_CPU, CPU_SECONDS, CPU_SECONDS)?;
    Ok(())
}

/// The last step, after all threads are started: limits memory to `bytes` beyond what their stacks may use, and system
/// calls to [`CALLS`], for all threads.
///
/// # Errors
/// Errors of the system; the process must not serve queries then.
pub(super) fn apply_limits(bytes: usize) -> io::Result<()> {
    let used = used()?.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidData))?;
    let most = used.saturating_add(u64::try_from(bytes).unwrap_or(u64::MAX));
    setrlimit(Resource::RLIMIT_DATA, most, most)?;
    setrlimit(Resource::RLIMIT_NOFILE, 64, 64)?;
    apply_filter_all_threads(&filter()?).map_err(io::Error::other)
}

/// The memory that already counts against the limit, in bytes: mostly stacks.
fn used() -> io::Result<Option<u64>> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmData:"));
    let kilobytes = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    Ok(kilobytes.map(|kilobytes| kilobytes.saturating_mul(1024)))
}

fn filter() -> io::Result<BpfProgram> {
    let unusable = |error: seccompiler::BackendError| io::Error::other(error);
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> = CALLS.iter().map(|call| (*call, Vec::new())).collect();
    rules.insert(libc::SYS_prctl, only(0, &PRCTL_OPERATIONS).map_err(unusable)?);
    rules.insert(libc::SYS_fcntl, only(1, &FCNTL_OPERATIONS).map_err(unusable)?);
    let denied = SeccompAction::Errno(u32::try_from(libc::EPERM).unwrap_or(1));
    let architecture = TargetArch::try_from(std::env::consts::ARCH).map_err(unusable)?;
    let filter = SeccompFilter::new(rules, denied, SeccompAction::Allow, architecture).map_err(unusable)?;
    BpfProgram::try_from(filter).map_err(unusable)
}

/// One rule for each value that the argument may have.
fn only(argument: u8, values: &[u64]) -> Result<Vec<SeccompRule>, seccompiler::BackendError> {
    let rule = |value: &u64| {
        let equals = SeccompCondition::new(argument, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, *value)?;
        SeccompRule::new(vec![equals])
    };
    values.iter().map(rule).collect()
}
