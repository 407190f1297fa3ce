// Panels: sums of products and the gates at their end; compiled for each instruction set and for
// both panel widths by body.h.
//
// A panel's sums stand in accumulators, one vector each. The weights that one input meets are
// `columns`: the gates of a panel, which stand side by side, and those of the next panels where
// several are taken together, `panel_size` floats further. Every output has a lane of its own, so
// nothing depends on how rows, columns and lanes are grouped; what counts is the order of k, and
// the blocks.
#define COLUMN(column) ((column) / gates * panel_size + (column) % gates * WIDTH)
#define ACCUMULATOR(column) ((column) / gates * accumulators + (column) % gates)

// Adds to the sums of `rows` x `columns` the products of one block of k: a chain of fused
// multiply-adds that begins at zero, or with the sums where it `continues` them. All of them have
// to fit into registers (TILE).
INLINE void VECTOR_NAME(add_block)(const int rows, const int columns, const int gates,
                                   const int accumulators, size_t panel_size,
                                   const float *weights, const float *const *inputs, size_t from,
                                   size_t to, const bool continues, const size_t ahead,
                                   VECTOR *sums) {
  VECTOR block[TILE * STRATA_PANEL / WIDTH];
  const float *x[6];
  for (int row = 0; row < rows; row++) x[row] = inputs[row] + from;
  for (int row = 0; row < rows; row++)
    for (int column = 0; column < columns; column++)
      block[row * columns + column] =
          continues ? sums[row * 4 + ACCUMULATOR(column)] : (VECTOR)(0.0f);
  weights += from * gates * WIDTH;
  // A step of the loop fills the processor's window; unrolled it was not faster.
#pragma clang loop unroll(disable)
  for (size_t k = 0; k < to - from; k++, weights += gates * WIDTH) {
    for (int column = 0; column < columns; column++) {
      VECTOR weight = load(weights + COLUMN(column));
      if (ahead) __builtin_prefetch(weights + COLUMN(column) + ahead);
      for (int row = 0; row < rows; row++) {
        VECTOR *sum = block + row * columns + column;
        *sum = fma_(weight, (VECTOR)(x[row][k]), *sum);
      }
    }
  }
  for (int row = 0; row < rows; row++)
    for (int column = 0; column < columns; column++) {
      VECTOR *sum = sums + row * 4 + ACCUMULATOR(column);
      *sum = continues ? block[row * columns + column] : *sum + block[row * columns + column];
    }
}

// All blocks of one row; `begins`: the sums are the start value still.
INLINE void VECTOR_NAME(add_row)(const int columns, const int gates, const int accumulators,
                                 size_t panel_size, const float *weights, const float *input,
                                 size_t count, const bool begins, const size_t ahead,
                                 VECTOR *sums) {
  const size_t block = BLOCK(count);
  size_t from = 0;
  if (begins) {
    from = block < count ? block : count;
    VECTOR_NAME(add_block)(1, columns, gates, accumulators, panel_size, weights, &input, 0, from,
                           true, ahead, sums);
  }
  for (; from < count; from += block)
    VECTOR_NAME(add_block)(1, columns, gates, accumulators, panel_size, weights, &input, from,
                           from + block < count ? from + block : count, false, ahead, sums);
}

// All blocks of many rows of one panel, or of panels of one gate: a block of weights stays in the
// nearest cache for all of them, and the next is asked for meanwhile.
INLINE void VECTOR_NAME(add_rows)(size_t rows, const int columns, const int gates,
                                  size_t panel_size, const float *weights,
                                  const float *const *inputs, size_t count, const bool begins,
                                  VECTOR *sums) {
  // Of one gate: an accumulator for each panel. Else of one panel: one for each gate.
  const int accumulators = 1;
#define TILES(r, most)                                                                      \
  case r:                                                                                   \
    VECTOR_NAME(add_block)(r, TILE_COLUMNS(most, columns), gates, accumulators, panel_size, \
                           weights + COLUMN(column), inputs + row, from, to,                \
                           begins && from == 0, 0, sums + row * 4 + column);                \
    break
#define FEW(r)                                                                              \
  for (int column = 0; column < columns; column += TILE_COLUMNS(r, columns)) switch (r) {   \
      TILES(r, r);                                                                          \
    }
  const size_t block = BLOCK(count);
  for (size_t from = 0; from < count; from += block) {
    const size_t to = from + block < count ? from + block : count;
    size_t row = 0;
    if (rows == 1 || !STRATA_HAS_FMA) {
      for (; row < rows; row++) FEW(1)
    } else if (rows == 2) {
      FEW(2)
    } else if (rows == 3) {
      FEW(3)
    } else {
      for (int column = 0; column < columns; column += TILE_COLUMNS(6, columns)) {
        const int next = column + TILE_COLUMNS(6, columns);
        const float *later = weights + (next < columns ? from * gates * WIDTH + COLUMN(next)
                                                       : to * gates * WIDTH);
        for (row = 0; row < rows;) {
          // Tiles of like size, at most six rows: small ones have to wait for their own sums.
          const size_t tiles = (rows - row + 5) / 6, height = (rows - row + tiles - 1) / tiles;
          for (size_t k = (to - from) * row / rows; k < (to - from) * (row + height) / rows; k++)
            __builtin_prefetch(later + k * gates * WIDTH);
          switch (height) {
            TILES(3, 6);
            TILES(4, 6);
            TILES(5, 6);
            TILES(6, 6);
          }
          row += height;
        }
      }
    }
  }
#undef FEW
#undef TILES
}

// Stores the units of a panel that exist.
INLINE void VECTOR_NAME(store_units)(float *target, VECTOR values, size_t unit, size_t size) {
  if (size - unit >= WIDTH)
    store(target + unit, values);
  else
    memcpy(target + unit, &values, (size - unit) * sizeof(float));
}

// The sigmoid of gates.
INLINE VECTOR VECTOR_NAME(gate)(const bool hard, const strata_layer *layer, VECTOR x) {
  return hard ? VECTOR_NAME(hard_sigmoid)(x, layer->hard_slope) : VECTOR_NAME(sigmoid)(x);
}

// What follows the sums of units from `unit` on: the gates, c and h of one row.
INLINE void VECTOR_NAME(finish)(const kernel kind, const bool hard, const int panels,
                                const VECTOR *sums, size_t unit, const strata_layer *layer,
                                const rows *rows, size_t row) {
  const size_t units = layer->hidden_size;
  float *next = rows->next[row];
  if (kind == LINEAR) {
    for (int panel = 0; panel < panels; panel++)
      VECTOR_NAME(store_units)(next, sums[panel], unit + panel * WIDTH, units);
  } else if (kind == RNN_TANH || kind == RNN_RELU) {
    for (int panel = 0; panel < panels; panel++)
      store(next + unit + panel * WIDTH, kind == RNN_TANH ? VECTOR_NAME(tanh)(sums[panel])
                                                          : VECTOR_NAME(relu)(sums[panel]));
  } else {
    for (int panel = 0; panel < panels; panel++, sums += 4, unit += WIDTH) {
      VECTOR values[4];
      if (kind == LSTM) {
        float *cell = rows->cell[row] + unit;
        VECTOR i = values[0] = VECTOR_NAME(gate)(hard, layer, sums[0]);
        VECTOR f = values[1] = VECTOR_NAME(gate)(hard, layer, sums[1]);
        VECTOR g = values[2] = VECTOR_NAME(tanh)(sums[2]);
        VECTOR o = values[3] = VECTOR_NAME(gate)(hard, layer, sums[3]);
        VECTOR c = fma_(f, load(cell), i * g);
        store(cell, c);
        store(next + unit, o * VECTOR_NAME(tanh)(c));
        if (rows->cells[row]) VECTOR_NAME(store_units)(rows->cells[row], c, unit, units);
      } else {
        VECTOR r = values[0] = VECTOR_NAME(gate)(hard, layer, sums[1]);
        VECTOR z = values[1] = VECTOR_NAME(gate)(hard, layer, sums[2]);
        VECTOR n = values[2] = VECTOR_NAME(tanh)(fma_(r, sums[3], sums[0]));
        store(next + unit, fma_(z, load(rows->hidden[row] + unit) - n, n));
      }
      if (rows->gates[row])
        for (int gate = 0; gate < GATES(kind); gate++)
          VECTOR_NAME(store_units)(rows->gates[row] + gate * units, values[gate], unit, units);
    }
  }
}

// The same for all rows.
INLINE void VECTOR_NAME(finish_rows)(const kernel kind, const bool hard, const int panels,
                                     size_t count, size_t unit, const strata_layer *layer,
                                     const rows *rows, VECTOR *sums) {
  const int gates = GATES(kind), accumulators = ACCUMULATORS(kind);
  const int shift = accumulators - gates;
  for (size_t row = 0; row < count; row++) {
    // Products with zeros add +0: that -0 becomes +0 is all they do.
#pragma clang loop unroll(full)
    for (int i = 0; rows->is_first && kind != LINEAR && i < gates * panels; i++)
      sums[row * 4 + shift + ACCUMULATOR(i)] += 0.0f;
    VECTOR_NAME(finish)(kind, hard, panels, sums + row * 4, unit, layer, rows, row);
  }
}

// One panel, or `panels` of them, for one row (`single`) or for all: begins with the biases or with
// the row's terms, adds the products and finishes, or leaves the sums in the terms. `sums` has room
// for 4 vectors a row, 8 of a single one.
INLINE void VECTOR_NAME(panel)(const kernel kind, const int panels, const bool single,
                               const part part, const size_t ahead, const strata_layer *layer,
                               size_t unit, const rows *rows, VECTOR *sums) {
  const int gates = GATES(kind), accumulators = ACCUMULATORS(kind);
  // A GRU's state has the last three of four accumulators.
  const int shift = accumulators - gates, columns = gates * panels;
  const size_t size = UNIT_SIZE(kind, layer), panel_size = size * WIDTH;
  const float *biases = layer->weights + unit * size;
  const float *input_weights = biases + accumulators * WIDTH;
  const float *state_weights = input_weights + layer->input_size * gates * WIDTH;
  const size_t count = single ? 1 : rows->count;
  for (size_t row = 0; row < count; row++)
#pragma clang loop unroll(full)
    for (int i = 0; i < accumulators * panels; i++)
      sums[row * 4 + i] =
          part == STATE ? load(rows->terms[row] + unit * accumulators + i * WIDTH)
                        : load(biases + i / accumulators * panel_size + i % accumulators * WIDTH);
  if (single) {
    if (part != STATE)
      VECTOR_NAME(add_row)(columns, gates, accumulators, panel_size, input_weights,
                           rows->input[0], layer->input_size, true, ahead, sums);
    if (part != INPUT && kind != LINEAR && !rows->is_first)
      VECTOR_NAME(add_row)(columns, gates, accumulators, panel_size, state_weights,
                           rows->hidden[0], layer->state_size, false, ahead, sums + shift);
  } else {
    if (part != STATE)
      VECTOR_NAME(add_rows)(count, columns, gates, panel_size, input_weights, rows->input,
                            layer->input_size, true, sums);
    if (part != INPUT && kind != LINEAR && !rows->is_first)
      VECTOR_NAME(add_rows)(count, columns, gates, panel_size, state_weights, rows->hidden,
                            layer->state_size, false, sums + shift);
  }
  if (part == INPUT) {
    for (size_t row = 0; row < count; row++)
#pragma clang loop unroll(full)
      for (int i = 0; i < accumulators * panels; i++)
        store(rows->terms[row] + unit * accumulators + i * WIDTH, sums[row * 4 + i]);
    return;
  }
  // A branch for each row would be felt; one row of hard sigmoids comes here as many do (layers.h).
  if (!single && GATES(kind) > 1 && layer->hard_slope != 0)
    VECTOR_NAME(finish_rows)(kind, true, panels, count, unit, layer, rows, sums);
  else
    VECTOR_NAME(finish_rows)(kind, false, panels, count, unit, layer, rows, sums);
}

#undef COLUMN
#undef ACCUMULATOR
