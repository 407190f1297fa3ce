// The parent's side.

#define _GNU_SOURCE
#include "CIsolation.h"

#include "sanitizers.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#if defined(__APPLE__)
#include <TargetConditionals.h>
#include <mach-o/dyld.h>
#else
#include <sys/syscall.h>
#endif

#if defined(__APPLE__) && !TARGET_OS_OSX
// Only macOS lets a program start another.
int strata_isolation_start(
    const char *executable, const char *argument, int input, int *socket, pid_t *process) {
  (void)executable, (void)argument, (void)input, (void)socket, (void)process;
  return ENOTSUP;
}
#else

static int spawn(const char *executable, const char *argument, int input, int end, pid_t *process) {
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
  int status = posix_spawn_file_actions_init(&actions);
  if (status) return status;
  status = posix_spawnattr_init(&attributes);
  if (status) {
    posix_spawn_file_actions_destroy(&actions);
    return status;
  }
  // What a sanitizer reports goes where this process reports.
  const int silent = IS_SANITIZED ? 2 : 3;
  if (silent == 2) status = posix_spawn_file_actions_adddup2(&actions, 2, 2);
  for (int stream = 0; !status && stream < silent; stream++)
    status = posix_spawn_file_actions_addopen(
        &actions, stream, "/dev/null", stream ? O_WRONLY : O_RDONLY, 0);
  if (!status) status = posix_spawn_file_actions_adddup2(&actions, input, STRATA_ISOLATION_INPUT);
  if (!status) status = posix_spawn_file_actions_adddup2(&actions, end, STRATA_ISOLATION_SOCKET);

  // Signals as a new program has them, and a group of its own: Control-C is for the parent, which
  // ends its helpers with itself.
  short flags = POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETPGROUP;
#ifdef POSIX_SPAWN_CLOEXEC_DEFAULT
  flags |= POSIX_SPAWN_CLOEXEC_DEFAULT;
#endif
  sigset_t all, none;
  sigfillset(&all);
  sigemptyset(&none);
  // These cannot be set, and some systems say so.
  sigdelset(&all, SIGKILL);
  sigdelset(&all, SIGSTOP);
  if (!status) status = posix_spawnattr_setsigdefault(&attributes, &all);
  if (!status) status = posix_spawnattr_setsigmask(&attributes, &none);
  if (!status) status = posix_spawnattr_setpgroup(&attributes, 0);
  if (!status) status = posix_spawnattr_setflags(&attributes, flags);

  char *arguments[] = {(char *)"strata", (char *)argument, NULL};
  char *environment[] = {
#if IS_SANITIZED
      // What a damaged file makes libhdf5 ask for is not to be had without a sanitizer either.
      (char *)"ASAN_OPTIONS=allocator_may_return_null=1",
      (char *)"TSAN_OPTIONS=allocator_may_return_null=1",
#endif
      NULL};
  if (!status)
    status = posix_spawn(process, executable, &actions, &attributes, arguments, environment);
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&actions);
  return status;
}

int strata_isolation_start(
    const char *executable, const char *argument, int input, int *socket, pid_t *process) {
#if defined(__APPLE__)
  char path[4096];
  uint32_t size = sizeof path;
  if (!executable) {
    if (_NSGetExecutablePath(path, &size)) return ENAMETOOLONG;
    executable = path;
  }
#else
  // The file that runs, also when another one has its name by now.
  if (!executable) executable = "/proc/self/exe";
#endif
  int ends[2] = {-1, -1};
#if defined(SOCK_CLOEXEC)
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends)) return errno;
#else
  if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends)) return errno;
  for (int i = 0; i < 2; i++) fcntl(ends[i], F_SETFD, FD_CLOEXEC);
#endif
  // Room for a whole answer, so that the helper works on the next one while this one is taken; a
  // system that gives less makes it slower only.
  const int room = 1 << 20;
  setsockopt(ends[1], SOL_SOCKET, SO_SNDBUF, &room, sizeof room);
#if defined(SO_NOSIGPIPE)
  int yes = 1;
  setsockopt(ends[0], SOL_SOCKET, SO_NOSIGPIPE, &yes, sizeof yes);
#endif
  // Above the places that they are going to have, so that neither overwrites the other.
  int far_input = fcntl(input, F_DUPFD_CLOEXEC, 16);
  int far_end = fcntl(ends[1], F_DUPFD_CLOEXEC, 16);
  int status = far_input < 0 || far_end < 0 ? errno : 0;
  if (!status) status = spawn(executable, argument, far_input, far_end, process);
  strata_isolation_close(far_input);
  strata_isolation_close(far_end);
  strata_isolation_close(ends[1]);
  if (status) {
    strata_isolation_close(ends[0]);
  } else {
    *socket = ends[0];
  }
  return status;
}
#endif

bool strata_isolation_send(int socket, const void *bytes, size_t count) {
#if defined(MSG_NOSIGNAL)
  const int flags = MSG_NOSIGNAL;
#else
  const int flags = 0;
#endif
  while (count > 0) {
    ssize_t sent = send(socket, bytes, count, flags);
    if (sent < 0 && errno == EINTR) continue;
    if (sent <= 0) return false;
    bytes = (const char *)bytes + sent;
    count -= (size_t)sent;
  }
  return true;
}

ssize_t strata_isolation_receive(int socket, void *bytes, size_t count, int milliseconds) {
  for (;;) {
    struct pollfd wait = {.fd = socket, .events = POLLIN};
    int ready = poll(&wait, 1, milliseconds);
    if (ready < 0 && errno == EINTR) continue;
    if (ready <= 0) return ready < 0 ? -1 : -2;
    ssize_t received = read(socket, bytes, count);
    if (received < 0 && errno == EINTR) continue;
    // A helper that dies with a request unread resets the connection: an end like any other.
    return received < 0 && errno == ECONNRESET ? 0 : received;
  }
}

strata_isolation_end_t strata_isolation_end(int socket, pid_t process, int milliseconds) {
  strata_isolation_close(socket);
  int status = 0;
  pid_t ended;
  for (;;) {
    ended = waitpid(process, &status, WNOHANG);
    if (ended < 0 && errno == EINTR) continue;
    if (ended != 0 || milliseconds-- <= 0) break;
    nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
  }
  if (ended == 0) {
    // It is there and not collected, so that the number is nobody else's.
    kill(process, SIGKILL);
    do ended = waitpid(process, &status, 0);
    while (ended < 0 && errno == EINTR);
  }
  if (ended != process) return (strata_isolation_end_t){.signal = 0, .status = -1};
  return (strata_isolation_end_t){
      .signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0,
      .status = WIFEXITED(status) ? WEXITSTATUS(status) : 0,
  };
}

int strata_isolation_file(const void *bytes, size_t count) {
#if defined(__linux__)
  int file = (int)syscall(SYS_memfd_create, "strata", 1u /* MFD_CLOEXEC */);
#else
  const char *directory = getenv("TMPDIR");
  char path[1024];
  int length = snprintf(path, sizeof path, "%s/strata.XXXXXX", directory ? directory : "/tmp");
  if (length < 0 || (size_t)length >= sizeof path) return -1;
  int file = mkstemp(path);
  if (file >= 0) fcntl(file, F_SETFD, FD_CLOEXEC);
#endif
  if (file < 0) return -1;
  while (count > 0) {
    ssize_t written = write(file, bytes, count);
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) {
      strata_isolation_close(file);
#if !defined(__linux__)
      unlink(path);
#endif
      return -1;
    }
    bytes = (const char *)bytes + written;
    count -= (size_t)written;
  }
#if defined(__linux__)
  // Whoever gets it can read it only.
  char path[32];
  snprintf(path, sizeof path, "/proc/self/fd/%d", file);
  int reading = open(path, O_RDONLY | O_CLOEXEC);
#else
  int reading = open(path, O_RDONLY | O_CLOEXEC);
  unlink(path);
#endif
  strata_isolation_close(file);
  return reading;
}

void strata_isolation_close(int descriptor) {
  if (descriptor >= 0) close(descriptor);
}

const char *strata_isolation_message(int number) { return strerror(number); }
