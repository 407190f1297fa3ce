#define _GNU_SOURCE

#include "CFileSystem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#if defined(__linux__)
#include <linux/falloc.h>
#include <sys/syscall.h>
#endif

#if !defined(RENAME_NOREPLACE)
#define RENAME_NOREPLACE 1
#endif

int strata_rename_exclusively(const char *from, const char *to) {
#if defined(__APPLE__)
  return renamex_np(from, to, RENAME_EXCL) == 0 ? 0 : errno;
#elif defined(__GLIBC__)
  return renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE) == 0 ? 0 : errno;
#elif defined(SYS_renameat2)
  return syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE) == 0 ? 0 : errno;
#else
  return ENOSYS;
#endif
}

int strata_status(int descriptor, struct stat *status) {
#if defined(__linux__) && (defined(__x86_64__) || defined(__aarch64__))
  // The C library would ask for an empty path beside the descriptor. Both have one layout here.
  return syscall(SYS_fstat, descriptor, status) == 0 ? 0 : errno;
#else
  return fstat(descriptor, status) == 0 ? 0 : errno;
#endif
}

int strata_reserve(int descriptor, int64_t count) {
#if defined(__APPLE__)
  // In one run first, then in as many as there are.
  fstore_t store = {F_ALLOCATECONTIG, F_PEOFPOSMODE, 0, count, 0};
  if (fcntl(descriptor, F_PREALLOCATE, &store) == 0) return 0;
  store.fst_flags = F_ALLOCATEALL;
  return fcntl(descriptor, F_PREALLOCATE, &store) == 0 ? 0 : errno;
#elif defined(__linux__)
  // Not posix_fallocate: it changes the size, and where the file system cannot reserve it writes a
  // byte into every block.
  int status;
  do {
    status = fallocate(descriptor, FALLOC_FL_KEEP_SIZE, 0, count);
  } while (status != 0 && errno == EINTR);
  return status == 0 ? 0 : errno;
#else
  return ENOTSUP;
#endif
}

int strata_synchronize(int descriptor) {
#if defined(__APPLE__)
  if (fcntl(descriptor, F_FULLFSYNC) == 0) return 0;
  // Only a file system that has no such call is asked for less: after any other error a second try
  // could succeed without the bytes being there.
  if (errno != ENOTSUP && errno != ENOTTY && errno != EINVAL) return errno;
#endif
  return fsync(descriptor) == 0 ? 0 : errno;
}
