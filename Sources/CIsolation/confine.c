// The helper's side.

#define _GNU_SOURCE
#include "CIsolation.h"

#include "sanitizers.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#if defined(__linux__)
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#endif

const char *strata_isolation_input_path(void) {
#if defined(__linux__)
  return "/proc/self/fd/3";
#else
  return "/dev/fd/3";
#endif
}

static bool limit(int resource, uint64_t most) {
  return setrlimit(resource, &(struct rlimit){.rlim_cur = most, .rlim_max = most}) == 0;
}

#if defined(__linux__)

// Landlock, as of the kernel's Documentation/userspace-api/landlock.rst. The headers of the C
// library may know an older version than the kernel does.
struct ruleset {
  uint64_t files, network, scopes;
};
enum { CREATE_RULESET = 444, RESTRICT_SELF = 446 };

// No file can be opened, no TCP, no signal to anybody else: all rights are ruled, and no rule gives
// one.
static int restrict_files(void) {
  long version = syscall(CREATE_RULESET, NULL, 0, 1u /* the version */);
  if (version < 0) return errno == ENOSYS || errno == EOPNOTSUPP ? 0 : -1;
  struct ruleset all = {
      // Every right of the version: 13 in the first, then refer, truncate, and ioctl on devices.
      .files = version >= 5 ? 0xffff : version >= 3 ? 0x7fff : version >= 2 ? 0x3fff : 0x1fff,
      .network = version >= 4 ? 3 : 0,
      .scopes = version >= 6 ? 3 : 0,
  };
  size_t size = version >= 6 ? 24 : version >= 4 ? 16 : 8;
  int rules = (int)syscall(CREATE_RULESET, &all, size, 0);
  if (rules < 0) return -1;
  bool is_done = syscall(RESTRICT_SELF, rules, 0) == 0;
  close(rules);
  if (!is_done) return -1;
  return STRATA_ISOLATION_FILES | (version >= 4 ? STRATA_ISOLATION_NETWORK : 0);
}

// What is needed to read a file, to have memory, and to end. All else is refused with EPERM.
static const int calls[] = {
    SYS_read, SYS_write, SYS_pread64, SYS_readv, SYS_lseek, SYS_close, SYS_fstat,
    SYS_flock, SYS_munmap, SYS_mremap, SYS_madvise, SYS_brk, SYS_futex, SYS_sched_yield,
    SYS_clock_gettime, SYS_clock_nanosleep, SYS_getrandom, SYS_getpid, SYS_gettid,
    SYS_rt_sigaction, SYS_rt_sigprocmask, SYS_rt_sigreturn, SYS_restart_syscall, SYS_exit,
    SYS_exit_group,
};

#if defined(__x86_64__)
#define ARCHITECTURE AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define ARCHITECTURE AUDIT_ARCH_AARCH64
#endif

#if defined(ARCHITECTURE) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__

#define OFFSET(field) ((uint32_t)offsetof(struct seccomp_data, field))
#define LOAD(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, OFFSET(field))
// Of an argument the lower half, which is all that the kernel looks at where it takes an int.
#define ALLOW BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)
#define REFUSE BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM)
// The next `count` instructions are for this call.
#define FOR(call, count) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)(call), 0, count)

static int restrict_calls(void) {
  const struct sock_filter head[] = {
      LOAD(arch),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ARCHITECTURE, 1, 0),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
      LOAD(nr),
      // Memory, but no code.
      FOR(SYS_mmap, 4), LOAD(args[2]), BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, PROT_EXEC, 1, 0),
      ALLOW, REFUSE,
      FOR(SYS_mprotect, 4), LOAD(args[2]), BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, PROT_EXEC, 1, 0),
      ALLOW, REFUSE,
      // abort() signals the process itself; nobody else may be.
      FOR(SYS_tgkill, 4), LOAD(args[0]),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)getpid(), 0, 1), ALLOW, REFUSE,
      // What a descriptor is, but nobody to be signalled because of it.
      FOR(SYS_fcntl, 5), LOAD(args[1]), BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, F_GETFL, 1, 0),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, F_GETFD, 0, 1), ALLOW, REFUSE,
      // Its own limits. That of processor time is renewed with every request; whoever has taken the
      // process over could renew it too, until the parent loses patience.
      FOR(SYS_prlimit64, 4), LOAD(args[0]), BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 1), ALLOW,
      REFUSE,
  };
  enum { heads = sizeof head / sizeof *head, count = sizeof calls / sizeof *calls };
  struct sock_filter filter[heads + 2 * count + 1];
  size_t end = 0;
  while (end < heads) filter[end] = head[end], end++;
  for (size_t i = 0; i < count; i++) {
    filter[end++] = (struct sock_filter)FOR(calls[i], 1);
    filter[end++] = (struct sock_filter)ALLOW;
  }
  filter[end++] = (struct sock_filter)REFUSE;
  struct sock_fprog program = {.len = (unsigned short)end, .filter = filter};
  if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0) == 0)
    return STRATA_ISOLATION_CALLS | STRATA_ISOLATION_NETWORK;
  return errno == EINVAL || errno == ENOSYS ? 0 : -1;
}

#else
static int restrict_calls(void) { return 0; }
#endif

// Descriptors that a parent forgot to close at exec.
static void close_others(void) {
  const unsigned first = STRATA_ISOLATION_SOCKET + 1;
  if (syscall(436 /* close_range */, first, ~0u, 0) == 0) return;
  for (int other = (int)first; other < 1024; other++) close(other);
}

#else
static int restrict_files(void) { return 0; }
static int restrict_calls(void) { return 0; }
static void close_others(void) {}
#endif

bool strata_isolation_is_helper(void) {
  struct stat input, socket;
  if (fstat(STRATA_ISOLATION_INPUT, &input) || !S_ISREG(input.st_mode)) return false;
  if (fstat(STRATA_ISOLATION_SOCKET, &socket) || !S_ISSOCK(socket.st_mode)) return false;
  close_others();
  // A runtime may have set handlers that start a debugger: a signal is an end, and nothing else.
  static const int faults[] = {SIGQUIT, SIGILL, SIGTRAP, SIGABRT, SIGBUS, SIGFPE, SIGSEGV, SIGSYS};
  for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) signal(faults[i], SIG_DFL);
  return true;
}

int strata_isolation_confine(uint64_t memory) {
  bool is_limited = limit(RLIMIT_CORE, 0) && limit(RLIMIT_FSIZE, 0);
#if defined(__APPLE__)
  // A process has more addresses than that from its start, for good.
  (void)memory;
#else
  // The sanitizers reserve terabytes of addresses, and open files of their own.
  if (!NEEDS_ROOM) is_limited = is_limited && limit(RLIMIT_AS, memory);
#endif
#if defined(__linux__)
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)) return -1;
#endif
  int files = restrict_files();
  if (files < 0 || !is_limited) return -1;
  // No further descriptor: where there is no Landlock, this still stops every open.
  if (!NEEDS_ROOM && !limit(RLIMIT_NOFILE, 0)) return -1;
  int system_calls = NEEDS_ROOM ? 0 : restrict_calls();
  return system_calls < 0 ? -1 : files | system_calls;
}

void strata_isolation_allow(uint64_t seconds) {
  struct timespec used = {0};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
  struct rlimit time;
  if (getrlimit(RLIMIT_CPU, &time)) return;
  // The kernel counts whole seconds.
  time.rlim_cur = (rlim_t)used.tv_sec + 1 + seconds;
  if (time.rlim_max != RLIM_INFINITY && time.rlim_cur > time.rlim_max)
    time.rlim_cur = time.rlim_max;
  setrlimit(RLIMIT_CPU, &time);
}

bool strata_isolation_take(void *bytes, size_t count) {
  while (count > 0) {
    ssize_t taken = read(STRATA_ISOLATION_SOCKET, bytes, count);
    if (taken < 0 && errno == EINTR) continue;
    if (taken <= 0) return false;
    bytes = (char *)bytes + taken;
    count -= (size_t)taken;
  }
  return true;
}

bool strata_isolation_give(const void *bytes, size_t count) {
  while (count > 0) {
    ssize_t given = write(STRATA_ISOLATION_SOCKET, bytes, count);
    if (given < 0 && errno == EINTR) continue;
    if (given <= 0) return false;
    bytes = (const char *)bytes + given;
    count -= (size_t)given;
  }
  return true;
}

void strata_isolation_leave(void) { _exit(0); }
