// The activations of one vector, compiled for each instruction set and vector width by body.h.
//
// They rest on e^x for x <= 0: with n the integer nearest to x / ln 2 and r = x - n ln 2, at most
// 0.35, it is 2^n * (1 + t), t = e^r - 1 being a polynomial. Nothing but add, multiply, fused
// multiply-add, divide and shifts of exponents: no estimates, whose bits differ between processors.

// e^x for x <= 0, NaN for NaN.
INLINE VECTOR VECTOR_NAME(exp_nonpositive)(VECTOR x) {
  x = x < -104.0f ? (VECTOR)(-104.0f) : x;
  // Adding and taking away 1.5 * 2^23 rounds to an integer, which then stands in the lowest bits.
  const VECTOR magic = 0x1.8p23f;
  VECTOR shifted = fma_(x, (VECTOR)(0x1.715476p0f), magic);
  VECTOR n = shifted - magic;
  VECTOR r = fma_(n, (VECTOR)(-0x1.62e4p-1f), x);
  r = fma_(n, (VECTOR)(-0x1.7f7d1cp-20f), r);
  VECTOR square = r * r;
  VECTOR low = fma_((VECTOR)(0x1.555492p-3f), r, (VECTOR)(0x1.fffffcp-2f));
  VECTOR high = fma_((VECTOR)(0x1.123a2p-7f), r, (VECTOR)(0x1.5558f2p-5f));
  high = fma_((VECTOR)(0x1.6a23d2p-10f), square, high);
  low = fma_(high, square, low);
  VECTOR t = fma_(low, square, r);
  // By 2^(n + 40), which is always normal, and then by 2^-40: a subnormal result is rounded here.
  VECTOR factor = (VECTOR)(((BITS)(INTEGERS)shifted - 0x4B400000u + (127 + 40)) << 23);
  return fma_(t, factor, factor) * 0x1p-40f;
}

// tanh(x) for |x| <= 1: x + x^3 p(x^2), with p fitted to (tanh(x) / x - 1) / x^2.
INLINE VECTOR VECTOR_NAME(small_tanh)(VECTOR x) {
  VECTOR square = x * x;
  VECTOR p = fma_((VECTOR)(-0x1.77d4c6p-12f), square, (VECTOR)(0x1.2da29cp-9f));
  p = fma_(p, square, (VECTOR)(-0x1.04608cp-7f));
  p = fma_(p, square, (VECTOR)(0x1.6009c4p-6f));
  p = fma_(p, square, (VECTOR)(-0x1.b9623cp-5f));
  p = fma_(p, square, (VECTOR)(0x1.110be4p-3f));
  p = fma_(p, square, (VECTOR)(-0x1.55553cp-2f));
  return fma_(x * square, p, x);
}

// 1 / (1 + e^-x). With e = e^-|x| and q = e / (1 + e) it is 1 - q for positive x and e - e q for
// negative ones.
INLINE VECTOR VECTOR_NAME(sigmoid)(VECTOR x) {
  VECTOR e = VECTOR_NAME(exp_nonpositive)(-__builtin_elementwise_abs(x));
  VECTOR q = e / (1.0f + e);
  VECTOR whole = x < 0.0f ? e : (VECTOR)(1.0f);
  return fma_(-whole, q, whole);
}

// clip(slope x + 1/2, 0, 1), but NaN for NaN.
INLINE VECTOR VECTOR_NAME(hard_sigmoid)(VECTOR x, float slope) {
  VECTOR y = fma_((VECTOR)(slope), x, (VECTOR)(0.5f));
  y = y < 0.0f ? (VECTOR)(0.0f) : y;
  return y > 1.0f ? (VECTOR)(1.0f) : y;
}

// With e = e^-2|x| and q = e / (1 + e) it is 1 - 2 q for positive x.
INLINE VECTOR VECTOR_NAME(tanh)(VECTOR x) {
  VECTOR magnitude = __builtin_elementwise_abs(x);
  VECTOR e = VECTOR_NAME(exp_nonpositive)(-2.0f * magnitude);
  VECTOR large = fma_(e / (1.0f + e), (VECTOR)(-2.0f), (VECTOR)(1.0f));
  // The sum of the small one loses the sign of -0.
  return __builtin_elementwise_copysign(magnitude < 1.0f ? VECTOR_NAME(small_tanh)(x) : large, x);
}

// max(x, 0), but NaN for NaN as PyTorch has it.
INLINE VECTOR VECTOR_NAME(relu)(VECTOR x) { return x < 0.0f ? (VECTOR)(0.0f) : x; }
