// Counts the allocations of each thread, for tests. C, because Swift may not define malloc.

#ifndef STRATA_ALLOCATION_COUNTER_H
#define STRATA_ALLOCATION_COUNTER_H

// How often the calling thread has asked for memory; -1 where that is not counted.
long strata_allocation_count(void);

#endif
