import type { SeccompProfile, SeccompRule } from './profile.ts'

/**
 * What RuntimeDefault means: a list of what is allowed, the rest fails with EPERM. It is equal in effect to containerd's
 * default, so that no workload behaves otherwise here: docs/decisions/0010-seccomp-profile.md, hack/compare-seccomp.
 *
 * Left out with a reason: io_uring (its requests pass no filter), userfaultfd (it makes races in the kernel easy to win),
 * keyrings (not divided by namespaces), kexec, swap, quota and accounting of the host, and what is there for old programs only.
 */
const always: readonly SeccompRule[] = [
  // Open, read and write files: the file system's own permissions decide.
  allow(`open openat openat2 creat close close_range read readv pread64 preadv preadv2 write writev pwrite64 pwritev
    pwritev2 lseek _llseek fcntl fcntl64 flock dup dup2 dup3 readahead fadvise64 fadvise64_64 fallocate truncate
    truncate64 ftruncate ftruncate64 ioctl`),
  // Copy between files and pipes within the kernel.
  allow('copy_file_range sendfile sendfile64 splice tee vmsplice pipe pipe2'),
  // Put on disk.
  allow('sync syncfs fsync fdatasync sync_file_range msync'),
  // Walk and change directories. Nodes that mknod makes are of use only where the device cgroup lets them be opened.
  allow(`chdir fchdir getcwd getdents getdents64 mkdir mkdirat rmdir mknod mknodat link linkat symlink symlinkat readlink
    readlinkat unlink unlinkat rename renameat renameat2`),
  // Look at what a file is, and change whose it is. A handle made by name_to_handle_at opens nothing without a capability.
  allow(`stat stat64 fstat fstat64 lstat lstat64 newfstatat fstatat64 statx statfs statfs64 fstatfs fstatfs64 access
    faccessat faccessat2 chmod fchmod fchmodat fchmodat2 chown chown32 fchown fchown32 fchownat lchown lchown32 umask
    utime utimes futimesat utimensat utimensat_time64 name_to_handle_at`),
  allow(`getxattr getxattrat lgetxattr fgetxattr setxattr setxattrat lsetxattr fsetxattr listxattr listxattrat llistxattr
    flistxattr removexattr removexattrat lremovexattr fremovexattr`),
  // See the mounts of one's own namespace.
  allow('listmount statmount'),
  // Be told of changes to files; fanotify needs a group, which only fanotify_init makes.
  allow('inotify_init inotify_init1 inotify_add_watch inotify_rm_watch fanotify_mark'),
  // Wait for many things at once.
  allow(`poll ppoll ppoll_time64 select _newselect pselect6 pselect6_time64 epoll_create epoll_create1 epoll_ctl
    epoll_ctl_old epoll_wait epoll_wait_old epoll_pwait epoll_pwait2 eventfd eventfd2`),
  // Asynchronous I/O of old, whose requests are what the calls above do.
  allow('io_setup io_destroy io_submit io_cancel io_getevents io_pgetevents io_pgetevents_time64'),
  // A process's own memory.
  allow(`brk mmap mmap2 mremap munmap mprotect madvise mincore mlock mlock2 mlockall munlock munlockall mseal
    map_shadow_stack remap_file_pages memfd_create memfd_secret pkey_alloc pkey_free pkey_mprotect membarrier`),
  // Make processes (clone has rules of its own below), run programs in them, and await their end.
  allow(`fork vfork execve execveat exit exit_group wait4 waitid waitpid set_tid_address set_robust_list get_robust_list
    rseq restart_syscall prctl set_thread_area get_thread_area process_mrelease pidfd_open uretprobe`),
  // Threads wait for each other.
  allow('futex futex_time64 futex_wait futex_waitv futex_wake futex_requeue'),
  // Signals reach only what the PID namespace shows.
  allow(`kill tkill tgkill pidfd_send_signal rt_sigqueueinfo rt_tgsigqueueinfo rt_sigaction rt_sigpending rt_sigprocmask
    rt_sigreturn rt_sigsuspend rt_sigtimedwait rt_sigtimedwait_time64 sigaltstack sigprocmask sigreturn signalfd
    signalfd4 pause`),
  // Who a process is. Becoming another user takes a capability, which the kernel checks.
  allow(`getpid getppid gettid getpgid getpgrp setpgid getsid setsid getuid getuid32 geteuid geteuid32 getgid getgid32
    getegid getegid32 getgroups getgroups32 getresuid getresuid32 getresgid getresgid32 setuid setuid32 setgid setgid32
    setgroups setgroups32 setreuid setreuid32 setregid setregid32 setresuid setresuid32 setresgid setresgid32 setfsuid
    setfsuid32 setfsgid setfsgid32 capget capset`),
  // Clocks and timers: to set the clock takes CAP_SYS_TIME; adjtimex and clock_adjtime without it only read.
  allow(`time gettimeofday clock_gettime clock_gettime64 clock_getres clock_getres_time64 clock_nanosleep
    clock_nanosleep_time64 nanosleep adjtimex clock_adjtime clock_adjtime64 alarm getitimer setitimer timer_create
    timer_delete timer_getoverrun timer_gettime timer_gettime64 timer_settime timer_settime64 timerfd_create
    timerfd_gettime timerfd_gettime64 timerfd_settime timerfd_settime64 times`),
  // Scheduling and limits of one's own processes, within what limits and cgroups leave.
  allow(`sched_yield sched_getaffinity sched_setaffinity sched_getattr sched_setattr sched_getparam sched_setparam
    sched_getscheduler sched_setscheduler sched_get_priority_max sched_get_priority_min sched_rr_get_interval
    sched_rr_get_interval_time64 getpriority setpriority ioprio_get ioprio_set getrlimit ugetrlimit setrlimit prlimit64
    getrusage getcpu`),
  // What machine this is, and random numbers.
  allow('uname sysinfo getrandom cachestat'),
  // Sockets that are there: the network namespace decides where they lead. socketcall's arguments lie behind a pointer.
  allow(`socketpair socketcall bind listen accept accept4 connect shutdown getsockname getpeername getsockopt setsockopt
    send sendto sendmsg sendmmsg recv recvfrom recvmsg recvmmsg recvmmsg_time64`),
  // IPC of System V and message queues: of one's IPC namespace.
  allow(`ipc msgctl msgget msgrcv msgsnd semctl semget semop semtimedop semtimedop_time64 shmat shmctl shmdt shmget
    mq_open mq_unlink mq_notify mq_getsetattr mq_timedreceive mq_timedreceive_time64 mq_timedsend mq_timedsend_time64`),
  // To confine oneself further.
  allow(`seccomp landlock_create_ruleset landlock_add_rule landlock_restrict_self lsm_get_self_attr lsm_set_self_attr
    lsm_list_modules`),
]

const AF_ALG = 38n
const AF_NFC = 39n
/** AF_KCM, AF_QIPCRTR, AF_SMC, AF_XDP and AF_MCTP, the last one there was in 2026. */
const AFTER_VSOCK = [41n, 42n, 43n, 44n, 45n]

/**
 * New sockets of every family there was but two: AF_ALG (38) opens the kernel's cryptography to everybody and has had
 * holes, AF_VSOCK (40) reaches virtual machines by a number that no network namespace divides. Families to come must be added.
 */
const sockets: readonly SeccompRule[] = [
  { ...allow('socket'), args: [{ index: 0, op: 'SCMP_CMP_LT', value: AF_ALG }] },
  ...[AF_NFC, ...AFTER_VSOCK].map(
    (family): SeccompRule => ({
      ...allow('socket'),
      args: [{ index: 0, op: 'SCMP_CMP_EQ', value: family }],
    }),
  ),
]

/** PER_LINUX, PER_LINUX32, both with UNAME26, and the question (-1); others switch off protections of the kernel. */
const personalities = [0n, 0x8n, 0x20000n, 0x20008n, 0xffffffffn].map(
  (value): SeccompRule => ({
    ...allow('personality'),
    args: [{ index: 0, op: 'SCMP_CMP_EQ', value }],
  }),
)

const NEW_NAMESPACES =
  0x00020000n | // CLONE_NEWNS
  0x02000000n | // CLONE_NEWCGROUP
  0x04000000n | // CLONE_NEWUTS
  0x08000000n | // CLONE_NEWIPC
  0x10000000n | // CLONE_NEWUSER
  0x20000000n | // CLONE_NEWPID
  0x40000000n // CLONE_NEWNET
const ENOSYS = 38

const CAP_SYS_ADMIN = { capabilities: ['CAP_SYS_ADMIN'] }

/** clone with no new namespace; s390 has its flags second. */
const cloneWithFlagsAt = (index: number): SeccompRule => ({
  ...allow('clone'),
  args: [{ index, op: 'SCMP_CMP_MASKED_EQ', value: NEW_NAMESPACES, valueTwo: 0n }],
})
const processes: readonly SeccompRule[] = [
  { ...cloneWithFlagsAt(0), excludes: { ...CAP_SYS_ADMIN, architectures: ['s390x'] } },
  { ...cloneWithFlagsAt(1), includes: { architectures: ['s390x'] }, excludes: CAP_SYS_ADMIN },
  // Its flags lie behind a pointer: with ENOSYS C libraries fall back to clone.
  { names: ['clone3'], action: 'SCMP_ACT_ERRNO', errno: ENOSYS, args: [], excludes: CAP_SYS_ADMIN },
  // Before 4.8 ptrace could change a system call after the filter had seen it. Whom it reaches the kernel checks.
  { ...allow('ptrace process_vm_readv process_vm_writev'), includes: { minKernel: [4, 8] } },
]

/** What only one machine has. */
const machines: readonly SeccompRule[] = [
  on('amd64', 'arch_prctl modify_ldt'),
  on('arm64', 'arm_fadvise64_64 arm_sync_file_range sync_file_range2 breakpoint cacheflush set_tls'),
  on('ppc64le', 'sync_file_range2 swapcontext'),
  on('riscv64', 'riscv_flush_icache riscv_hwprobe'),
  on('s390x', 's390_pci_mmio_read s390_pci_mmio_write s390_runtime_instr'),
]

/** What a container may that was given the capability for it: without the calls it would be of no use. */
const byCapability: readonly SeccompRule[] = [
  // Mounts, namespaces and the names of the host; tracing and programs in the kernel.
  withCapability(
    'CAP_SYS_ADMIN',
    `mount umount umount2 mount_setattr move_mount open_tree fsopen fsconfig fsmount fspick unshare setns clone clone3
    sethostname setdomainname bpf perf_event_open fanotify_init lookup_dcookie quotactl quotactl_fd syslog`,
  ),
  withCapability('CAP_BPF', 'bpf'),
  withCapability('CAP_DAC_READ_SEARCH', 'open_by_handle_at'),
  withCapability('CAP_PERFMON', 'perf_event_open'),
  withCapability('CAP_SYSLOG', 'syslog'),
  withCapability('CAP_SYS_BOOT', 'reboot'),
  withCapability('CAP_SYS_CHROOT', 'chroot'),
  withCapability('CAP_SYS_MODULE', 'init_module finit_module delete_module'),
  withCapability('CAP_SYS_NICE', 'mbind get_mempolicy set_mempolicy set_mempolicy_home_node'),
  withCapability('CAP_SYS_PACCT', 'acct'),
  withCapability(
    'CAP_SYS_PTRACE',
    'ptrace process_vm_readv process_vm_writev process_madvise kcmp pidfd_getfd',
  ),
  withCapability('CAP_SYS_RAWIO', 'ioperm iopl'),
  withCapability('CAP_SYS_TIME', 'settimeofday stime clock_settime clock_settime64'),
  withCapability('CAP_SYS_TTY_CONFIG', 'vhangup'),
]

export const defaultSeccompProfile: SeccompProfile = {
  defaultAction: 'SCMP_ACT_ERRNO',
  architectures: [],
  // The smaller machines that a kernel runs programs of: left out, all their calls would kill.
  architecturesOf: {
    SCMP_ARCH_X86_64: ['SCMP_ARCH_X86_64', 'SCMP_ARCH_X86', 'SCMP_ARCH_X32'],
    SCMP_ARCH_AARCH64: ['SCMP_ARCH_AARCH64', 'SCMP_ARCH_ARM'],
    SCMP_ARCH_S390X: ['SCMP_ARCH_S390X', 'SCMP_ARCH_S390'],
    SCMP_ARCH_RISCV64: ['SCMP_ARCH_RISCV64'],
    SCMP_ARCH_LOONGARCH64: ['SCMP_ARCH_LOONGARCH64'],
  },
  flags: [],
  rules: [...always, ...sockets, ...personalities, ...processes, ...machines, ...byCapability],
}

function allow(names: string): SeccompRule {
  return { names: names.split(/\s+/), action: 'SCMP_ACT_ALLOW', args: [] }
}

function on(architecture: string, names: string): SeccompRule {
  return { ...allow(names), includes: { architectures: [architecture] } }
}

function withCapability(name: string, names: string): SeccompRule {
  return { ...allow(names), includes: { capabilities: [name] } }
}
