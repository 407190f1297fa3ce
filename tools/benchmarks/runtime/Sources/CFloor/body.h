// The two measurements for one instruction set. Before it is included, once for each, these are
// defined: SET, its name; TARGET, the attribute that turns it on; WIDTH, bytes of its vectors;
// CHAINS, how many sums are under way at once: enough to hide how long one operation takes, few
// enough to stay in registers; FUSED(a, b, c), a * b + c.

typedef float NAME(vector) __attribute__((vector_size(WIDTH)));

TARGET static double NAME(arithmetic)(double seconds) {
  // Read from volatile memory, so that the compiler cannot compute the result itself. The sums
  // tend to one.
  volatile float half = 0.5f;
  NAME(vector) factor, sums[CHAINS];
  for (size_t lane = 0; lane < WIDTH / sizeof(float); lane++) factor[lane] = half;
  for (int chain = 0; chain < CHAINS; chain++) sums[chain] = factor;
  const int rounds = 10000;
  double operations = 0, begin = now(), elapsed;
  do {
    for (int round = 0; round < rounds; round++) {
#pragma clang loop unroll(full)
      for (int chain = 0; chain < CHAINS; chain++) {
        sums[chain] = FUSED(sums[chain], factor, factor);
      }
    }
    operations += 2.0 * rounds * CHAINS * (WIDTH / sizeof(float));
    elapsed = now() - begin;
  } while (elapsed < seconds);
  for (int chain = 1; chain < CHAINS; chain++) sums[0] += sums[chain];
  sink = sums[0][0];
  return operations / elapsed;
}

TARGET static double NAME(reading)(const void *memory, size_t bytes, double seconds) {
  const NAME(vector) *vectors = memory;
  const size_t count = bytes / WIDTH;
  const size_t passes = bytes < MEBIBYTE ? MEBIBYTE / bytes : 1;
  NAME(vector) sums[READS] = {0};
  double read = 0, begin = now(), elapsed;
  do {
    for (size_t pass = 0; pass < passes; pass++) {
      for (size_t index = 0; index < count; index += READS) {
#pragma clang loop unroll(full)
        for (int chain = 0; chain < READS; chain++) sums[chain] += vectors[index + chain];
      }
      // Every pass reads anew.
      __asm__ volatile("" ::: "memory");
    }
    read += (double)passes * bytes;
    elapsed = now() - begin;
  } while (elapsed < seconds);
  for (int chain = 1; chain < READS; chain++) sums[0] += sums[chain];
  sink = sums[0][0];
  return read / elapsed;
}

#undef SET
#undef TARGET
#undef WIDTH
#undef CHAINS
#undef FUSED
