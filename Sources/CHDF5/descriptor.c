// A driver of libhdf5 that reads from a descriptor that is open already. A process that may open
// nothing can use it, and what it reads is the file that was meant, whatever has its name by now.

#define _GNU_SOURCE
#include "CHDF5.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/file.h>
#include <unistd.h>

// What the driver is told of a file.
typedef struct {
  int descriptor;
  haddr_t size;
} descriptor_info;

typedef struct {
  // Whatever libhdf5 keeps of a file; it has to come first.
  H5FD_t common;
  int descriptor;
  haddr_t end_of_addresses;
  haddr_t end_of_file;
} descriptor_file;

static H5FD_t *open_file(const char *name, unsigned flags, hid_t access, haddr_t most) {
  (void)name, (void)most;
  const descriptor_info *info = H5Pget_driver_info(access);
  if (!info || flags != H5F_ACC_RDONLY) return NULL;
  descriptor_file *file = calloc(1, sizeof *file);
  if (!file) return NULL;
  file->descriptor = info->descriptor;
  file->end_of_file = info->size;
  return &file->common;
}

// The descriptor is whoever's who opened it.
static herr_t close_file(H5FD_t *file) {
  free(file);
  return 0;
}

static herr_t query(const H5FD_t *file, unsigned long *features) {
  (void)file;
  *features = H5FD_FEAT_DATA_SIEVE;
  return 0;
}

static haddr_t get_end_of_addresses(const H5FD_t *file, H5FD_mem_t kind) {
  (void)kind;
  return ((const descriptor_file *)file)->end_of_addresses;
}

static herr_t set_end_of_addresses(H5FD_t *file, H5FD_mem_t kind, haddr_t end) {
  (void)kind;
  ((descriptor_file *)file)->end_of_addresses = end;
  return 0;
}

static haddr_t get_end_of_file(const H5FD_t *file, H5FD_mem_t kind) {
  (void)kind;
  return ((const descriptor_file *)file)->end_of_file;
}

static herr_t read_file(
    H5FD_t *common, H5FD_mem_t kind, hid_t transfer, haddr_t address, size_t count, void *bytes) {
  (void)kind, (void)transfer;
  const descriptor_file *file = (const descriptor_file *)common;
  if (address > file->end_of_file || count > file->end_of_file - address) return -1;
  while (count > 0) {
    ssize_t taken = pread(file->descriptor, bytes, count, (off_t)address);
    if (taken < 0 && errno == EINTR) continue;
    // The file has become shorter.
    if (taken <= 0) return -1;
    bytes = (char *)bytes + taken;
    address += (haddr_t)taken;
    count -= (size_t)taken;
  }
  return 0;
}

static herr_t write_file(
    H5FD_t *file, H5FD_mem_t kind, hid_t transfer, haddr_t address, size_t count,
    const void *bytes) {
  (void)file, (void)kind, (void)transfer, (void)address, (void)count, (void)bytes;
  return -1;
}

// As libhdf5's own drivers do it: refused while a writer has the file; where a file system has no
// locks, there are none.
static herr_t lock(H5FD_t *file, hbool_t is_for_writing) {
  int kind = (is_for_writing ? LOCK_EX : LOCK_SH) | LOCK_NB;
  return flock(((descriptor_file *)file)->descriptor, kind) == 0 || errno != EWOULDBLOCK ? 0 : -1;
}

static herr_t unlock(H5FD_t *file) {
  flock(((descriptor_file *)file)->descriptor, LOCK_UN);
  return 0;
}

herr_t strata_h5_use_descriptor(hid_t access, int descriptor, uint64_t size) {
  static const H5FD_class_t driver = {
#if defined(H5FD_CLASS_VERSION)
      .version = H5FD_CLASS_VERSION,
      .value = (H5FD_class_value_t)600,
#endif
      .name = "strata descriptor",
      // The largest offset that the system knows.
      .maxaddr = INT64_MAX,
      .fc_degree = H5F_CLOSE_WEAK,
      .fapl_size = sizeof(descriptor_info),
      .open = open_file,
      .close = close_file,
      .query = query,
      .get_eoa = get_end_of_addresses,
      .set_eoa = set_end_of_addresses,
      .get_eof = get_end_of_file,
      .read = read_file,
      .write = write_file,
      .lock = lock,
      .unlock = unlock,
      .fl_map = H5FD_FLMAP_DICHOTOMY,
  };
  static hid_t registered = -1;
  if (registered < 0) registered = H5FDregister(&driver);
  const descriptor_info info = {.descriptor = descriptor, .size = size};
  return registered < 0 ? -1 : H5Pset_driver(access, registered, &info);
}
