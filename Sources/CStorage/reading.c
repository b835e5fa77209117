#include "CStorage.h"
#include "../CHDF5/shim.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

/* Files for reading, in memory or on disk. HDF5's own drivers let addresses that lead nowhere through to where they end
 * the process; that for memory copies it, too, and looks whether a file of its name exists. */
typedef struct place {
  const unsigned char *bytes; /* NULL: behind the descriptor */
  int descriptor;
  haddr_t size;
} place;

enum { RECENT = 64 };
typedef struct read_file {
  H5FD_t head;
  place in;
  haddr_t end;
  /* Of the latest pieces of structure that were read. */
  struct {
    haddr_t from, to;
  } read[RECENT];
  unsigned reads;
} read_file;

static H5FD_t *open_file(const char *name, unsigned flags, hid_t access, haddr_t most) {
  (void)name, (void)most;
  enum { WRITE = 0x0001 }; /* H5F_ACC_RDWR, which calls H5check_version, which aborts when it is not pleased */
  const place *in = H5Pget_driver_info(access);
  read_file *file = in == NULL || flags & WRITE ? NULL : calloc(1, sizeof *file);
  if (file == NULL) return NULL;
  file->in = *in;
  return &file->head;
}

static herr_t close_file(H5FD_t *file) { return free(file), 0; }

static herr_t query(const H5FD_t *file, unsigned long *flags) { return (void)file, *flags = 0, 0; }

static haddr_t get_end(const H5FD_t *file, H5FD_mem_t type) { return (void)type, ((const read_file *)file)->end; }

static herr_t set_end(H5FD_t *file, H5FD_mem_t type, haddr_t end) { return (void)type, ((read_file *)file)->end = end, 0; }

static haddr_t get_size(const H5FD_t *file, H5FD_mem_t type) { return (void)type, ((const read_file *)file)->in.size; }

/* HDF5 reads what is missing before or behind a piece that it has. */
static bool is_beside_another(const read_file *file, haddr_t from, haddr_t to) {
  const unsigned count = file->reads < RECENT ? file->reads : RECENT;
  for (unsigned i = 0; i < count; i++)
    if (file->read[i].to == from || file->read[i].from == to) return true;
  return false;
}

size_t cstorage_read(int descriptor, void *target, size_t size, uint64_t at) {
  size_t done = 0;
  while (done < size) {
    errno = 0;
    const ssize_t step = pread(descriptor, (char *)target + done, size - done, (off_t)(at + done));
    if (step > 0) done += (size_t)step;
    else if (errno != EINTR) break;
  }
  return done;
}

static herr_t read_bytes(H5FD_t *of, H5FD_mem_t type, hid_t transfer, haddr_t at, size_t size, void *target) {
  (void)transfer;
  enum { LEAST = 8 }; /* of structure, with its signature and checksum: HDF5 subtracts the latter without looking */
  read_file *file = (read_file *)of;
  if (at > file->in.size || size > file->in.size - at) return -1;
  if (type != H5FD_MEM_DRAW && type != H5FD_MEM_SUPER) {
    if (size < LEAST && !is_beside_another(file, at, at + size)) return -1;
    const unsigned i = file->reads++ % RECENT;
    file->read[i].from = at;
    file->read[i].to = at + size;
  }
  if (file->in.bytes == NULL) return cstorage_read(file->in.descriptor, target, size, at) == size ? 0 : -1;
  memcpy(target, file->in.bytes + at, size);
  return 0;
}

/* Against who writes to the file, as HDF5's own driver: not where there are no locks. */
static herr_t lock(H5FD_t *of, hbool_t writes) {
  const read_file *file = (const read_file *)of;
  if (file->in.bytes != NULL) return 0;
  return flock(file->in.descriptor, (writes ? LOCK_EX : LOCK_SH) | LOCK_NB) == 0 || errno == ENOSYS ? 0 : -1;
}

static herr_t unlock(H5FD_t *of) {
  const read_file *file = (const read_file *)of;
  return file->in.bytes != NULL || flock(file->in.descriptor, LOCK_UN) == 0 || errno == ENOSYS ? 0 : -1;
}

static herr_t write_bytes(H5FD_t *file, H5FD_mem_t type, hid_t transfer, haddr_t at, size_t size, const void *source) {
  return (void)file, (void)type, (void)transfer, (void)at, (void)size, (void)source, -1;
}

static int64_t access_to(place in) {
  static const H5FD_class_t class = {
#if defined(H5FD_CLASS_VERSION)
      .version = H5FD_CLASS_VERSION,
      .value = (H5FD_class_value_t)600,
#endif
      .name = "diffeo",
      .maxaddr = INT64_MAX,
      .fc_degree = H5F_CLOSE_STRONG,
      .fapl_size = sizeof(place),
      .open = open_file,
      .close = close_file,
      .query = query,
      .get_eoa = get_end,
      .set_eoa = set_end,
      .get_eof = get_size,
      .read = read_bytes,
      .write = write_bytes,
      .lock = lock,
      .unlock = unlock,
      .fl_map = H5FD_FLMAP_SINGLE,
  };
  /* Kept: HDF5 calls the driver of a file once more when it has let go of it. */
  static hid_t driver = -1;
  if (driver < 0 || H5Iget_type(driver) != H5I_VFL) driver = H5FDregister(&class);
  const hid_t access = driver < 0 ? -1 : H5Pcreate(CH5P_FILE_ACCESS());
  const bool is_set = access >= 0 && H5Pset_driver(access, driver, &in) >= 0;
  if (access >= 0 && !is_set) H5Idec_ref(access);
  return is_set ? access : -1;
}

int64_t cstorage_memory_access(const void *bytes, size_t size) { return access_to((place){bytes, -1, size}); }

int64_t cstorage_descriptor_access(int descriptor, size_t size) { return access_to((place){NULL, descriptor, size}); }
