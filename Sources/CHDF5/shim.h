/* HDF5 for Swift. Its predefined types and property list classes are macros, which Swift does not import, and some of
 * its functions are macros that mean a different version of the function in newer releases: both are said here. */
#ifndef CHDF5_SHIM_H
#define CHDF5_SHIM_H

#include <hdf5.h>
#include <stdbool.h>

/* CH5T_NATIVE_FLOAT() is H5T_NATIVE_FLOAT, and so on. Each opens the library if need be. */
#define CHDF5_ID(name) \
  static inline hid_t C##name(void) { return name; }
CHDF5_ID(H5P_DEFAULT)
CHDF5_ID(H5P_FILE_CREATE)
CHDF5_ID(H5P_FILE_ACCESS)
CHDF5_ID(H5P_GROUP_CREATE)
CHDF5_ID(H5P_DATASET_CREATE)
CHDF5_ID(H5P_ATTRIBUTE_CREATE)
CHDF5_ID(H5P_LINK_CREATE)
CHDF5_ID(H5S_ALL)
CHDF5_ID(H5E_DEFAULT)
CHDF5_ID(H5T_C_S1)
CHDF5_ID(H5T_NATIVE_FLOAT)
CHDF5_ID(H5T_NATIVE_DOUBLE)
CHDF5_ID(H5T_NATIVE_INT64)
CHDF5_ID(H5T_IEEE_F32LE)
CHDF5_ID(H5T_IEEE_F64LE)
CHDF5_ID(H5T_STD_I64LE)
/* For tests. */
CHDF5_ID(H5T_NATIVE_INT8)
CHDF5_ID(H5T_STD_U16BE)
CHDF5_ID(H5T_IEEE_F32BE)
CHDF5_ID(H5T_IEEE_F64BE)
#undef CHDF5_ID

/* Not H5F_ACC_*: those macros call H5check_version, which aborts the process when it is not pleased. */
enum { CHDF5_READ_ONLY = 0x0000, CHDF5_TRUNCATE = 0x0002 };

/* One of the number types that every HDF5 knows, in either byte order. Other ones (odd widths, offsets, biases) go
 * through conversions that are not made for hostile input. */
static inline bool chdf5_is_integer(hid_t type) {
  const hid_t known[] = {
      H5T_STD_I64LE, H5T_STD_I32LE, H5T_STD_I16LE, H5T_STD_I8LE, H5T_STD_U64LE, H5T_STD_U32LE, H5T_STD_U16LE,
      H5T_STD_U8LE,  H5T_STD_I64BE, H5T_STD_I32BE, H5T_STD_I16BE, H5T_STD_I8BE, H5T_STD_U64BE, H5T_STD_U32BE,
      H5T_STD_U16BE, H5T_STD_U8BE};
  for (size_t i = 0; i < sizeof known / sizeof *known; i++)
    if (H5Tequal(type, known[i]) > 0) return true;
  return false;
}

static inline bool chdf5_is_real(hid_t type) {
  const hid_t known[] = {H5T_IEEE_F32LE, H5T_IEEE_F64LE, H5T_IEEE_F32BE, H5T_IEEE_F64BE};
  for (size_t i = 0; i < sizeof known / sizeof *known; i++)
    if (H5Tequal(type, known[i]) > 0) return true;
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
  hid_t variable = H5Tvlen_create(H5T_NATIVE_CHAR), opaque = H5Tcreate(H5T_OPAQUE, 16);
  herr_t status = H5Tregister(H5T_PERS_SOFT, "diffeo", variable, opaque, chdf5_keep_reference);
  if (status >= 0) status = H5Aread(attribute, opaque, reference);
  H5Tunregister(H5T_PERS_SOFT, "diffeo", variable, opaque, chdf5_keep_reference);
  H5Tclose(variable);
  H5Tclose(opaque);
  return status;
}

/* A plain link to an object in this file; not a soft, external or user-defined one. */
static inline bool chdf5_is_hard_link(hid_t group, const char *name) {
  H5L_info_t info;
  return H5Lget_info(group, name, &info, H5P_DEFAULT) >= 0 && info.type == H5L_TYPE_HARD;
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
// In no order: for one, HDF5 1.10 first makes a table of many links (or attributes), and when the file is damaged half way
// through, frees all of it, what it never filled in as well.
static inline herr_t chdf5_visit_links(hid_t group, chdf5_visitor *visitor) {
  return H5Literate(group, H5_INDEX_NAME, H5_ITER_NATIVE, NULL, chdf5_visit_link, visitor);
}

static inline herr_t chdf5_visit_attribute(hid_t object, const char *name, const H5A_info_t *info, void *visitor) {
  (void)object, (void)info;
  return ((chdf5_visitor *)visitor)->visit(name, ((chdf5_visitor *)visitor)->data);
}
static inline herr_t chdf5_visit_attributes(hid_t object, chdf5_visitor *visitor) {
  return H5Aiterate2(object, H5_INDEX_NAME, H5_ITER_NATIVE, NULL, chdf5_visit_attribute, visitor);
}

#endif
