/* Filters of HDF5 whose results are judged. */
#ifndef CSTORAGE_FILTERS_H
#define CSTORAGE_FILTERS_H

#include "../CHDF5/shim.h"

#define CSTORAGE_FILTERS(X) X(DEFLATE) X(SZIP) X(NBIT) X(SCALEOFFSET)

/* NULL where this HDF5 has none. H5Zregister refuses to put others in the place of its own; what it calls does not. */
typedef struct cstorage_filters {
  herr_t (*put)(const H5Z_class2_t *);
#define CSTORAGE_FILTER(name) const H5Z_class2_t *name;
  CSTORAGE_FILTERS(CSTORAGE_FILTER)
} cstorage_filters;

void cstorage_judge_filters(const cstorage_filters *of);

#endif
