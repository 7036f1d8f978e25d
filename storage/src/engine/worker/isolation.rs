//! What a process of the engine gives up before it reads its first frame.

use std::{collections::BTreeMap, fs, io};

use nix::{
    libc,
    sys::resource::{Resource, setrlimit},
};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    TargetArch, apply_filter_all_threads,
};

/// How far its threads stand back behind the node's.
pub(super) const NICE: i32 = 10;
/// Processor time after which the kernel ends the process, in seconds; the node ends it long before.
const CPU_SECONDS: u64 = 2 * 3600;
/// The kernel's out-of-memory killer takes this process before any other.
const FIRST_TO_GO: &str = "1000";
/// `prctl(2)`: a thread's name, and the name of a piece of memory.
const NAMES: [u64; 2] = [15, 0x5356_4d41];
/// `fcntl(2)`: what kind of descriptor one is.
const LOOKS: [u64; 2] = [1, 3];

/// System calls that remain: memory, threads, the clock, the sockets that are open, randomness, the end. None opens a file, a socket or
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

/// Closes whatever a library of the node has left open for its children.
///
/// # Errors
/// What the system says.
pub(super) fn close_others() -> io::Result<()> {
    let open: Vec<i32> = fs::read_dir("/proc/self/fd")?
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter(|number| *number > libc::STDERR_FILENO)
        .collect();
    for number in open {
        // The descriptor of the listing itself is closed already.
        let _ = nix::unistd::close(number);
    }
    Ok(())
}

/// Gives up precedence, files and core dumps.
///
/// # Errors
/// What the system says.
pub(super) fn lower() -> io::Result<()> {
    // Where another process may not be preferred, the limits below still hold.
    let _ = fs::write("/proc/self/oom_score_adj", FIRST_TO_GO);
    let _ = rustix::process::nice(NICE);
    std::env::set_current_dir("/")?;
    setrlimit(Resource::RLIMIT_CORE, 0, 0)?;
    setrlimit(Resource::RLIMIT_FSIZE, 0, 0)?;
    setrlimit(Resource::RLIMIT_CPU, CPU_SECONDS, CPU_SECONDS)?;
    Ok(())
}

/// The last step, when all threads stand: no more memory than `bytes` beyond what their stacks may take, and no other system calls than
/// [`CALLS`], for all of them.
///
/// # Errors
/// What the system says; the process must not serve then.
pub(super) fn enclose(bytes: usize) -> io::Result<()> {
    let taken = taken()?.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidData))?;
    let most = taken.saturating_add(u64::try_from(bytes).unwrap_or(u64::MAX));
    setrlimit(Resource::RLIMIT_DATA, most, most)?;
    setrlimit(Resource::RLIMIT_NOFILE, 64, 64)?;
    apply_filter_all_threads(&filter()?).map_err(io::Error::other)
}

/// What counts against the limit on memory so far, in bytes: for the most part stacks.
fn taken() -> io::Result<Option<u64>> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmData:"));
    let kilobytes = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    Ok(kilobytes.map(|kilobytes| kilobytes.saturating_mul(1024)))
}

fn filter() -> io::Result<BpfProgram> {
    let unusable = |error: seccompiler::BackendError| io::Error::other(error);
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> = CALLS.iter().map(|call| (*call, Vec::new())).collect();
    rules.insert(libc::SYS_prctl, only(0, &NAMES).map_err(unusable)?);
    rules.insert(libc::SYS_fcntl, only(1, &LOOKS).map_err(unusable)?);
    let denied = SeccompAction::Errno(u32::try_from(libc::EPERM).unwrap_or(1));
    let here = TargetArch::try_from(std::env::consts::ARCH).map_err(unusable)?;
    let filter = SeccompFilter::new(rules, denied, SeccompAction::Allow, here).map_err(unusable)?;
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
