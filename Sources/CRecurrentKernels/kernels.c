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

#define STRATA_KERNELS(set)                                                  \
  static const strata_kernels kernels_##set = {#set, run_layer_##set, run_linear_##set, \
                                               activate_##set}

#define STRATA_SET portable
#include "body.h"
#undef STRATA_SET
STRATA_KERNELS(portable);

#if defined(__x86_64__)

#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)
#define STRATA_SET avx2
#include "body.h"
#undef STRATA_SET
#pragma clang attribute pop
STRATA_KERNELS(avx2);

#pragma clang attribute push(__attribute__((target("avx512f,avx512vl,avx512dq,fma"))), \
                             apply_to = function)
#define STRATA_SET avx512
#include "body.h"
#undef STRATA_SET
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

uint64_t strata_enter_float_state(void) {
  uint32_t state = _mm_getcsr();
  _mm_setcsr(0x1F80);  // The processor's default: nearest, subnormals kept, every trap masked.
  return state;
}

void strata_restore_float_state(uint64_t state) { _mm_setcsr((uint32_t)state); }

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
