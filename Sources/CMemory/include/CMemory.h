/* Memory for the library when the system has none: see memory.c. */
#ifndef CMEMORY_H
#define CMEMORY_H

#include <stdbool.h>

/* Whether the system has refused memory to this thread since it began. */
void cmemory_begin(void);
bool cmemory_ran_out(void);

#endif
