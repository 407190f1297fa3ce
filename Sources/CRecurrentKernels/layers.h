// Steps and lanes through a layer; compiled for each instruction set by body.h.

// The panels of one step from unit `first` to `end`, several at a time where that fills the
// registers. Every other step goes backwards: it begins with the weights that the last one left
// in the caches.
INLINE void STRATA_NAME(panels)(const kernel kind, const bool single, const part part,
                                const size_t ahead, const strata_layer *layer, size_t first,
                                size_t end, const rows *rows) {
  // The sums of many rows stand in memory, those of one in registers.
  _Alignas(64) float memory[single ? 1 : STRATA_ROWS * 4 * STRATA_PANEL];
  const size_t most = GATES(kind) == 1 ? 4 : single ? PANELS : 1;
  const size_t whole = (end - first) / STRATA_PANEL;
  size_t from = 0, to = (end - first + STRATA_PANEL - 1) / STRATA_PANEL;
  const bool back = rows->is_backwards;
#define PANEL(width, panels)                                                              \
  do {                                                                                   \
    STRATA_NAME(vector_##width) registers[4 * panels];                                   \
    STRATA_NAME(panel_##width)(kind, panels, single, part, ahead, layer, unit, rows,     \
                               single ? registers                                        \
                                      : (STRATA_NAME(vector_##width) *)memory);          \
  } while (0)
// Panels that are taken together are whole and begin at a multiple of their number.
#define FITS(count) (count <= most && edge % count == 0 && (back ? edge : edge + count) <= whole)
  while (from < to) {
    const size_t edge = back ? to : from;
    const size_t taken = FITS(4) ? 4 : FITS(2) ? 2 : 1;
    if (back)
      to -= taken;
    else
      from += taken;
    const size_t unit = first + (back ? to : edge) * STRATA_PANEL;
    if (taken == 4 && most == 4)
      PANEL(16, 4);
    else if (taken == 2 && most > 1)
      PANEL(16, 2);
    else if (end - unit > STRATA_HALF_PANEL)
      PANEL(16, 1);
    else
      PANEL(8, 1);
  }
#undef FITS
#undef PANEL
}

// One function for each kind, part and number of rows; one row has another for weights that come
// from afar, and none for hard sigmoids: it takes the one of many rows, which gives the same bits.
#define STEP(kind)                                                                            \
  static void STRATA_NAME(step_##kind)(part part, const strata_layer *layer, size_t first,    \
                                       size_t end, const rows *rows) {                        \
    if (rows->count > 1 || layer->hard_slope != 0) {                                          \
      if (part == BOTH)                                                                       \
        STRATA_NAME(panels)(kind, false, BOTH, 0, layer, first, end, rows);                   \
      else if (part == INPUT)                                                                 \
        STRATA_NAME(panels)(kind, false, INPUT, 0, layer, first, end, rows);                  \
      else                                                                                    \
        STRATA_NAME(panels)(kind, false, STATE, 0, layer, first, end, rows);                  \
    } else if (part == INPUT) {                                                               \
      STRATA_NAME(panels)(kind, true, INPUT, 0, layer, first, end, rows);                     \
    } else if (IS_FAR(kind, layer)) {                                                         \
      if (part == BOTH)                                                                       \
        STRATA_NAME(panels)(kind, true, BOTH, AHEAD, layer, first, end, rows);                \
      else                                                                                    \
        STRATA_NAME(panels)(kind, true, STATE, AHEAD, layer, first, end, rows);               \
    } else {                                                                                  \
      if (part == BOTH)                                                                       \
        STRATA_NAME(panels)(kind, true, BOTH, 0, layer, first, end, rows);                    \
      else                                                                                    \
        STRATA_NAME(panels)(kind, true, STATE, 0, layer, first, end, rows);                   \
    }                                                                                         \
  }
STEP(RNN_TANH)
STEP(RNN_RELU)
STEP(LSTM)
STEP(GRU)
#undef STEP

// One of the two passes of a GRU whose reset gate comes before the product.
INLINE void STRATA_NAME(pass)(const bool of_n, const part part, const strata_layer *layer,
                              size_t first, size_t end, const rows *rows) {
  _Alignas(64) float memory[STRATA_ROWS * 4 * STRATA_PANEL];
#define PANEL(width)                                                                   \
  do {                                                                                 \
    STRATA_NAME(vector_##width) *sums = (STRATA_NAME(vector_##width) *)memory;         \
    if (of_n)                                                                          \
      STRATA_NAME(new_panel_##width)(part, layer, unit, rows, sums);                   \
    else                                                                               \
      STRATA_NAME(reset_panel_##width)(part, layer, unit, rows, sums);                 \
  } while (0)
  const size_t panels = (end - first + STRATA_PANEL - 1) / STRATA_PANEL;
  for (size_t panel = 0; panel < panels; panel++) {
    const size_t unit =
        first + (rows->is_backwards ? panels - 1 - panel : panel) * STRATA_PANEL;
    if (end - unit > STRATA_HALF_PANEL)
      PANEL(16);
    else
      PANEL(8);
  }
#undef PANEL
}

#define PASS(name, of_n)                                                                 \
  static void STRATA_NAME(name)(part part, const strata_layer *layer, size_t first,      \
                                size_t end, const rows *rows) {                          \
    if (part == BOTH)                                                                    \
      STRATA_NAME(pass)(of_n, BOTH, layer, first, end, rows);                            \
    else                                                                                 \
      STRATA_NAME(pass)(of_n, STATE, layer, first, end, rows);                           \
  }
PASS(pass_reset, false)
PASS(pass_new, true)
#undef PASS

static void STRATA_NAME(step_LINEAR)(const strata_layer *layer, const rows *rows) {
  if (rows->count > 1)
    STRATA_NAME(panels)(LINEAR, false, BOTH, 0, layer, 0, layer->hidden_size, rows);
  else
    STRATA_NAME(panels)(LINEAR, true, BOTH, 0, layer, 0, layer->hidden_size, rows);
}

// What comes before a step, where anything does; threads that share the units wait behind it.
INLINE bool STRATA_NAME(prepare)(part part, const strata_layer *layer, size_t first, size_t end,
                                 const rows *rows) {
  if (layer->cell != STRATA_GRU_RESET_BEFORE) return false;
  STRATA_NAME(pass_reset)(part, layer, first, end, rows);
  return true;
}

INLINE void STRATA_NAME(step)(part part, const strata_layer *layer, size_t first, size_t end,
                              const rows *rows) {
  switch (layer->cell) {
    case STRATA_RNN_TANH: return STRATA_NAME(step_RNN_TANH)(part, layer, first, end, rows);
    case STRATA_RNN_RELU: return STRATA_NAME(step_RNN_RELU)(part, layer, first, end, rows);
    case STRATA_LSTM: return STRATA_NAME(step_LSTM)(part, layer, first, end, rows);
    case STRATA_GRU: return STRATA_NAME(step_GRU)(part, layer, first, end, rows);
    case STRATA_GRU_RESET_BEFORE:
      return part == INPUT ? STRATA_NAME(step_GRU)(INPUT, layer, first, end, rows)
                           : STRATA_NAME(pass_new)(part, layer, first, end, rows);
  }
}

// h = W_hr m for rows whose `next` holds m.
static void STRATA_NAME(project)(const strata_layer *layer, rows *rows, float *next,
                                 size_t next_stride, const size_t *lanes) {
  const strata_layer matrix = {.input_size = layer->hidden_size,
                               .hidden_size = layer->state_size,
                               .weights = layer->projection};
  for (size_t row = 0; row < rows->count; row++) {
    rows->input[row] = rows->next[row];
    rows->next[row] = next + lanes[row] * next_stride;
  }
  STRATA_NAME(step_LINEAR)(&matrix, rows);
}

// A group of at most STRATA_ROWS lanes through all steps.
static void STRATA_NAME(run_group)(const strata_layer *layer, const strata_state *state,
                                   const strata_run *run, const size_t *lanes, size_t count) {
  const size_t first = run->first_unit, end = run->end_unit;
  const size_t terms_size = strata_terms_size(layer);
  const size_t length = layer->projection ? layer->state_size : end - first;
  float *hidden = state->hidden + (layer->projection ? 0 : first);
  float *next = state->next + (layer->projection ? 0 : first);
  float *whole_hidden = state->hidden, *whole_next = state->next;
  // With many lanes a step fills the tiles by itself; else the terms of the input of several steps
  // are made at once, unless that would not save any way.
  const bool apart = run->steps > 1 && count <= STRATA_ROWS / 2 &&
                     layer->input_size * end >= 4096;
  const size_t ahead = apart ? STRATA_ROWS / count : 1;
  rows rows;
  rows.is_first = false;
#define LENGTH(lane) (run->lengths ? run->lengths[lane] : run->steps)
#define PLACE(rows, step, lane)                                                              \
  ((rows).base + (ptrdiff_t)(run->reverse ? LENGTH(lane) - 1 - (step) : (step)) *            \
                     (rows).step_stride + (ptrdiff_t)(lane) * (rows).lane_stride)
  size_t active = count;
  for (size_t step = 0; step < run->steps; step++) {
    // The lanes stand in the order of falling length.
    while (active && LENGTH(lanes[active - 1]) <= step) active--;
    if (!active) break;
    if (apart && step % ahead == 0) {
      rows.count = 0;
      rows.is_backwards = false;
      for (size_t later = step; later < step + ahead && later < run->steps; later++)
        for (size_t i = 0; i < active && LENGTH(lanes[i]) > later; i++) {
          rows.input[rows.count] = PLACE(run->input, later, lanes[i]);
          rows.terms[rows.count] =
              run->terms + ((later - step) * count + i) * terms_size;
          rows.count++;
        }
      STRATA_NAME(step)(INPUT, layer, first, end, &rows);
    }
    rows.count = active;
    rows.is_first = state->is_zero && layer->has_finite_state_weights && step == 0;
    rows.is_backwards = step % 2 == 1;
    for (size_t i = 0; i < active; i++) {
      size_t lane = lanes[i];
      rows.input[i] = PLACE(run->input, step, lane);
      rows.terms[i] = run->terms + (step % ahead * count + i) * terms_size;
      rows.hidden[i] = whole_hidden + lane * state->hidden_stride;
      if (state->reset) rows.reset[i] = state->reset + lane * state->hidden_stride;
      rows.cell[i] = state->cell ? state->cell + lane * state->cell_stride : NULL;
      rows.next[i] = layer->projection ? state->unprojected + lane * state->cell_stride
                                       : whole_next + lane * state->hidden_stride;
      rows.cells[i] = run->cells.base ? PLACE(run->cells, step, lane) : NULL;
      rows.gates[i] = run->gates.base ? PLACE(run->gates, step, lane) : NULL;
    }
    const part part = apart ? STATE : BOTH;
    if (STRATA_NAME(prepare)(part, layer, first, end, &rows) && run->wait)
      run->wait(run->context);
    STRATA_NAME(step)(part, layer, first, end, &rows);
    if (layer->projection)
      STRATA_NAME(project)(layer, &rows, whole_next, state->hidden_stride, lanes);
    if (run->wait) run->wait(run->context);
    for (size_t i = 0; i < active; i++) {
      const float *value = next + lanes[i] * state->hidden_stride;
      memcpy(PLACE(run->output, step, lanes[i]) + (layer->projection ? 0 : first), value,
             length * sizeof(float));
      // A lane that ends keeps its last state where it was.
      if (run->lengths)
        memcpy(hidden + lanes[i] * state->hidden_stride, value, length * sizeof(float));
    }
    if (!run->lengths) {
      SWAP(float *, hidden, next);
      SWAP(float *, whole_hidden, whole_next);
    }
  }
  if (whole_hidden != state->hidden)
    for (size_t i = 0; i < count; i++)
      memcpy(next + lanes[i] * state->hidden_stride, hidden + lanes[i] * state->hidden_stride,
             length * sizeof(float));
  if (run->lengths)
    for (size_t i = 0; i < count; i++)
      for (size_t step = LENGTH(lanes[i]); step < run->steps; step++)
        memset(run->output.base + (ptrdiff_t)step * run->output.step_stride +
                   (ptrdiff_t)lanes[i] * run->output.lane_stride,
               0, layer->state_size * sizeof(float));
#undef LENGTH
#undef PLACE
}

static void STRATA_NAME(run_layer)(const strata_layer *layer, const strata_state *state,
                                   const strata_run *run) {
  // Groups of like size.
  const size_t groups = (run->lanes + STRATA_ROWS - 1) / STRATA_ROWS;
  for (size_t group = 0; group < groups; group++) {
    size_t from = group * run->lanes / groups, to = (group + 1) * run->lanes / groups;
    size_t lanes[STRATA_ROWS];
    for (size_t i = from; i < to; i++) lanes[i - from] = run->order ? run->order[i] : i;
    STRATA_NAME(run_group)(layer, state, run, lanes, to - from);
  }
}
