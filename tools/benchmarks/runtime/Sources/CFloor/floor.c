#include "CFloor.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#define CONCAT_(a, b) a##_##b
#define CONCAT(a, b) CONCAT_(a, b)
#define NAME(x) CONCAT(x, SET)

// Vectors of one pass of the loop that reads.
#define READS 8
#define MEBIBYTE (1 << 20)

// Where results go, so that they are computed.
static volatile float sink;

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec + time.tv_nsec * 1e-9;
}

#define SET portable
#define TARGET
#define WIDTH 16
#if defined(__x86_64__)
// 16 registers, and nothing fused.
#define CHAINS 8
#define FUSED(a, b, c) ((a) * (b) + (c))
#else
#define CHAINS 16
#define FUSED(a, b, c) __builtin_elementwise_fma(a, b, c)
#endif
#include "body.h"

#if defined(__x86_64__)
#define SET avx2
#define TARGET __attribute__((target("avx2,fma")))
#define WIDTH 32
#define CHAINS 12
#define FUSED(a, b, c) __builtin_elementwise_fma(a, b, c)
#include "body.h"

#define SET avx512
#define TARGET __attribute__((target("avx512f")))
#define WIDTH 64
#define CHAINS 12
#define FUSED(a, b, c) __builtin_elementwise_fma(a, b, c)
#include "body.h"
#endif

typedef struct set {
  const char *name;
  double (*arithmetic)(double seconds);
  double (*reading)(const void *memory, size_t bytes, double seconds);
} set;

static set widest(void) {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx512f")) {
    return (set){"avx512", arithmetic_avx512, reading_avx512};
  }
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
    return (set){"avx2", arithmetic_avx2, reading_avx2};
  }
#endif
  return (set){"portable", arithmetic_portable, reading_portable};
}

const char *floor_instruction_set(void) { return widest().name; }

double floor_arithmetic(double seconds) { return widest().arithmetic(seconds); }

double floor_reading(size_t bytes, double seconds) {
  // Whole passes of the loop with vectors of any width.
  const size_t block = READS * 64;
  bytes = (bytes + block - 1) / block * block;
  void *memory;
  if (bytes == 0 || posix_memalign(&memory, block, bytes) != 0) return 0;
  memset(memory, 0, bytes);
  double rate = widest().reading(memory, bytes, seconds);
  free(memory);
  return rate;
}
