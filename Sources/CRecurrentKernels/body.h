// The kernels, compiled once for each instruction set by kernels.c. STRATA_NAME(x) makes names
// unique.
//
// Values are vectors of 16 floats everywhere; the compiler splits them into the registers that the
// instruction set has. All operations are correctly rounded ones: add, multiply, fused
// multiply-add, divide. Every output has a lane of its own, so nothing depends on how lanes are
// grouped.

#define VECTOR STRATA_NAME(vector)
#define INTEGERS STRATA_NAME(integers)
#define BITS STRATA_NAME(bits)
typedef float VECTOR __attribute__((ext_vector_type(STRATA_PANEL), aligned(4)));
typedef int32_t INTEGERS __attribute__((ext_vector_type(STRATA_PANEL), aligned(4)));
typedef uint32_t BITS __attribute__((ext_vector_type(STRATA_PANEL), aligned(4)));
#define INLINE static inline __attribute__((always_inline))

#define fma_ __builtin_elementwise_fma
#define load(pointer) (*(const VECTOR *)(pointer))
#define store(pointer, value) (*(VECTOR *)(pointer) = (value))

// MARK: Activations

// e^x for x <= 0, NaN for NaN: x = n ln 2 + r, the Taylor polynomial of e^r, times 2^n.
INLINE VECTOR STRATA_NAME(exp_nonpositive)(VECTOR x) {
  x = x < -104.0f ? (VECTOR)(-104.0f) : x;
  // Adding and taking away 1.5 * 2^23 rounds to an integer.
  const VECTOR magic = 0x1.8p23f;
  VECTOR shifted = fma_(x, (VECTOR)(0x1.715476p0f), magic);
  VECTOR n = shifted - magic;
  VECTOR r = fma_(n, (VECTOR)(-0x1.62ep-1f), x);
  r = fma_(n, (VECTOR)(-0x1.0bfbe8p-15f), r);
  VECTOR p = 0x1.a01a02p-13f;
  p = fma_(p, r, (VECTOR)(0x1.6c16c2p-10f));
  p = fma_(p, r, (VECTOR)(0x1.111112p-7f));
  p = fma_(p, r, (VECTOR)(0x1.555556p-5f));
  p = fma_(p, r, (VECTOR)(0x1.555556p-3f));
  p = fma_(p, r, (VECTOR)(0.5f));
  p = fma_(p, r, (VECTOR)(1.0f));
  p = fma_(p, r, (VECTOR)(1.0f));
  // Two factors, so that a subnormal result is rounded once.
  INTEGERS exponent = (INTEGERS)shifted - (INTEGERS)magic;
  INTEGERS half = exponent >> 1;
  VECTOR first = (VECTOR)((BITS)(half + 127) << 23);
  VECTOR second = (VECTOR)((BITS)(exponent - half + 127) << 23);
  return p * first * second;
}

INLINE VECTOR STRATA_NAME(sigmoid)(VECTOR x) {
  VECTOR e = STRATA_NAME(exp_nonpositive)(-__builtin_elementwise_abs(x));
  return (x >= 0.0f ? (VECTOR)(1.0f) : e) / (1.0f + e);
}

INLINE VECTOR STRATA_NAME(tanh)(VECTOR x) {
  VECTOR magnitude = __builtin_elementwise_abs(x);
  VECTOR square = x * x;
  // (tanh(x) / x - 1) / x^2 as a polynomial of x^2, fitted for |x| <= 0.6.
  VECTOR p = 0x1.36bdb2p-9f;
  p = fma_(p, square, (VECTOR)(-0x1.1394cap-7f));
  p = fma_(p, square, (VECTOR)(0x1.64fad8p-6f));
  p = fma_(p, square, (VECTOR)(-0x1.ba0d94p-5f));
  p = fma_(p, square, (VECTOR)(0x1.1110f6p-3f));
  p = fma_(p, square, (VECTOR)(-0x1.555556p-2f));
  VECTOR small = fma_(x * square, p, x);
  VECTOR e = STRATA_NAME(exp_nonpositive)(-2.0f * magnitude);
  VECTOR large = (1.0f - e) / (1.0f + e);
  // The sum in `small` loses the sign of -0.
  return __builtin_elementwise_copysign(magnitude < 0.6f ? small : large, x);
}

// max(x, 0), but NaN for NaN as PyTorch has it.
INLINE VECTOR STRATA_NAME(relu)(VECTOR x) { return x < 0.0f ? (VECTOR)(0.0f) : x; }

// MARK: Sums of products

// Adds the products of `count` inputs with their weights to the accumulators of `lanes` lanes: in
// blocks of 32, each a chain of fused multiply-adds that begins at zero.
INLINE void STRATA_NAME(accumulate)(VECTOR *accumulators, const int gates, const int lanes,
                                    const float *weights, const float *const *inputs,
                                    size_t count) {
  for (size_t block = 0; block < count; block += 32) {
    size_t end = block + 32 < count ? block + 32 : count;
    VECTOR sums[4 * 4];
    for (int i = 0; i < gates * lanes; i++) sums[i] = 0.0f;
    for (size_t k = block; k < end; k++) {
      for (int gate = 0; gate < gates; gate++) {
        VECTOR weight = load(weights + (k * gates + gate) * STRATA_PANEL);
        for (int lane = 0; lane < lanes; lane++)
          sums[lane * gates + gate] =
              fma_(weight, (VECTOR)(inputs[lane][k]), sums[lane * gates + gate]);
      }
    }
    for (int i = 0; i < gates * lanes; i++) accumulators[i] += sums[i];
  }
}

// The rows of a linear map for `lanes` inputs; outputs are written a whole panel at a time.
INLINE void STRATA_NAME(multiply)(const int lanes, const float *weights, size_t input_size,
                                  size_t output_size, const float *const *inputs,
                                  float *const *outputs) {
  for (size_t unit = 0; unit < output_size; unit += STRATA_PANEL) {
    VECTOR sums[4];
    for (int lane = 0; lane < lanes; lane++) sums[lane] = load(weights);
    STRATA_NAME(accumulate)(sums, 1, lanes, weights + STRATA_PANEL, inputs, input_size);
    for (int lane = 0; lane < lanes; lane++) store(outputs[lane] + unit, sums[lane]);
    weights += STRATA_PANEL * (1 + input_size);
  }
}

// MARK: Layers

// Stores the units of a panel that exist.
INLINE void STRATA_NAME(store_units)(float *target, VECTOR values, size_t unit, size_t size) {
  memcpy(target + unit, &values,
         (size - unit < STRATA_PANEL ? size - unit : STRATA_PANEL) * sizeof(float));
}

// One step of `lanes` lanes. `next` receives h, or o * tanh(c) where a projection follows; `cells`
// and `gates` what goes on inside, or are NULL.
INLINE void STRATA_NAME(step)(const strata_layer *layer, const strata_cell kind, const int lanes,
                              const float *const *input, const float *const *hidden,
                              float *const *cell, float *const *next, float *const *cells,
                              float *const *gate_values) {
  const int gates = kind == STRATA_LSTM ? 4 : kind == STRATA_GRU ? 3 : 1;
  const int accumulators = kind == STRATA_GRU ? 4 : gates;
  const float *weights = layer->weights;
  const size_t inputs = layer->input_size, states = layer->state_size;
  const size_t units = layer->hidden_size;
  for (size_t unit = 0; unit < units; unit += STRATA_PANEL) {
    // The hidden terms of a GRU's n are a sum of their own: r multiplies them alone.
    VECTOR sums[4 * 4], hidden_n[4];
    for (int lane = 0; lane < lanes; lane++)
      for (int gate = 0; gate < gates; gate++)
        sums[lane * gates + gate] = load(weights + gate * STRATA_PANEL);
    if (kind == STRATA_GRU)
      for (int lane = 0; lane < lanes; lane++) hidden_n[lane] = load(weights + 3 * STRATA_PANEL);
    weights += accumulators * STRATA_PANEL;

    STRATA_NAME(accumulate)(sums, gates, lanes, weights, input, inputs);
    weights += inputs * gates * STRATA_PANEL;
    if (kind == STRATA_GRU) {
      VECTOR input_n[4];
      for (int lane = 0; lane < lanes; lane++) {
        input_n[lane] = sums[lane * 3 + 2];
        sums[lane * 3 + 2] = hidden_n[lane];
      }
      STRATA_NAME(accumulate)(sums, gates, lanes, weights, hidden, states);
      for (int lane = 0; lane < lanes; lane++) {
        VECTOR r = STRATA_NAME(sigmoid)(sums[lane * 3]);
        VECTOR z = STRATA_NAME(sigmoid)(sums[lane * 3 + 1]);
        VECTOR n = STRATA_NAME(tanh)(fma_(r, sums[lane * 3 + 2], input_n[lane]));
        store(next[lane] + unit, fma_(z, load(hidden[lane] + unit) - n, n));
        if (gate_values) {
          STRATA_NAME(store_units)(gate_values[lane], r, unit, units);
          STRATA_NAME(store_units)(gate_values[lane] + units, z, unit, units);
          STRATA_NAME(store_units)(gate_values[lane] + 2 * units, n, unit, units);
        }
      }
    } else {
      STRATA_NAME(accumulate)(sums, gates, lanes, weights, hidden, states);
      for (int lane = 0; lane < lanes; lane++) {
        const VECTOR *sum = sums + lane * gates;
        if (kind == STRATA_LSTM) {
          VECTOR i = STRATA_NAME(sigmoid)(sum[0]);
          VECTOR f = STRATA_NAME(sigmoid)(sum[1]);
          VECTOR g = STRATA_NAME(tanh)(sum[2]);
          VECTOR o = STRATA_NAME(sigmoid)(sum[3]);
          VECTOR c = fma_(f, load(cell[lane] + unit), i * g);
          store(cell[lane] + unit, c);
          store(next[lane] + unit, o * STRATA_NAME(tanh)(c));
          if (cells) STRATA_NAME(store_units)(cells[lane], c, unit, units);
          if (gate_values) {
            STRATA_NAME(store_units)(gate_values[lane], i, unit, units);
            STRATA_NAME(store_units)(gate_values[lane] + units, f, unit, units);
            STRATA_NAME(store_units)(gate_values[lane] + 2 * units, g, unit, units);
            STRATA_NAME(store_units)(gate_values[lane] + 3 * units, o, unit, units);
          }
        } else {
          store(next[lane] + unit,
                kind == STRATA_RNN_TANH ? STRATA_NAME(tanh)(*sum) : STRATA_NAME(relu)(*sum));
        }
      }
    }
    weights += states * gates * STRATA_PANEL;
  }
}

#define PADDED(size) (((size) + STRATA_PANEL - 1) / STRATA_PANEL * STRATA_PANEL)

// All steps of `lanes` neighbouring lanes, the first of which is `first`.
INLINE void STRATA_NAME(run_lanes)(const strata_layer *layer, const strata_cell kind,
                                   const int lanes, size_t steps, size_t first,
                                   strata_const_rows input, strata_rows output, float *hidden,
                                   float *cell, float *scratch, const strata_inside *inside) {
  const size_t hidden_row = PADDED(layer->state_size), cell_row = PADDED(layer->hidden_size);
  const size_t scratch_row = hidden_row > cell_row ? hidden_row : cell_row;
  const float *x[4];
  float *h[4], *c[4], *m[4], *next[4], *cells[4], *gates[4];
  const bool wants_cells = inside && inside->cells.base;
  const bool wants_gates = inside && inside->gates.base;
  for (int lane = 0; lane < lanes; lane++) {
    x[lane] = input.base + (ptrdiff_t)(first + lane) * input.lane_stride;
    h[lane] = hidden + (first + lane) * hidden_row;
    c[lane] = kind == STRATA_LSTM ? cell + (first + lane) * cell_row : NULL;
    next[lane] = scratch + (first + lane) * 2 * scratch_row;
    m[lane] = next[lane] + scratch_row;
    if (wants_cells)
      cells[lane] = inside->cells.base + (ptrdiff_t)(first + lane) * inside->cells.lane_stride;
    if (wants_gates)
      gates[lane] = inside->gates.base + (ptrdiff_t)(first + lane) * inside->gates.lane_stride;
  }
  for (size_t step = 0; step < steps; step++) {
    STRATA_NAME(step)(layer, kind, lanes, x, (const float *const *)h, c,
                      layer->projection ? m : next, wants_cells ? cells : NULL,
                      wants_gates ? gates : NULL);
    if (layer->projection)
      STRATA_NAME(multiply)(lanes, layer->projection, layer->hidden_size, layer->state_size,
                            (const float *const *)m, next);
    for (int lane = 0; lane < lanes; lane++) {
      memcpy(h[lane], next[lane], hidden_row * sizeof(float));
      memcpy(output.base + (ptrdiff_t)step * output.step_stride +
                 (ptrdiff_t)(first + lane) * output.lane_stride,
             h[lane], layer->state_size * sizeof(float));
      x[lane] += input.step_stride;
      if (wants_cells) cells[lane] += inside->cells.step_stride;
      if (wants_gates) gates[lane] += inside->gates.step_stride;
    }
  }
}

static void STRATA_NAME(run_layer)(const strata_layer *layer, size_t steps, size_t lanes,
                                   strata_const_rows input, strata_rows output, float *hidden,
                                   float *cell, float *scratch, const strata_inside *inside) {
  size_t lane = 0;
#define RUN(kind, count)                                                                       \
  for (; lane + (count) <= lanes; lane += (count))                                             \
  STRATA_NAME(run_lanes)(layer, kind, count, steps, lane, input, output, hidden, cell, scratch, \
                         inside)
#define CASE(kind) \
  case kind:       \
    RUN(kind, 4);  \
    RUN(kind, 1);  \
    break
  switch (layer->cell) {
    CASE(STRATA_RNN_TANH);
    CASE(STRATA_RNN_RELU);
    CASE(STRATA_LSTM);
    CASE(STRATA_GRU);
  }
#undef CASE
#undef RUN
}

// MARK: Linear maps

// Activates one row; softmax sums in order.
INLINE void STRATA_NAME(activate_row)(strata_activation activation, float *row, size_t count) {
  float largest = count ? row[0] : 0, total = 0;
  if (activation == STRATA_ACTIVATION_SOFTMAX)
    for (size_t i = 1; i < count; i++)
      // A NaN stays: it makes the whole row NaN.
      largest = row[i] > largest || row[i] != row[i] ? row[i] : largest;
  for (size_t start = 0; start < count; start += STRATA_PANEL) {
    size_t length = count - start < STRATA_PANEL ? count - start : STRATA_PANEL;
    VECTOR values = 0.0f;
    memcpy(&values, row + start, length * sizeof(float));
    switch (activation) {
      case STRATA_ACTIVATION_NONE: break;
      case STRATA_ACTIVATION_SIGMOID: values = STRATA_NAME(sigmoid)(values); break;
      case STRATA_ACTIVATION_TANH: values = STRATA_NAME(tanh)(values); break;
      case STRATA_ACTIVATION_RELU: values = STRATA_NAME(relu)(values); break;
      case STRATA_ACTIVATION_SOFTMAX:
        values = STRATA_NAME(exp_nonpositive)(values - largest);
        break;
    }
    memcpy(row + start, &values, length * sizeof(float));
  }
  if (activation == STRATA_ACTIVATION_SOFTMAX) {
    for (size_t i = 0; i < count; i++) total += row[i];
    for (size_t i = 0; i < count; i++) row[i] /= total;
  }
}

static void STRATA_NAME(activate)(strata_activation activation, float *values, size_t count) {
  STRATA_NAME(activate_row)(activation, values, count);
}

static void STRATA_NAME(run_linear)(const strata_linear *linear, size_t steps, size_t lanes,
                                    strata_const_rows input, strata_rows output) {
  const size_t panel = STRATA_PANEL * (1 + linear->input_size);
  for (size_t step = 0; step < steps; step++) {
    for (size_t lane = 0; lane < lanes; lane++) {
      const float *x = input.base + (ptrdiff_t)step * input.step_stride +
                       (ptrdiff_t)lane * input.lane_stride;
      float *y = output.base + (ptrdiff_t)step * output.step_stride +
                 (ptrdiff_t)lane * output.lane_stride;
      for (size_t unit = 0; unit < linear->output_size; unit += STRATA_PANEL) {
        const float *weights = linear->weights + unit / STRATA_PANEL * panel;
        float values[STRATA_PANEL];
        float *target = values;
        size_t left = linear->output_size - unit;
        STRATA_NAME(multiply)(1, weights, linear->input_size, STRATA_PANEL, &x, &target);
        memcpy(y + unit, values, (left < STRATA_PANEL ? left : STRATA_PANEL) * sizeof(float));
      }
      STRATA_NAME(activate_row)(linear->activation, y, linear->output_size);
    }
  }
}

#undef VECTOR
#undef INTEGERS
#undef BITS
#undef INLINE
#undef PADDED
#undef fma_
#undef load
#undef store
