/* HDF5 for Swift. Its predefined types and property list classes are macros, which Swift does not import, and some of
 * its functions are macros that mean a different version of the function in newer releases: both are said here, and what
 * there is to open. */
#ifndef CHDF5_SHIM_H
#define CHDF5_SHIM_H

/* In newer releases, too, names mean what they mean in HDF5 1.10: there links lead to addresses. */
#define H5_USE_110_API
#if __has_include(<hdf5.h>)
#include <hdf5.h>
#else
#include <hdf5/serial/hdf5.h> /* where Debian has it */
#endif
#include <stdbool.h>

/* All of HDF5 that is used, here and in tests, by the names that a linker knows: CStorage opens it. */
#define CHDF5_FUNCTIONS(X) \
  X(H5Aclose) X(H5Acreate2) X(H5Adelete) X(H5Aexists) X(H5Aget_space) X(H5Aget_storage_size) X(H5Aget_type) \
  X(H5Aiterate2) X(H5Aopen) X(H5Aread) X(H5Awrite) X(H5Dclose) X(H5Dcreate2) X(H5Dget_chunk_info) \
  X(H5Dget_chunk_storage_size) X(H5Dget_create_plist) X(H5Dget_num_chunks) X(H5Dget_space) X(H5Dget_storage_size) \
  X(H5Dget_type) X(H5Dread) X(H5Dread_chunk) X(H5Dwrite) X(H5Eauto_is_v2) X(H5Eclear2) X(H5Eget_auto1) \
  X(H5Eget_auto2) X(H5Eget_num) X(H5Eset_auto1) X(H5Eset_auto2) X(H5Ewalk2) X(H5FDregister) X(H5Fclose) X(H5Fcreate) \
  X(H5Fflush) X(H5Fget_obj_count) X(H5Fopen) X(H5Gclose) X(H5Gcreate2) X(H5Gopen2) X(H5Idec_ref) X(H5Iget_type) \
  X(H5Lcreate_external) X(H5Lcreate_hard) X(H5Lcreate_soft) X(H5Ldelete) X(H5Lexists) X(H5Lget_info) X(H5Literate) \
  X(H5Lmove) X(H5Oclose) X(H5Oopen) X(H5Pclose) X(H5Pcreate) X(H5Pget_chunk) X(H5Pget_driver_info) X(H5Pset_driver) \
  X(H5Pget_external_count) X(H5Pget_filter2) X(H5Pget_layout) X(H5Pget_nfilters) X(H5Pset_attr_phase_change) \
  X(H5Pset_char_encoding) X(H5Pset_chunk) X(H5Pset_deflate) X(H5Pset_external) X(H5Pset_fapl_core) \
  X(H5Pset_fclose_degree) X(H5Pset_file_image_callbacks) X(H5Pset_fill_time) X(H5Pset_fletcher32) X(H5Pset_layout) \
  X(H5Pset_libver_bounds) X(H5Pset_link_phase_change) X(H5Pset_obj_track_times) X(H5Pset_shuffle) X(H5Pset_virtual) \
  X(H5Sclose) X(H5Screate) X(H5Screate_simple) X(H5Sget_simple_extent_dims) X(H5Sget_simple_extent_ndims) \
  X(H5Sget_simple_extent_npoints) X(H5Sget_simple_extent_type) X(H5Sselect_hyperslab) X(H5Tclose) X(H5Tcopy) \
  X(H5Tcreate) X(H5Tenum_create) X(H5Tenum_insert) X(H5Tequal) X(H5Tget_class) X(H5Tget_ebias) X(H5Tget_fields) \
  X(H5Tget_member_name) X(H5Tget_member_offset) X(H5Tget_member_type) X(H5Tget_nmembers) X(H5Tget_norm) \
  X(H5Tget_offset) X(H5Tget_precision) X(H5Tget_size) X(H5Tget_strpad) X(H5Tget_super) X(H5Tinsert) \
  X(H5Tis_variable_str) X(H5Tregister) X(H5Tset_cset) X(H5Tset_ebias) X(H5Tset_fields) X(H5Tset_size) \
  X(H5Tset_strpad) X(H5Tunregister) X(H5Tvlen_create) X(H5Zfilter_avail) X(H5dont_atexit) X(H5free_memory) \
  X(H5get_libversion) X(H5open)
#define CHDF5_VARIABLES(X) \
  X(H5P_CLS_FILE_CREATE_ID_g) X(H5P_CLS_FILE_ACCESS_ID_g) X(H5P_CLS_GROUP_CREATE_ID_g) \
  X(H5P_CLS_DATASET_CREATE_ID_g) X(H5P_CLS_ATTRIBUTE_CREATE_ID_g) X(H5P_CLS_LINK_CREATE_ID_g) X(H5T_C_S1_g) \
  X(H5T_NATIVE_SCHAR_g) X(H5T_NATIVE_INT8_g) X(H5T_NATIVE_INT64_g) X(H5T_NATIVE_FLOAT_g) X(H5T_NATIVE_DOUBLE_g) \
  X(H5T_STD_I8LE_g) X(H5T_STD_I16LE_g) X(H5T_STD_I32LE_g) X(H5T_STD_I64LE_g) X(H5T_STD_U8LE_g) X(H5T_STD_U16LE_g) \
  X(H5T_STD_U32LE_g) X(H5T_STD_U64LE_g) X(H5T_STD_I8BE_g) X(H5T_STD_I16BE_g) X(H5T_STD_I32BE_g) X(H5T_STD_I64BE_g) \
  X(H5T_STD_U8BE_g) X(H5T_STD_U16BE_g) X(H5T_STD_U32BE_g) X(H5T_STD_U64BE_g) X(H5T_IEEE_F32LE_g) X(H5T_IEEE_F64LE_g) \
  X(H5T_IEEE_F32BE_g) X(H5T_IEEE_F64BE_g)

/* Where the variables are, when HDF5 is open. */
#define CHDF5_MEMBER(name) hid_t *name;
typedef struct chdf5_variables_table {
  CHDF5_VARIABLES(CHDF5_MEMBER)
} chdf5_variables_table;
#undef CHDF5_MEMBER
extern __attribute__((visibility("hidden"))) chdf5_variables_table chdf5_variables;

/* CH5T_NATIVE_FLOAT() is H5T_NATIVE_FLOAT, and so on. */
#define CHDF5_CLASS(name) \
  static inline hid_t CH5P_##name(void) { return *chdf5_variables.H5P_CLS_##name##_ID_g; }
CHDF5_CLASS(FILE_CREATE)
CHDF5_CLASS(FILE_ACCESS)
CHDF5_CLASS(GROUP_CREATE)
CHDF5_CLASS(DATASET_CREATE)
CHDF5_CLASS(ATTRIBUTE_CREATE)
CHDF5_CLASS(LINK_CREATE)
#undef CHDF5_CLASS
#define CHDF5_TYPE(name) \
  static inline hid_t C##name(void) { return *chdf5_variables.name##_g; }
CHDF5_TYPE(H5T_C_S1)
CHDF5_TYPE(H5T_NATIVE_FLOAT)
CHDF5_TYPE(H5T_NATIVE_DOUBLE)
CHDF5_TYPE(H5T_NATIVE_INT64)
CHDF5_TYPE(H5T_IEEE_F32LE)
CHDF5_TYPE(H5T_IEEE_F64LE)
CHDF5_TYPE(H5T_STD_I64LE)
/* For tests. */
CHDF5_TYPE(H5T_NATIVE_INT8)
CHDF5_TYPE(H5T_STD_U16BE)
CHDF5_TYPE(H5T_IEEE_F32BE)
CHDF5_TYPE(H5T_IEEE_F64BE)
#undef CHDF5_TYPE
static inline hid_t CH5P_DEFAULT(void) { return H5P_DEFAULT; }
static inline hid_t CH5S_ALL(void) { return H5S_ALL; }
static inline hid_t CH5E_DEFAULT(void) { return H5E_DEFAULT; }

/* Not H5F_ACC_*: those macros call H5check_version, which aborts the process when it is not pleased. */
enum { CHDF5_READ_ONLY = 0x0000, CHDF5_TRUNCATE = 0x0002 };

/* One of the number types that every HDF5 knows, in either byte order. Other ones (odd widths, offsets, biases) go
 * through conversions that are not made for hostile input. */
static inline bool chdf5_is_integer(hid_t type) {
  hid_t *const known[] = {
      chdf5_variables.H5T_STD_I8LE_g, chdf5_variables.H5T_STD_I16LE_g,
      chdf5_variables.H5T_STD_I32LE_g, chdf5_variables.H5T_STD_I64LE_g,
      chdf5_variables.H5T_STD_U8LE_g, chdf5_variables.H5T_STD_U16LE_g,
      chdf5_variables.H5T_STD_U32LE_g, chdf5_variables.H5T_STD_U64LE_g,
      chdf5_variables.H5T_STD_I8BE_g, chdf5_variables.H5T_STD_I16BE_g,
      chdf5_variables.H5T_STD_I32BE_g, chdf5_variables.H5T_STD_I64BE_g,
      chdf5_variables.H5T_STD_U8BE_g, chdf5_variables.H5T_STD_U16BE_g,
      chdf5_variables.H5T_STD_U32BE_g, chdf5_variables.H5T_STD_U64BE_g};
  for (size_t i = 0; i < sizeof known / sizeof *known; i++)
    if (H5Tequal(type, *known[i]) > 0) return true;
  return false;
}

static inline bool chdf5_is_real(hid_t type) {
  hid_t *const known[] = {
      chdf5_variables.H5T_IEEE_F32LE_g, chdf5_variables.H5T_IEEE_F64LE_g, chdf5_variables.H5T_IEEE_F32BE_g,
      chdf5_variables.H5T_IEEE_F64BE_g};
  for (size_t i = 0; i < sizeof known / sizeof *known; i++)
    if (H5Tequal(type, *known[i]) > 0) return true;
  /* IEEE half precision has no name in HDF5 1.10; numpy's float16 is this. */
  size_t sign, exponent, exponent_bits, mantissa, mantissa_bits;
  return H5Tget_class(type) == H5T_FLOAT && H5Tget_size(type) == 2 && H5Tget_precision(type) == 16 &&
         H5Tget_offset(type) == 0 && H5Tget_ebias(type) == 15 && H5Tget_norm(type) == H5T_NORM_IMPLIED &&
         H5Tget_fields(type, &sign, &exponent, &exponent_bits, &mantissa, &mantissa_bits) >= 0 && sign == 15 &&
         exponent == 10 && exponent_bits == 5 && mantissa == 0 && mantissa_bits == 10;
}

/* What prints HDF5's errors, in either of its two forms. */
typedef struct chdf5_handler {
  unsigned version2;
  H5E_auto1_t function1;
  H5E_auto2_t function2;
  void *data;
} chdf5_handler;

/* Takes the host's handler away, so that nothing prints. */
static inline void chdf5_silence(chdf5_handler *handler) {
  chdf5_handler none = {1, NULL, NULL, NULL};
  *handler = none;
  H5Eauto_is_v2(H5E_DEFAULT, &handler->version2);
  if (handler->version2)
    H5Eget_auto2(H5E_DEFAULT, &handler->function2, &handler->data);
  else
    H5Eget_auto1(&handler->function1, &handler->data);
  H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
}

/* Leaves the error stack empty and gives the handler back. */
static inline void chdf5_restore(const chdf5_handler *handler) {
  H5Eclear2(H5E_DEFAULT);
  if (handler->version2)
    H5Eset_auto2(H5E_DEFAULT, handler->function2, handler->data);
  else
    H5Eset_auto1(handler->function1, handler->data);
}

/* HDF5 trusts the file about the length and the place of a variable-length string, up to writing past its own buffer.
 * So it must not read them: this is a conversion of their type to 16 bytes of opaque type that leaves the bytes of the
 * reference as they are (length, address and index), to be followed with care. */
static inline herr_t chdf5_keep_reference(
    hid_t from, hid_t to, H5T_cdata_t *data, size_t count, size_t stride, size_t background_stride, void *buffer,
    void *background, hid_t transfer) {
  (void)count, (void)stride, (void)background_stride, (void)buffer, (void)background, (void)transfer;
  if (data->command != H5T_CONV_INIT) return 0;
  data->need_bkg = H5T_BKG_NO;
  return H5Tis_variable_str(from) > 0 && H5Tget_class(to) == H5T_OPAQUE && H5Tget_size(to) == 16 ? 0 : -1;
}
static inline herr_t chdf5_read_reference(hid_t attribute, uint8_t reference[16]) {
  /* Inside, HDF5 counts these strings among its variable-length sequences. */
  hid_t variable = H5Tvlen_create(*chdf5_variables.H5T_NATIVE_SCHAR_g), opaque = H5Tcreate(H5T_OPAQUE, 16);
  herr_t status = H5Tregister(H5T_PERS_SOFT, "diffeo", variable, opaque, chdf5_keep_reference);
  if (status >= 0) status = H5Aread(attribute, opaque, reference);
  H5Tunregister(H5T_PERS_SOFT, "diffeo", variable, opaque, chdf5_keep_reference);
  H5Tclose(variable);
  H5Tclose(opaque);
  return status;
}

/* What a group has of this name: no link, or none that can be read; a plain one, to the address of an object in this file;
 * or another, soft, external or user-defined, which is not followed. */
typedef enum chdf5_link { CHDF5_NO_LINK, CHDF5_PLAIN_LINK, CHDF5_OTHER_LINK } chdf5_link;
static inline chdf5_link chdf5_find(hid_t group, const char *name, uint64_t *address) {
  H5L_info_t info;
  if (H5Lget_info(group, name, &info, H5P_DEFAULT) < 0) return CHDF5_NO_LINK;
  if (info.type != H5L_TYPE_HARD) return CHDF5_OTHER_LINK;
  *address = info.u.address;
  return CHDF5_PLAIN_LINK;
}

/* Calls visit with the name of every link, in the order of the names, while it returns 0. */
typedef struct chdf5_visitor {
  int (*visit)(const char *name, void *data);
  void *data;
} chdf5_visitor;

static inline herr_t chdf5_visit_link(hid_t group, const char *name, const H5L_info_t *info, void *visitor) {
  (void)group, (void)info;
  return ((chdf5_visitor *)visitor)->visit(name, ((chdf5_visitor *)visitor)->data);
}
/* For links (or attributes) in an order, and for few of them in any, HDF5 1.10 first makes a table, and when the file is
 * damaged half way through, frees all of it, what it never filled in as well. So it is in no order, and a name that there is
 * not is looked for first: that reads all of the few. */
static inline herr_t chdf5_visit_links(hid_t group, chdf5_visitor *visitor) {
  if (H5Lexists(group, "\1", H5P_DEFAULT) < 0) return -1;
  return H5Literate(group, H5_INDEX_NAME, H5_ITER_NATIVE, NULL, chdf5_visit_link, visitor);
}

static inline herr_t chdf5_visit_attribute(hid_t object, const char *name, const H5A_info_t *info, void *visitor) {
  (void)object, (void)info;
  return ((chdf5_visitor *)visitor)->visit(name, ((chdf5_visitor *)visitor)->data);
}
static inline herr_t chdf5_visit_attributes(hid_t object, chdf5_visitor *visitor) {
  if (H5Aexists(object, "\1") < 0) return -1;
  return H5Aiterate2(object, H5_INDEX_NAME, H5_ITER_NATIVE, NULL, chdf5_visit_attribute, visitor);
}

#endif
