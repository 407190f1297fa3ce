// How the functions of libhdf5 are reached on Linux: each has a function of its name here, which
// calls that of the library once it is loaded. So nothing asks for libhdf5 when a program starts.
// A function that stands not in this list works all the same, but links libhdf5.

#define _GNU_SOURCE
#include "CHDF5.h"

#if defined(__linux__)

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>

// The version of the binary interface, by that of the headers.
#if H5_VERSION_GE(1, 14, 0)
#define SONAME "310"
#elif H5_VERSION_GE(1, 12, 0)
#define SONAME "200"
#else
#define SONAME "103"
#endif

static void *library;

const char *strata_h5_load(void) {
  static const char *const names[] = {
      "libhdf5_serial.so." SONAME, "libhdf5.so." SONAME, "libhdf5_serial.so", "libhdf5.so",
  };
  static char fault[256];
  for (size_t i = 0; i < sizeof names / sizeof *names && !library; i++)
    library = dlopen(names[i], RTLD_NOW | RTLD_LOCAL);
  if (library) return NULL;
  snprintf(fault, sizeof fault, "%s", dlerror());
  return fault;
}

// What the library has under a name.
static void *symbol(const char *name) {
  void *found = library ? dlsym(library, name) : NULL;
  if (!found) {
    fprintf(stderr, "libhdf5 has no %s\n", name);
    abort();
  }
  return found;
}

#define TEXT_(name) #name
#define TEXT(name) TEXT_(name)
// The name may be a macro for that of one version.
#define FORWARD(result, name, parameters, arguments)       \
  result name parameters {                                 \
    static result(*real) parameters;                       \
    if (!real) *(void **)&real = symbol(TEXT(name));       \
    return real arguments;                                 \
  }
#define IDENTIFIER(name, macro, variable) \
  hid_t strata_h5_##name(void) { return *(hid_t *)symbol(#variable); }

FORWARD(hid_t, H5Acreate2, (hid_t a, const char *b, hid_t c, hid_t d, hid_t e, hid_t f),
        (a, b, c, d, e, f))
FORWARD(hid_t, H5Aget_space, (hid_t a), (a))
FORWARD(hid_t, H5Aget_type, (hid_t a), (a))
FORWARD(herr_t, H5Aiterate2, (hid_t a, H5_index_t b, H5_iter_order_t c, hsize_t *d,
         H5A_operator2_t e, void *f), (a, b, c, d, e, f))
FORWARD(hid_t, H5Aopen, (hid_t a, const char *b, hid_t c), (a, b, c))
FORWARD(herr_t, H5Aread, (hid_t a, hid_t b, void *c), (a, b, c))
FORWARD(herr_t, H5Awrite, (hid_t a, hid_t b, const void *c), (a, b, c))
FORWARD(herr_t, H5Dclose, (hid_t a), (a))
FORWARD(hid_t, H5Dcreate2, (hid_t a, const char *b, hid_t c, hid_t d, hid_t e, hid_t f, hid_t g),
        (a, b, c, d, e, f, g))
FORWARD(herr_t, H5Dget_chunk_storage_size, (hid_t a, const hsize_t *b, hsize_t *c), (a, b, c))
FORWARD(hid_t, H5Dget_create_plist, (hid_t a), (a))
FORWARD(herr_t, H5Dget_num_chunks, (hid_t a, hid_t b, hsize_t *c), (a, b, c))
FORWARD(haddr_t, H5Dget_offset, (hid_t a), (a))
FORWARD(hid_t, H5Dget_space, (hid_t a), (a))
FORWARD(hsize_t, H5Dget_storage_size, (hid_t a), (a))
FORWARD(hid_t, H5Dget_type, (hid_t a), (a))
FORWARD(hid_t, H5Dopen2, (hid_t a, const char *b, hid_t c), (a, b, c))
FORWARD(herr_t, H5Dread, (hid_t a, hid_t b, hid_t c, hid_t d, hid_t e, void *f), (a, b, c, d, e, f))
FORWARD(herr_t, H5Dread_chunk, (hid_t a, hid_t b, const hsize_t *c, uint32_t *d, void *e),
        (a, b, c, d, e))
FORWARD(herr_t, H5Dwrite, (hid_t a, hid_t b, hid_t c, hid_t d, hid_t e, const void *f),
        (a, b, c, d, e, f))
FORWARD(herr_t, H5Eset_auto2, (hid_t a, H5E_auto2_t b, void *c), (a, b, c))
FORWARD(herr_t, H5Ewalk2, (hid_t a, H5E_direction_t b, H5E_walk2_t c, void *d), (a, b, c, d))
FORWARD(herr_t, H5Fclose, (hid_t a), (a))
FORWARD(hid_t, H5Fcreate, (const char *a, unsigned int b, hid_t c, hid_t d), (a, b, c, d))
FORWARD(hid_t, H5Fget_create_plist, (hid_t a), (a))
FORWARD(hid_t, H5Fopen, (const char *a, unsigned int b, hid_t c), (a, b, c))
FORWARD(hid_t, H5FDregister, (const H5FD_class_t *a), (a))
FORWARD(hid_t, H5Gcreate2, (hid_t a, const char *b, hid_t c, hid_t d, hid_t e), (a, b, c, d, e))
FORWARD(hid_t, H5Gopen2, (hid_t a, const char *b, hid_t c), (a, b, c))
FORWARD(int, H5Idec_ref, (hid_t a), (a))
FORWARD(htri_t, H5Lis_registered, (H5L_type_t a), (a))
FORWARD(herr_t, H5Literate, (hid_t a, H5_index_t b, H5_iter_order_t c, hsize_t *d,
         H5L_iterate_t e, void *f), (a, b, c, d, e, f))
FORWARD(herr_t, H5Lunregister, (H5L_type_t a), (a))
FORWARD(herr_t, H5Oget_info_by_name2, (hid_t a, const char *b, H5O_info_t *c, unsigned int d,
         hid_t e), (a, b, c, d, e))
FORWARD(herr_t, H5PLset_loading_state, (unsigned int a), (a))
FORWARD(hid_t, H5Pcreate, (hid_t a), (a))
FORWARD(int, H5Pget_chunk, (hid_t a, int b, hsize_t *c), (a, b, c))
FORWARD(const void *, H5Pget_driver_info, (hid_t a), (a))
FORWARD(herr_t, H5Pget_chunk_opts, (hid_t a, unsigned *b), (a, b))
FORWARD(int, H5Pget_external_count, (hid_t a), (a))
FORWARD(H5Z_filter_t, H5Pget_filter2, (hid_t a, unsigned int b, unsigned int *c, size_t *d,
         unsigned int *e, size_t f, char *g, unsigned int *h), (a, b, c, d, e, f, g, h))
FORWARD(H5D_layout_t, H5Pget_layout, (hid_t a), (a))
FORWARD(int, H5Pget_nfilters, (hid_t a), (a))
FORWARD(herr_t, H5Pget_sizes, (hid_t a, size_t *b, size_t *c), (a, b, c))
FORWARD(herr_t, H5Pget_userblock, (hid_t a, hsize_t *b), (a, b))
FORWARD(herr_t, H5Pset_char_encoding, (hid_t a, H5T_cset_t b), (a, b))
FORWARD(herr_t, H5Pset_chunk, (hid_t a, int b, const hsize_t *c), (a, b, c))
FORWARD(herr_t, H5Pset_chunk_cache, (hid_t a, size_t b, size_t c, double d), (a, b, c, d))
FORWARD(herr_t, H5Pset_deflate, (hid_t a, unsigned int b), (a, b))
FORWARD(herr_t, H5Pset_driver, (hid_t a, hid_t b, const void *c), (a, b, c))
FORWARD(herr_t, H5Pset_fapl_core, (hid_t a, size_t b, hbool_t c), (a, b, c))
FORWARD(herr_t, H5Pset_fapl_sec2, (hid_t a), (a))
FORWARD(herr_t, H5Pset_fclose_degree, (hid_t a, H5F_close_degree_t b), (a, b))
FORWARD(herr_t, H5Pset_file_image, (hid_t a, void *b, size_t c), (a, b, c))
FORWARD(herr_t, H5Pset_file_locking, (hid_t a, hbool_t b, hbool_t c), (a, b, c))
FORWARD(herr_t, H5Pset_fill_time, (hid_t a, H5D_fill_time_t b), (a, b))
FORWARD(herr_t, H5Pset_fletcher32, (hid_t a), (a))
FORWARD(herr_t, H5Pset_libver_bounds, (hid_t a, H5F_libver_t b, H5F_libver_t c), (a, b, c))
FORWARD(herr_t, H5Pset_obj_track_times, (hid_t a, hbool_t b), (a, b))
FORWARD(herr_t, H5Pset_shuffle, (hid_t a), (a))
FORWARD(hid_t, H5Screate, (H5S_class_t a), (a))
FORWARD(hid_t, H5Screate_simple, (int a, const hsize_t *b, const hsize_t *c), (a, b, c))
FORWARD(int, H5Sget_simple_extent_dims, (hid_t a, hsize_t *b, hsize_t *c), (a, b, c))
FORWARD(int, H5Sget_simple_extent_ndims, (hid_t a), (a))
FORWARD(H5S_class_t, H5Sget_simple_extent_type, (hid_t a), (a))
FORWARD(herr_t, H5Sselect_all, (hid_t a), (a))
FORWARD(herr_t, H5Sselect_hyperslab, (hid_t a, H5S_seloper_t b, const hsize_t *c,
         const hsize_t *d, const hsize_t *e, const hsize_t *f), (a, b, c, d, e, f))
FORWARD(htri_t, H5Tcommitted, (hid_t a), (a))
FORWARD(hid_t, H5Tcopy, (hid_t a), (a))
FORWARD(hid_t, H5Tcreate, (H5T_class_t a, size_t b), (a, b))
FORWARD(hid_t, H5Tenum_create, (hid_t a), (a))
FORWARD(herr_t, H5Tenum_insert, (hid_t a, const char *b, const void *c), (a, b, c))
FORWARD(H5T_class_t, H5Tget_class, (hid_t a), (a))
FORWARD(size_t, H5Tget_ebias, (hid_t a), (a))
FORWARD(herr_t, H5Tget_fields, (hid_t a, size_t *b, size_t *c, size_t *d, size_t *e, size_t *f),
        (a, b, c, d, e, f))
FORWARD(char *, H5Tget_member_name, (hid_t a, unsigned int b), (a, b))
FORWARD(herr_t, H5Tget_member_value, (hid_t a, unsigned int b, void *c), (a, b, c))
FORWARD(int, H5Tget_nmembers, (hid_t a), (a))
FORWARD(H5T_norm_t, H5Tget_norm, (hid_t a), (a))
FORWARD(int, H5Tget_offset, (hid_t a), (a))
FORWARD(H5T_order_t, H5Tget_order, (hid_t a), (a))
FORWARD(size_t, H5Tget_precision, (hid_t a), (a))
FORWARD(H5T_sign_t, H5Tget_sign, (hid_t a), (a))
FORWARD(size_t, H5Tget_size, (hid_t a), (a))
FORWARD(H5T_str_t, H5Tget_strpad, (hid_t a), (a))
FORWARD(hid_t, H5Tget_super, (hid_t a), (a))
FORWARD(htri_t, H5Tis_variable_str, (hid_t a), (a))
FORWARD(herr_t, H5Tregister, (H5T_pers_t a, const char *b, hid_t c, hid_t d, H5T_conv_t e),
        (a, b, c, d, e))
FORWARD(herr_t, H5Tset_cset, (hid_t a, H5T_cset_t b), (a, b))
FORWARD(herr_t, H5Tset_ebias, (hid_t a, size_t b), (a, b))
FORWARD(herr_t, H5Tset_fields, (hid_t a, size_t b, size_t c, size_t d, size_t e, size_t f),
        (a, b, c, d, e, f))
FORWARD(herr_t, H5Tset_precision, (hid_t a, size_t b), (a, b))
FORWARD(herr_t, H5Tset_size, (hid_t a, size_t b), (a, b))
FORWARD(herr_t, H5Tset_strpad, (hid_t a, H5T_str_t b), (a, b))
FORWARD(herr_t, H5check_version, (unsigned int a, unsigned int b, unsigned int c), (a, b, c))
FORWARD(herr_t, H5dont_atexit, (void), ())
FORWARD(herr_t, H5get_libversion, (unsigned int *a, unsigned int *b, unsigned int *c), (a, b, c))
FORWARD(herr_t, H5free_memory, (void *a), (a))
FORWARD(herr_t, H5open, (void), ())

#else

const char *strata_h5_load(void) { return NULL; }

#define IDENTIFIER(name, macro, variable) \
  hid_t strata_h5_##name(void) { return macro; }

#endif

IDENTIFIER(file_access, H5P_FILE_ACCESS, H5P_CLS_FILE_ACCESS_ID_g)
IDENTIFIER(file_create, H5P_FILE_CREATE, H5P_CLS_FILE_CREATE_ID_g)
IDENTIFIER(group_create, H5P_GROUP_CREATE, H5P_CLS_GROUP_CREATE_ID_g)
IDENTIFIER(dataset_create, H5P_DATASET_CREATE, H5P_CLS_DATASET_CREATE_ID_g)
IDENTIFIER(dataset_access, H5P_DATASET_ACCESS, H5P_CLS_DATASET_ACCESS_ID_g)
IDENTIFIER(link_create, H5P_LINK_CREATE, H5P_CLS_LINK_CREATE_ID_g)
IDENTIFIER(attribute_create, H5P_ATTRIBUTE_CREATE, H5P_CLS_ATTRIBUTE_CREATE_ID_g)
IDENTIFIER(f64, H5T_IEEE_F64LE, H5T_IEEE_F64LE_g)
IDENTIFIER(f32, H5T_IEEE_F32LE, H5T_IEEE_F32LE_g)
IDENTIFIER(i64, H5T_STD_I64LE, H5T_STD_I64LE_g)
IDENTIFIER(i32, H5T_STD_I32LE, H5T_STD_I32LE_g)
IDENTIFIER(i16, H5T_STD_I16LE, H5T_STD_I16LE_g)
IDENTIFIER(i8, H5T_STD_I8LE, H5T_STD_I8LE_g)
IDENTIFIER(u64, H5T_STD_U64LE, H5T_STD_U64LE_g)
IDENTIFIER(u32, H5T_STD_U32LE, H5T_STD_U32LE_g)
IDENTIFIER(u16, H5T_STD_U16LE, H5T_STD_U16LE_g)
IDENTIFIER(u8, H5T_STD_U8LE, H5T_STD_U8LE_g)
IDENTIFIER(string, H5T_C_S1, H5T_C_S1_g)
IDENTIFIER(native_double, H5T_NATIVE_DOUBLE, H5T_NATIVE_DOUBLE_g)
IDENTIFIER(native_float, H5T_NATIVE_FLOAT, H5T_NATIVE_FLOAT_g)
IDENTIFIER(native_int64, H5T_NATIVE_INT64, H5T_NATIVE_INT64_g)
IDENTIFIER(native_uint64, H5T_NATIVE_UINT64, H5T_NATIVE_UINT64_g)
