/* What the files need of the system: HDF5, opened when it is first needed, and locks that a child gets through after fork. */
#ifndef CSTORAGE_H
#define CSTORAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Lets one thread at a time to HDF5, and returns another number each time. fork waits for it, so that a child finds HDF5
 * at rest. */
unsigned long cstorage_lock(void);
void cstorage_unlock(void);

/* Opens HDF5 under the lock; once it is open, at no cost. 0, or -1 with a sentence in error, cut to size bytes. */
int cstorage_open_hdf5(char *error, size_t size);

/* Whether it is a copy of its own, which no host knows of. */
bool cstorage_hdf5_is_private(void);

/* How often this process is a child: another number in a child than in its parent. */
int cstorage_generation(void);

/* Reads size bytes of a file from a place on; how many there were: fewer at its end, with errno 0, or with another errno. */
size_t cstorage_read(int descriptor, void *target, size_t size, uint64_t at);

/* An HDF5 property list by which H5Fopen reads, whatever the name, these bytes, which must stay; negative when it fails. */
int64_t cstorage_memory_access(const void *bytes, size_t size);
/* The same of the file behind a descriptor, which must stay open. */
int64_t cstorage_descriptor_access(int descriptor, size_t size);

/* What the HDF5 filter of this number must give at least, of every chunk that is read under this lock; filter -1: nothing.
 * Where it gives less the chunk is not read. */
void cstorage_expect(int filter, size_t least);

/* A new file in the folder that has no name and is gone if nobody gives it one, and a path that leads to it while it is
 * open. -1 where the system has no such files. */
int cstorage_open_unnamed(const char *folder, char *path, size_t size);
/* Gives it a name that nothing has. 0, or -1 and errno. */
int cstorage_link(const char *path, const char *name);

/* Whether this process, by its effective user, may write to a file: 0, or -1 and errno. */
int cstorage_may_write(const char *path);

/* The name of a temporary file of this process, and the end of those that other processes left behind when they died. */
void cstorage_temporary_name(uint32_t number, char *name, size_t size);
void cstorage_remove_stale(const char *folder);

#endif
