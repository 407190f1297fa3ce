#ifndef CFLOOR_H
#define CFLOOR_H

#include <stddef.h>

// What one thread of this processor can do at most, with the widest vectors that it has. No
// runtime can be faster, so this is the floor under its times.

// The name of the instruction set that is measured with: avx512, avx2 or portable.
const char *floor_instruction_set(void);

// Operations in a second, a fused multiplication and addition of one float being two, measured
// for this many seconds.
double floor_arithmetic(double seconds);

// Bytes in a second that are read of a memory of this size again and again, measured for this
// many seconds; 0 where there is no such memory.
double floor_reading(size_t bytes, double seconds);

#endif
