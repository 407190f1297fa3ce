// What file systems can do and Swift's modules of the C libraries do not show: functions behind
// _GNU_SOURCE, behind syscall(2), and behind the variadic fcntl(2) with a structure.
//
// Each gives 0 or an error number.

#ifndef CFILESYSTEM_H
#define CFILESYSTEM_H

#include <stdint.h>
#include <sys/stat.h>

/// Renames a file unless the new name is taken: EEXIST. EINVAL, ENOSYS or ENOTSUP where the file
/// system or the kernel cannot do that in one step.
int strata_rename_exclusively(const char *from, const char *to);

/// Sets disk space aside for the first `count` bytes of a file, whose size stays as it is. ENOTSUP
/// where the file system cannot.
int strata_reserve(int descriptor, int64_t count);

/// What the system tells of an open file, asked without a path: a process that may name no file may
/// ask.
int strata_status(int descriptor, struct stat *status);

/// Waits until the bytes of a file, or the names of a directory, are on the medium and not only in
/// the drive's cache.
int strata_synchronize(int descriptor);

#endif
