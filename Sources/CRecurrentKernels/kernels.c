#include "CRecurrentKernels.h"

#include <stdbool.h>
#include <string.h>

#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

// A product and a sum are fused where fma says so, and nowhere else.
#pragma STDC FP_CONTRACT OFF
// Wide vectors are passed between inlined functions only, never through a call.
#pragma clang diagnostic ignored "-Wpsabi"

#define STRATA_CONCAT_(a, b) a##_##b
#define STRATA_CONCAT(a, b) STRATA_CONCAT_(a, b)
#define STRATA_NAME(x) STRATA_CONCAT(x, STRATA_SET)

// The kinds of kernels. A matrix is a layer without state, activation and lengths.
typedef enum kernel {
  RNN_TANH = STRATA_RNN_TANH,
  RNN_RELU = STRATA_RNN_RELU,
  LSTM = STRATA_LSTM,
  GRU = STRATA_GRU,
  GRU_RESET_BEFORE = STRATA_GRU_RESET_BEFORE,
  LINEAR,
} kernel;

#define IS_GRU(kind) ((kind) == GRU || (kind) == GRU_RESET_BEFORE)
#define GATES(kind) ((kind) == LSTM ? 4 : IS_GRU(kind) ? 3 : 1)
#define ACCUMULATORS(kind) ((kind) == LSTM || IS_GRU(kind) ? 4 : 1)
// Floats of weights for each unit.
#define UNIT_SIZE(kind, layer) \
  (ACCUMULATORS(kind) + GATES(kind) * ((layer)->input_size + (layer)->state_size))
#define PADDED(size) (((size) + STRATA_PANEL - 1) / STRATA_PANEL * STRATA_PANEL)

// What a pass over the panels does: the terms of the input into memory, the state's on top of
// those, or both at once.
typedef enum part { INPUT, STATE, BOTH } part;

// The rows of lanes, or of lanes at several steps, that go through the panels together.
typedef struct rows {
  size_t count;
  bool is_first;      // of steps from zero: the products of the state are zeros
  bool is_backwards;  // the last panels come first
  const float *input[STRATA_ROWS];
  float *terms[STRATA_ROWS];
  const float *hidden[STRATA_ROWS];
  float *reset[STRATA_ROWS];
  float *cell[STRATA_ROWS];
  float *next[STRATA_ROWS];
  float *cells[STRATA_ROWS];
  float *gates[STRATA_ROWS];
} rows;

size_t strata_terms_size(const strata_layer *layer) {
  return ACCUMULATORS((kernel)layer->cell) * PADDED(layer->hidden_size);
}

#define SWAP(type, a, b) \
  do {                   \
    type swapped = a;    \
    a = b;               \
    b = swapped;         \
  } while (0)

// Of so many products, how many are a block; Arithmetic.md says why.
#define BLOCK(count) ((count) <= 64 ? 16 : (count) <= 128 ? 32 : 64)

// Weights of more bytes come from outer caches: they are asked for so many floats ahead.
#define IS_FAR(kind, layer) (UNIT_SIZE(kind, layer) * (layer)->hidden_size * 4 > FAR)
#ifndef FAR
#define FAR (256 << 10)
#endif
#ifndef AHEAD
#define AHEAD 512
#endif

#define STRATA_KERNELS(set)                                                              \
  static const strata_kernels kernels_##set = {#set, run_layer_##set, run_linear_##set, \
                                               run_chain_##set, activate_##set}

// TILE and PANELS: how many accumulators of 16 floats, and for one row how many panels of several
// gates, keep the registers busy.

// 16 vectors of 4 and no fused multiply-add, or arm64's 32 with it.
#if defined(__FMA__) || defined(__aarch64__)
#define STRATA_HAS_FMA 1
#else
#define STRATA_HAS_FMA 0
#endif
#define STRATA_SET portable
#define TILE 6
#define PANELS 1
#include "body.h"
#undef STRATA_SET
#undef TILE
#undef PANELS
#undef STRATA_HAS_FMA
STRATA_KERNELS(portable);

#if defined(__x86_64__)

#define STRATA_HAS_FMA 1

// 16 vectors of 8: an accumulator takes two.
#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)
#define STRATA_SET avx2
#define TILE 6
#define PANELS 1
#include "body.h"
#undef STRATA_SET
#undef TILE
#undef PANELS
#pragma clang attribute pop
STRATA_KERNELS(avx2);

// 32 vectors of 16.
#pragma clang attribute push(__attribute__((target("avx512f,avx512vl,avx512dq,fma"))), \
                             apply_to = function)
#define STRATA_SET avx512
#define TILE 24
#define PANELS 2
#include "body.h"
#undef STRATA_SET
#undef TILE
#undef PANELS
#pragma clang attribute pop
STRATA_KERNELS(avx512);

const strata_kernels *strata_kernels_at(size_t index) {
  const strata_kernels *available[3];
  size_t count = 0;
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
      __builtin_cpu_supports("avx512dq"))
    available[count++] = &kernels_avx512;
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
    available[count++] = &kernels_avx2;
  available[count++] = &kernels_portable;
  return index < count ? available[index] : NULL;
}

#else

// On arm64 the portable kernels are NEON code: fused multiply-add is part of the instruction set.
const strata_kernels *strata_kernels_at(size_t index) {
  return index == 0 ? &kernels_portable : NULL;
}

#endif

// The rounding mode, flush-to-zero and the traps stand in one register.
#if defined(__x86_64__)

// The processor's default: nearest, subnormals kept, every trap masked. Nearly every caller has it
// already, and writing costs more than reading; the lowest bits only tell what happened.
static bool is_default(uint64_t state) { return (state & ~0x3FULL) == 0x1F80; }

uint64_t strata_enter_float_state(void) {
  uint32_t state = _mm_getcsr();
  if (!is_default(state)) _mm_setcsr(0x1F80);
  return state;
}

void strata_restore_float_state(uint64_t state) {
  if (!is_default(state)) _mm_setcsr((uint32_t)state);
}

#elif defined(__aarch64__)

uint64_t strata_enter_float_state(void) {
  uint64_t state;
  __asm__ volatile("mrs %0, fpcr" : "=r"(state));
  __asm__ volatile("msr fpcr, %0" : : "r"((uint64_t)0));
  return state;
}

void strata_restore_float_state(uint64_t state) {
  __asm__ volatile("msr fpcr, %0" : : "r"(state));
}

#else

uint64_t strata_enter_float_state(void) { return 0; }
void strata_restore_float_state(uint64_t state) { (void)state; }

#endif
