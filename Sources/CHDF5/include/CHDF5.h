// libhdf5 as Swift sees it: what the C headers spell as macros, or name differently from version
// to version, becomes a named function here, with the reason beside it.
#ifndef STRATA_CHDF5_H
#define STRATA_CHDF5_H

// 1.12 gave H5Oget_info, H5Lget_info and H5Literate other parameters; this keeps those of 1.10
// under the plain names on every version.
#define H5_USE_110_API 1
// Debian keeps it where other builds of libhdf5 can stand beside it.
#if __has_include(<hdf5.h>)
#include <hdf5.h>
#else
#include <hdf5/serial/hdf5.h>
#endif

// Loads libhdf5 and returns NULL, or what is in the way. Nothing else may be called before.
//
// On Linux it is loaded when it is first needed: Debian's brings the network and security libraries
// of thirty more packages, whose loading takes longer than everything else that most calls of the
// tool do. Where it is linked all the same, or elsewhere, there is nothing to do.
const char *strata_h5_load(void);

// Identifiers that are macros around a variable which H5open has to fill first: Swift imports no
// macro with an expression.
hid_t strata_h5_file_access(void);
hid_t strata_h5_file_create(void);
hid_t strata_h5_group_create(void);
hid_t strata_h5_dataset_create(void);
hid_t strata_h5_dataset_access(void);
hid_t strata_h5_link_create(void);
hid_t strata_h5_attribute_create(void);

// Types, for the same reason. The ones in files are named with their byte order.
hid_t strata_h5_f64(void);
hid_t strata_h5_f32(void);
hid_t strata_h5_i64(void);
hid_t strata_h5_i32(void);
hid_t strata_h5_i16(void);
hid_t strata_h5_i8(void);
hid_t strata_h5_u64(void);
hid_t strata_h5_u32(void);
hid_t strata_h5_u16(void);
hid_t strata_h5_u8(void);
hid_t strata_h5_string(void);
// Types of this machine's memory, for numbers that libhdf5 converts: attributes, never tensors.
hid_t strata_h5_native_double(void);
hid_t strata_h5_native_float(void);
hid_t strata_h5_native_int64(void);
hid_t strata_h5_native_uint64(void);

// Plain 0 in C; without a cast Swift would see an Int32, not an hid_t.
static inline hid_t strata_h5_default(void) { return H5P_DEFAULT; }
static inline hid_t strata_h5_all(void) { return H5S_ALL; }
static inline hid_t strata_h5_error_stack(void) { return H5E_DEFAULT; }

// Macros with casts or with checks of the library's version in them.
static inline unsigned strata_h5_read_only(void) { return H5F_ACC_RDONLY; }
static inline unsigned strata_h5_truncate(void) { return H5F_ACC_TRUNC; }
static inline uint64_t strata_h5_undefined_address(void) { return (uint64_t)HADDR_UNDEF; }
static inline size_t strata_h5_variable_length(void) { return H5T_VARIABLE; }

// Kind and address of the object behind a link. The struct has another name from version to
// version; only the basic fields are asked for, so that libhdf5 touches no more of the file.
static inline herr_t strata_h5_object(
    hid_t group, const char *name, H5O_type_t *type, uint64_t *address) {
  H5O_info_t info;
  herr_t status = H5Oget_info_by_name2(group, name, &info, H5O_INFO_BASIC, H5P_DEFAULT);
  *type = status < 0 ? H5O_TYPE_UNKNOWN : info.type;
  *address = status < 0 ? 0 : (uint64_t)info.addr;
  return status;
}

// Calls `visit` with every link of a group: its name and its class. H5Literate is a macro in newer
// versions, and the struct that it hands out has two names.
typedef herr_t (*strata_h5_visit)(const char *name, H5L_type_t link_class, void *context);
typedef struct {
  strata_h5_visit visit;
  void *context;
} strata_h5_visitor;

static inline herr_t strata_h5_visit_link(
    hid_t group, const char *name, const H5L_info_t *info, void *context) {
  (void)group;
  const strata_h5_visitor *visitor = (const strata_h5_visitor *)context;
  return visitor->visit(name, info->type, visitor->context);
}

static inline herr_t strata_h5_links(hid_t group, strata_h5_visit visit, void *context) {
  strata_h5_visitor visitor = {visit, context};
  hsize_t index = 0;
  return H5Literate(group, H5_INDEX_NAME, H5_ITER_NATIVE, &index, strata_h5_visit_link, &visitor);
}

// A file that nobody else knows of needs no lock, and a process that was forked while it was
// written would hold the lock on. The call came with 1.10.7 and 1.12.1.
static inline herr_t strata_h5_without_locks(hid_t access) {
#if H5_VERSION_GE(1, 12, 1) || (H5_VERSION_GE(1, 10, 7) && !H5_VERSION_GE(1, 12, 0))
  return H5Pset_file_locking(access, false, true);
#else
  (void)access;
  return 0;
#endif
}

// Has a file read from an open descriptor, which stays its owner's.
herr_t strata_h5_use_descriptor(hid_t access, int descriptor, uint64_t size);

// A conversion that changes nothing, registered from variable-length strings to opaque bytes. It is
// how the length and the heap address of such a string are read as they stand in the file: libhdf5
// itself believes the length (1.10 allocates and touches twice 4 GiB for a file of 6 KiB, and
// overruns its buffer where the length is too small).
static inline herr_t strata_h5_keep_bytes(
    hid_t source, hid_t destination, H5T_cdata_t *data, size_t count, size_t stride,
    size_t background_stride, void *buffer, void *background, hid_t transfer) {
  (void)source, (void)destination, (void)count, (void)stride, (void)background_stride;
  (void)buffer, (void)background, (void)transfer;
  if (data->command == H5T_CONV_INIT) data->need_bkg = H5T_BKG_NO;
  return 0;
}

static inline herr_t strata_h5_register_keep_bytes(hid_t string, hid_t opaque) {
  return H5Tregister(H5T_PERS_SOFT, "strata bytes", string, opaque, strata_h5_keep_bytes);
}

#endif
