// Panels of a GRU whose reset gate comes before the product; compiled for each instruction set and
// for both panel widths by body.h.
//
// n needs r * h of all units, so a step goes through the panels twice: r and z of all units, then n
// and h of all. The panels are those of any GRU; each pass reads its own columns of them.

// The sums of the gates of one panel for all rows, two a row: r and z, or the parts of n that come
// from the input and from r * h.
INLINE void VECTOR_NAME(gate_sums)(const bool of_n, const part part, const strata_layer *layer,
                                   size_t unit, const rows *rows, VECTOR *sums) {
  const int gates = GATES(GRU), accumulators = ACCUMULATORS(GRU), columns = of_n ? 1 : 2;
  const size_t size = UNIT_SIZE(GRU, layer);
  const float *biases = layer->weights + unit * size;
  // n r z of the input, r z n of the state.
  const float *input_weights = biases + (accumulators + (of_n ? 0 : 1)) * WIDTH;
  const float *state_weights =
      biases + (accumulators + layer->input_size * gates + (of_n ? 2 : 0)) * WIDTH;
  for (size_t row = 0; row < rows->count; row++) {
    const float *start = part == STATE ? rows->terms[row] + unit * accumulators : biases;
    sums[row * 4] = load(start + (of_n ? 0 : 1) * WIDTH);
    sums[row * 4 + 1] = load(start + (of_n ? 3 : 2) * WIDTH);
  }
  if (part != STATE)
    VECTOR_NAME(add_rows)(rows->count, columns, gates, 0, input_weights, rows->input,
                          layer->input_size, true, sums);
  if (of_n) {
    // Of a zero state too: where r is NaN, r * h is.
    VECTOR_NAME(add_rows)(rows->count, columns, gates, 0, state_weights,
                          (const float *const *)rows->reset, layer->state_size, false, sums + 1);
  } else if (!rows->is_first) {
    VECTOR_NAME(add_rows)(rows->count, columns, gates, 0, state_weights, rows->hidden,
                          layer->state_size, false, sums);
  } else {
    for (size_t row = 0; row < rows->count; row++)
      for (int i = 0; i < columns; i++) sums[row * 4 + i] += 0.0f;
  }
}

// Leaves r * h of a panel in `reset` and z in `next`.
INLINE void VECTOR_NAME(reset_panel)(const part part, const strata_layer *layer, size_t unit,
                                     const rows *rows, VECTOR *sums) {
  VECTOR_NAME(gate_sums)(false, part, layer, unit, rows, sums);
  const size_t units = layer->hidden_size;
  const bool hard = layer->hard_slope != 0;
  for (size_t row = 0; row < rows->count; row++) {
    VECTOR r = VECTOR_NAME(gate)(hard, layer, sums[row * 4]);
    VECTOR z = VECTOR_NAME(gate)(hard, layer, sums[row * 4 + 1]);
    store(rows->reset[row] + unit, r * load(rows->hidden[row] + unit));
    store(rows->next[row] + unit, z);
    if (rows->gates[row]) {
      VECTOR_NAME(store_units)(rows->gates[row], r, unit, units);
      VECTOR_NAME(store_units)(rows->gates[row] + units, z, unit, units);
    }
  }
}

// Makes h of a panel in `next`, where z is.
INLINE void VECTOR_NAME(new_panel)(const part part, const strata_layer *layer, size_t unit,
                                   const rows *rows, VECTOR *sums) {
  VECTOR_NAME(gate_sums)(true, part, layer, unit, rows, sums);
  const size_t units = layer->hidden_size;
  for (size_t row = 0; row < rows->count; row++) {
    float *next = rows->next[row] + unit;
    VECTOR n = VECTOR_NAME(tanh)(sums[row * 4] + sums[row * 4 + 1]);
    store(next, fma_(load(next), load(rows->hidden[row] + unit) - n, n));
    if (rows->gates[row])
      VECTOR_NAME(store_units)(rows->gates[row] + 2 * units, n, unit, units);
  }
}
