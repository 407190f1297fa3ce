// The kernels, compiled once for each instruction set by kernels.c: STRATA_NAME(x) makes names
// unique, and TILE is how many accumulators of 16 floats the registers hold beside what else they
// have to.
//
// To be read in this order: activations.h, curves of one vector; panel.h, the sums and the gates of
// one panel; reset.h, those of a GRU whose reset gate comes before the product; layers.h, steps and
// lanes through a layer; linear.h, matrices; chain.h, whole models step by step. The first three
// are compiled for panels of 16 and of 8.

// All of a kernel becomes one function. With a sanitizer's checks the compiler would need minutes
// and gigabytes for that.
#if defined(__has_feature)
#if __has_feature(undefined_behavior_sanitizer) || __has_feature(address_sanitizer) || \
    __has_feature(thread_sanitizer)
#define INLINE static inline
#endif
#endif
#if !defined(INLINE)
#define INLINE static inline __attribute__((always_inline))
#endif
#if STRATA_HAS_FMA
#define fma_ __builtin_elementwise_fma
#define FMA_8 __builtin_elementwise_fma
#else
#define fma_ VECTOR_NAME(fma)
#define FMA_8 STRATA_NAME(fma_8)
#endif
#define load(pointer) (*(const VECTOR *)(pointer))
#define store(pointer, value) (*(VECTOR *)(pointer) = (value))

// How many of 1, 2, 3 or 4 columns a tile of r rows takes at once: a divisor.
#define TILE_COLUMNS(r, columns)                                   \
  (TILE * STRATA_PANEL / WIDTH / (r) >= (columns) ? (columns)      \
   : (columns) == 4 && TILE * STRATA_PANEL / WIDTH / (r) >= 2 ? 2 \
                                                              : 1)

#define VECTORS                                                                   \
  typedef float VECTOR __attribute__((ext_vector_type(WIDTH), aligned(4)));       \
  typedef int32_t INTEGERS __attribute__((ext_vector_type(WIDTH), aligned(4)));   \
  typedef uint32_t BITS __attribute__((ext_vector_type(WIDTH), aligned(4)));      \
  FMA_FUNCTION

// Without the instruction: the C library's, lane by lane, and out of the way of everything else.
#if STRATA_HAS_FMA
#define FMA_FUNCTION
#else
#define FMA_FUNCTION                                                                       \
  static __attribute__((noinline)) VECTOR VECTOR_NAME(fma)(VECTOR a, VECTOR b, VECTOR c) { \
    for (int i = 0; i < WIDTH; i++) c[i] = __builtin_fmaf(a[i], b[i], c[i]);               \
    return c;                                                                              \
  }
#endif

#define VECTOR STRATA_NAME(vector_8)
#define INTEGERS STRATA_NAME(integers_8)
#define BITS STRATA_NAME(bits_8)
#define VECTOR_NAME(x) STRATA_NAME(x##_8)
#define WIDTH 8
VECTORS
#include "activations.h"
#include "panel.h"
#include "reset.h"
#undef VECTOR
#undef INTEGERS
#undef BITS
#undef VECTOR_NAME
#undef WIDTH

#define VECTOR STRATA_NAME(vector_16)
#define INTEGERS STRATA_NAME(integers_16)
#define BITS STRATA_NAME(bits_16)
#define VECTOR_NAME(x) STRATA_NAME(x##_16)
#define WIDTH 16
VECTORS
#include "activations.h"
#include "panel.h"
#include "reset.h"
#include "layers.h"
#include "linear.h"
#include "chain.h"
#undef VECTOR
#undef INTEGERS
#undef BITS
#undef VECTOR_NAME
#undef WIDTH

#undef VECTORS
#undef FMA_FUNCTION
#undef INLINE
#undef TILE_COLUMNS
#undef fma_
#undef FMA_8
#undef load
#undef store
