// Preloaded before the C library: makes one call fail, changes the input under the reader, or notes
// what is written. Only files below FAULT_DIR count. Linux.
//
//   FAULT_CALL   create open read write sync close rename link reserve truncate chmod
//   FAULT_AT     which call of that kind, from 1; with FAULT_STAYS all from there on
//   FAULT_KIND   an error's name; "short": half of the bytes; "cut", "change": the file FAULT_INPUT
//                loses its second half, or has a byte of its data changed, and the call goes on
//   FAULT_MARK   a file that is made when the call came
//   FAULT_LOG    a file that gets a line for every change of a file or a directory
//
// open is for reading, create for writing. A descriptor is closed even when its close fails.

#define _GNU_SOURCE

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { most_descriptors = 4096 };

static const char *directory, *call, *kind, *mark, *input;
static long wanted;
static int stays;
static int record = -1;
static atomic_long seen;
static unsigned char tracked[most_descriptors];
static pthread_mutex_t order = PTHREAD_MUTEX_INITIALIZER;

__attribute__((constructor)) static void start(void) {
  directory = getenv("FAULT_DIR");
  call = getenv("FAULT_CALL");
  kind = getenv("FAULT_KIND");
  mark = getenv("FAULT_MARK");
  input = getenv("FAULT_INPUT");
  wanted = getenv("FAULT_AT") ? atol(getenv("FAULT_AT")) : 0;
  stays = getenv("FAULT_STAYS") != NULL;
  const char *log = getenv("FAULT_LOG");
  if (log) record = syscall(SYS_openat, AT_FDCWD, log, O_WRONLY | O_CREAT | O_APPEND, 0600);
}

// The next definition of a function, the C library's own.
#define NEXT(name) \
  static typeof(&name) next; \
  if (!next) next = (typeof(&name))dlsym(RTLD_NEXT, #name)

static int counts(const char *path) {
  return directory && strncmp(path, directory, strlen(directory)) == 0;
}

static int is_tracked(int descriptor) {
  return descriptor >= 0 && descriptor < most_descriptors && tracked[descriptor];
}

static void change_input(void) {
  int file = syscall(SYS_openat, AT_FDCWD, input, O_RDWR);
  off_t count = lseek(file, 0, SEEK_END);
  if (strcmp(kind, "cut") == 0) {
    syscall(SYS_ftruncate, file, count / 2);
  } else {
    unsigned char byte;
    off_t place = count / 4 * 3;
    syscall(SYS_pread64, file, &byte, 1, place);
    byte ^= 0x10;
    syscall(SYS_pwrite64, file, &byte, 1, place);
  }
  syscall(SYS_close, file);
}

// Whether this call is one that is to fail; then errno is set.
static int fails(const char *name) {
  if (!call || strcmp(call, name) != 0) return 0;
  long number = atomic_fetch_add(&seen, 1) + 1;
  if (number != wanted && !(stays && number > wanted)) return 0;
  if (mark) syscall(SYS_close, syscall(SYS_openat, AT_FDCWD, mark, O_WRONLY | O_CREAT, 0600));
  static const struct { const char *name; int number; } errors[] = {
    {"ENOSPC", ENOSPC}, {"EIO", EIO}, {"EINTR", EINTR}, {"EDQUOT", EDQUOT}, {"EMFILE", EMFILE},
    {"EACCES", EACCES}, {"EINVAL", EINVAL}, {"EPERM", EPERM}, {"EOPNOTSUPP", EOPNOTSUPP}};
  for (size_t i = 0; i < sizeof errors / sizeof errors[0]; ++i) {
    if (strcmp(kind, errors[i].name) == 0) {
      errno = errors[i].number;
      return 1;
    }
  }
  if (strcmp(kind, "short") == 0) return 2;
  change_input();
  return 0;
}

// MARK: The record

__attribute__((format(printf, 1, 2))) static void note(const char *format, ...) {
  if (record < 0) return;
  char line[8192];
  va_list values;
  va_start(values, format);
  int count = vsnprintf(line, sizeof line, format, values);
  va_end(values);
  syscall(SYS_write, record, line, count);
}

static unsigned long inode(int descriptor) {
  struct stat status;
  fstat(descriptor, &status);
  return status.st_ino;
}

static void note_bytes(int descriptor, const unsigned char *bytes, ssize_t count, off_t offset) {
  if (record < 0 || count <= 0) return;
  char *line = malloc(2 * count + 64);
  int end = sprintf(line, "write %lu %lld ", inode(descriptor), (long long)offset);
  for (ssize_t i = 0; i < count; ++i) end += sprintf(line + end, "%02x", bytes[i]);
  line[end++] = '\n';
  syscall(SYS_write, record, line, end);
  free(line);
}

// MARK: Opening and closing

static int track(int descriptor, const char *path, int flags) {
  if (descriptor >= 0 && descriptor < most_descriptors) {
    tracked[descriptor] = counts(path);
    struct stat status;
    if (tracked[descriptor] && record >= 0 && fstat(descriptor, &status) == 0) {
      const char *word =
          S_ISDIR(status.st_mode) ? "directory" : flags & O_CREAT ? "create" : "open";
      note("%s %lu %s\n", word, (unsigned long)status.st_ino, path);
      if (flags & O_TRUNC) note("truncate %lu 0\n", (unsigned long)status.st_ino);
    }
  }
  return descriptor;
}

#define OPENED(name, path, flags, ...) \
  NEXT(name); \
  mode_t mode = 0; \
  if (flags & O_CREAT) { \
    va_list values; \
    va_start(values, flags); \
    mode = va_arg(values, mode_t); \
    va_end(values); \
  } \
  if (counts(path) && fails((flags & O_ACCMODE) == O_RDONLY ? "open" : "create")) return -1; \
  pthread_mutex_lock(&order); \
  int descriptor = track(next(__VA_ARGS__, mode), path, flags); \
  pthread_mutex_unlock(&order); \
  return descriptor

int open(const char *path, int flags, ...) { OPENED(open, path, flags, path, flags); }
int open64(const char *path, int flags, ...) { OPENED(open64, path, flags, path, flags); }
int openat(int at, const char *path, int flags, ...) {
  OPENED(openat, path, flags, at, path, flags);
}
int openat64(int at, const char *path, int flags, ...) {
  OPENED(openat64, path, flags, at, path, flags);
}

DIR *opendir(const char *path) {
  NEXT(opendir);
  if (counts(path) && fails("open")) return NULL;
  return next(path);
}

int close(int descriptor) {
  NEXT(close);
  int failure = 0;
  if (is_tracked(descriptor)) {
    failure = fails("close") ? errno : 0;
    tracked[descriptor] = 0;
  }
  int status = next(descriptor);
  if (failure) {
    errno = failure;
    return -1;
  }
  return status;
}

// MARK: Bytes

#define READ(name, descriptor, count, ...) \
  NEXT(name); \
  if (is_tracked(descriptor)) { \
    int failure = fails("read"); \
    if (failure == 1) return -1; \
    if (failure == 2 && count > 1) count /= 2; \
  } \
  return next(descriptor, __VA_ARGS__)

ssize_t read(int descriptor, void *bytes, size_t count) {
  READ(read, descriptor, count, bytes, count);
}
ssize_t pread(int descriptor, void *bytes, size_t count, off_t offset) {
  READ(pread, descriptor, count, bytes, count, offset);
}
ssize_t pread64(int descriptor, void *bytes, size_t count, off64_t offset) {
  READ(pread64, descriptor, count, bytes, count, offset);
}

#define WRITTEN(name, descriptor, bytes, count, offset, ...) \
  NEXT(name); \
  if (!is_tracked(descriptor)) return next(descriptor, bytes, __VA_ARGS__); \
  int failure = fails("write"); \
  if (failure == 1) return -1; \
  if (failure == 2 && count > 1) count /= 2; \
  pthread_mutex_lock(&order); \
  off_t start = offset; \
  ssize_t written = next(descriptor, bytes, __VA_ARGS__); \
  note_bytes(descriptor, bytes, written, start); \
  pthread_mutex_unlock(&order); \
  return written

ssize_t write(int descriptor, const void *bytes, size_t count) {
  WRITTEN(write, descriptor, bytes, count, lseek(descriptor, 0, SEEK_CUR), count);
}
ssize_t pwrite(int descriptor, const void *bytes, size_t count, off_t offset) {
  WRITTEN(pwrite, descriptor, bytes, count, offset, count, offset);
}
ssize_t pwrite64(int descriptor, const void *bytes, size_t count, off64_t offset) {
  WRITTEN(pwrite64, descriptor, bytes, count, offset, count, offset);
}

// A change that has no bytes: fails, or is done and noted.
#define CHANGED(name, kind, isOurs, call, ...) \
  NEXT(name); \
  if (!(isOurs)) return call; \
  if (fails(kind)) return -1; \
  pthread_mutex_lock(&order); \
  int status = call; \
  int error = errno; \
  if (status == 0) note(__VA_ARGS__); \
  pthread_mutex_unlock(&order); \
  errno = error; \
  return status

int fsync(int descriptor) {
  CHANGED(fsync, "sync", is_tracked(descriptor), next(descriptor), "sync %lu\n", inode(descriptor));
}
int fdatasync(int descriptor) {
  CHANGED(fdatasync, "sync", is_tracked(descriptor), next(descriptor), "sync %lu\n",
          inode(descriptor));
}
int ftruncate(int descriptor, off_t count) {
  CHANGED(ftruncate, "truncate", is_tracked(descriptor), next(descriptor, count),
          "truncate %lu %lld\n", inode(descriptor), (long long)count);
}
int ftruncate64(int descriptor, off64_t count) {
  CHANGED(ftruncate64, "truncate", is_tracked(descriptor), next(descriptor, count),
          "truncate %lu %lld\n", inode(descriptor), (long long)count);
}
int fallocate(int descriptor, int mode, off_t offset, off_t count) {
  CHANGED(fallocate, "reserve", is_tracked(descriptor), next(descriptor, mode, offset, count),
          "%s", "");
}
int fallocate64(int descriptor, int mode, off64_t offset, off64_t count) {
  CHANGED(fallocate64, "reserve", is_tracked(descriptor), next(descriptor, mode, offset, count),
          "%s", "");
}
int fchmod(int descriptor, mode_t mode) {
  CHANGED(fchmod, "chmod", is_tracked(descriptor), next(descriptor, mode), "%s", "");
}

// MARK: Names

int rename(const char *from, const char *to) {
  CHANGED(rename, "rename", counts(to), next(from, to), "rename %s %s\n", from, to);
}
int renameat2(int fromAt, const char *from, int toAt, const char *to, unsigned flags) {
  CHANGED(renameat2, "rename", counts(to), next(fromAt, from, toAt, to, flags),
          "rename %s %s\n", from, to);
}
int link(const char *from, const char *to) {
  CHANGED(link, "link", counts(to), next(from, to), "link %s %s\n", from, to);
}
int unlink(const char *path) {
  CHANGED(unlink, "unlink", counts(path), next(path), "unlink %s\n", path);
}
