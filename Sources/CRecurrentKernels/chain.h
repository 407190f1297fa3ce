// Whole models for one lane, step by step; compiled for each instruction set by body.h.

// Copies as many units as were just written, in pieces as they were written: a processor hands on
// what it still has to store to a load of no more than one store.
INLINE void STRATA_NAME(copy_units)(float *target, const float *source, size_t count) {
  size_t unit = 0;
  for (; unit + STRATA_HALF_PANEL < count; unit += STRATA_PANEL)
    *(STRATA_NAME(vector_16) *)(target + unit) = *(const STRATA_NAME(vector_16) *)(source + unit);
  if (unit < count)
    *(STRATA_NAME(vector_8) *)(target + unit) = *(const STRATA_NAME(vector_8) *)(source + unit);
}

static void STRATA_NAME(run_chain)(strata_stage *stages, size_t count,
                                   const strata_linear *head, size_t steps, const float *input,
                                   float *output) {
  const size_t input_size = stages[0].layer.input_size;
  const size_t output_size = head ? head->output_size : stages[count - 1].layer.state_size;
  const size_t lane = 0;
  rows rows;
  for (size_t step = 0; step < steps; step++) {
    const float *x = input + step * input_size;
    float *y = output + step * output_size;
    for (size_t i = 0; i < count; i++) {
      const strata_layer *layer = &stages[i].layer;
      const strata_state *state = &stages[i].state;
      rows.count = 1;
      rows.is_backwards = stages[i].is_backwards = !stages[i].is_backwards;
      rows.is_first = state->is_zero && layer->has_finite_state_weights && step == 0;
      rows.input[0] = x;
      rows.hidden[0] = state->hidden;
      rows.reset[0] = state->reset;
      rows.cell[0] = state->cell;
      // A single panel reads all of h before it writes: that may be in place, but for a GRU that
      // keeps z there.
      const bool in_place = !layer->projection && layer->hidden_size <= STRATA_PANEL &&
                            layer->cell != STRATA_GRU_RESET_BEFORE;
      rows.next[0] = in_place             ? state->hidden
                     : layer->projection ? state->unprojected
                                         : state->next;
      rows.cells[0] = rows.gates[0] = NULL;
      STRATA_NAME(prepare)(BOTH, layer, 0, layer->hidden_size, &rows);
      STRATA_NAME(step)(BOTH, layer, 0, layer->hidden_size, &rows);
      if (layer->projection)
        STRATA_NAME(project)(layer, &rows, state->next, state->hidden_stride, &lane);
      if (!in_place) STRATA_NAME(copy_units)(state->hidden, state->next, layer->state_size);
      x = state->hidden;
    }
    if (!head) {
      memcpy(y, x, output_size * sizeof(float));
    } else if (output_size < STRATA_FEW_ROWS) {
      STRATA_NAME(few_rows)(head, x, y, true);
    } else {
      STRATA_NAME(run_linear)(head, 1, 1, (strata_const_rows){x, 0, 0}, (strata_rows){y, 0, 0});
    }
  }
}
