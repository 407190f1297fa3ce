// Matrices and rows of activations; compiled for each instruction set by body.h.

// Activates one row; softmax sums in order.
INLINE void STRATA_NAME(activate_row)(strata_activation activation, float *row, size_t count) {
  float largest = count ? row[0] : 0, total = 0;
  if (activation == STRATA_ACTIVATION_NONE) return;
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
      case STRATA_ACTIVATION_SIGMOID: values = VECTOR_NAME(sigmoid)(values); break;
      case STRATA_ACTIVATION_TANH: values = VECTOR_NAME(tanh)(values); break;
      case STRATA_ACTIVATION_RELU: values = VECTOR_NAME(relu)(values); break;
      case STRATA_ACTIVATION_SOFTMAX:
        values = VECTOR_NAME(exp_nonpositive)(values - largest);
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

// A sum of products in 16 lanes, which then are added in halves. `padded`: the input may be read up
// to a multiple of 16. What stands there are places of units that do not exist: zeros, but NaN
// where the network met an infinity.
INLINE float STRATA_NAME(dot)(const float *weights, const float *input, size_t count,
                              const bool padded) {
  typedef STRATA_NAME(vector_8) eight;
  typedef float __attribute__((ext_vector_type(4))) four;
  eight low = 0.0f, high = 0.0f;
  size_t k = 0;
  if (count >= STRATA_PANEL) {
    VECTOR sum = 0.0f;
    for (; k + STRATA_PANEL <= count; k += STRATA_PANEL)
      sum = fma_(load(weights + k), load(input + k), sum);
    low = sum.lo;
    high = sum.hi;
  }
  for (; k < count; k += STRATA_HALF_PANEL) {
    const size_t left = count - k;
    eight rest = 0.0f;
    if (padded) {
      const STRATA_NAME(integers_8) place = {0, 1, 2, 3, 4, 5, 6, 7};
      rest = place < (STRATA_NAME(integers_8))(int32_t)left ? *(const eight *)(input + k) : rest;
    } else {
      memcpy(&rest, input + k, (left < STRATA_HALF_PANEL ? left : STRATA_HALF_PANEL) * 4);
    }
    eight *half = k % STRATA_PANEL ? &high : &low;
    *half = FMA_8(*(const eight *)(weights + k), rest, *half);
  }
  const eight sums = low + high;
  const four pairs = sums.lo + sums.hi;
  return (pairs.x + pairs.z) + (pairs.y + pairs.w);
}

// A matrix of few rows for one input.
INLINE void STRATA_NAME(few_rows)(const strata_linear *linear, const float *input, float *output,
                                  const bool padded) {
  const size_t stride = PADDED(linear->input_size);
  const float *biases = linear->weights + linear->output_size * stride;
  for (size_t row = 0; row < linear->output_size; row++)
    output[row] = STRATA_NAME(dot)(linear->weights + row * stride, input, linear->input_size,
                                   padded) +
                  biases[row];
  STRATA_NAME(activate_row)(linear->activation, output, linear->output_size);
}

static void STRATA_NAME(run_linear)(const strata_linear *linear, size_t steps, size_t lanes,
                                    strata_const_rows input, strata_rows output) {
  const strata_layer matrix = {.input_size = linear->input_size,
                               .hidden_size = linear->output_size,
                               .weights = linear->weights};
  rows rows;
  rows.is_first = rows.is_backwards = false;
  rows.count = 0;
  for (size_t step = 0; step < steps; step++)
    for (size_t lane = 0; lane < lanes; lane++) {
      const float *x = input.base + (ptrdiff_t)step * input.step_stride +
                       (ptrdiff_t)lane * input.lane_stride;
      float *y = output.base + (ptrdiff_t)step * output.step_stride +
                 (ptrdiff_t)lane * output.lane_stride;
      if (linear->output_size < STRATA_FEW_ROWS) {
        STRATA_NAME(few_rows)(linear, x, y, false);
        continue;
      }
      rows.input[rows.count] = x;
      rows.next[rows.count++] = y;
      if (rows.count < STRATA_ROWS && !(step + 1 == steps && lane + 1 == lanes)) continue;
      STRATA_NAME(step_LINEAR)(&matrix, &rows);
      for (size_t row = 0; row < rows.count; row++)
        STRATA_NAME(activate_row)(linear->activation, rows.next[row], linear->output_size);
      rows.count = 0;
    }
}
