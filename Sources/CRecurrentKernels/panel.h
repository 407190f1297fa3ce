// Panels: sums of products and the gates at their end; compiled for each instruction set and for
// both panel widths by body.h.
//
// A panel's sums stand in accumulators, one vector each. The weights that one input meets stand
// side by side as `columns`: the gates of a panel, or the same place of several panels where a
// panel has one gate only. Every output has a lane of its own, so nothing depends on how rows,
// columns and lanes are grouped; what counts is the order of k, and the blocks.

// Adds to the sums of `rows` x `columns` the products of one block of k: a chain of fused
// multiply-adds that begins at zero, or with the sums where it `continues` them. All of them have
// to fit into registers (TILE).
INLINE void VECTOR_NAME(add_block)(const int rows, const int columns, const size_t stride,
                                   size_t column_stride, const float *weights,
                                   const float *const *inputs, size_t from, size_t to,
                                   const bool continues, const size_t ahead, VECTOR *sums,
                                   const int sums_stride) {
  VECTOR block[TILE * STRATA_PANEL / WIDTH];
  const float *x[6];
  for (int row = 0; row < rows; row++) x[row] = inputs[row] + from;
  if (continues) {
    for (int row = 0; row < rows; row++)
      for (int column = 0; column < columns; column++)
        block[row * columns + column] = sums[row * sums_stride + column];
  } else {
    for (int i = 0; i < rows * columns; i++) block[i] = 0.0f;
  }
  weights += from * stride;
  // A step of the loop fills the processor's window; unrolled it was not faster.
#pragma clang loop unroll(disable)
  for (size_t k = 0; k < to - from; k++, weights += stride) {
    for (int column = 0; column < columns; column++) {
      VECTOR weight = load(weights + column * column_stride);
      if (ahead) __builtin_prefetch(weights + column * column_stride + ahead);
      for (int row = 0; row < rows; row++) {
        VECTOR *sum = block + row * columns + column;
        *sum = fma_(weight, (VECTOR)(x[row][k]), *sum);
      }
    }
  }
  for (int row = 0; row < rows; row++)
    for (int column = 0; column < columns; column++) {
      VECTOR *sum = sums + row * sums_stride + column;
      *sum = continues ? block[row * columns + column] : *sum + block[row * columns + column];
    }
}

// All blocks of one row; `begins`: the sums are the start value still.
INLINE void VECTOR_NAME(add_row)(const int columns, const size_t stride, size_t column_stride,
                                 const float *weights, const float *input, size_t count,
                                 const bool begins, const size_t ahead, VECTOR *sums) {
  const size_t block = BLOCK(count);
  size_t from = 0;
  if (begins) {
    from = block < count ? block : count;
    VECTOR_NAME(add_block)(1, columns, stride, column_stride, weights, &input, 0, from, true, ahead,
                           sums, columns);
  }
  for (; from < count; from += block)
    VECTOR_NAME(add_block)(1, columns, stride, column_stride, weights, &input, from,
                           from + block < count ? from + block : count, false, ahead, sums,
                           columns);
}

// All blocks of many rows: a block of weights stays in the nearest cache for all of them, and the
// next is asked for meanwhile.
INLINE void VECTOR_NAME(add_rows)(size_t rows, const int columns, const size_t stride,
                                  size_t column_stride, const float *weights,
                                  const float *const *inputs, size_t count, const bool begins,
                                  VECTOR *sums) {
#define TILES(r, most)                                                                      \
  case r:                                                                                   \
    VECTOR_NAME(add_block)(r, TILE_COLUMNS(most, columns), stride, column_stride,           \
                           weights + column * column_stride, inputs + row, from, to,        \
                           begins && from == 0, 0, sums + row * 4 + column, 4);             \
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
        const float *later =
            weights + (next < columns ? from * stride + next * column_stride : to * stride);
        for (row = 0; row < rows;) {
          // Tiles of like size, at most six rows: small ones have to wait for their own sums.
          const size_t tiles = (rows - row + 5) / 6, height = (rows - row + tiles - 1) / tiles;
          for (size_t k = (to - from) * row / rows; k < (to - from) * (row + height) / rows; k++)
            __builtin_prefetch(later + k * stride);
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

// What follows the sums of `units` from `unit` on: the gates, c and h of one row.
INLINE void VECTOR_NAME(finish)(const kernel kind, const int columns, const VECTOR *sums,
                                size_t unit, size_t units, const rows *rows, size_t row) {
  float *next = rows->next[row];
  if (kind == LINEAR) {
    for (int panel = 0; panel < columns; panel++)
      VECTOR_NAME(store_units)(next, sums[panel], unit + panel * WIDTH, units);
  } else if (kind == RNN_TANH || kind == RNN_RELU) {
    for (int panel = 0; panel < columns; panel++)
      store(next + unit + panel * WIDTH, kind == RNN_TANH ? VECTOR_NAME(tanh)(sums[panel])
                                                          : VECTOR_NAME(relu)(sums[panel]));
  } else {
    float *gates = rows->gates[row];
    VECTOR values[4];
    if (kind == LSTM) {
      float *cell = rows->cell[row];
      VECTOR i = values[0] = VECTOR_NAME(sigmoid)(sums[0]);
      VECTOR f = values[1] = VECTOR_NAME(sigmoid)(sums[1]);
      VECTOR g = values[2] = VECTOR_NAME(tanh)(sums[2]);
      VECTOR o = values[3] = VECTOR_NAME(sigmoid)(sums[3]);
      VECTOR c = fma_(f, load(cell + unit), i * g);
      store(cell + unit, c);
      store(next + unit, o * VECTOR_NAME(tanh)(c));
      if (rows->cells[row]) VECTOR_NAME(store_units)(rows->cells[row], c, unit, units);
    } else {
      VECTOR r = values[0] = VECTOR_NAME(sigmoid)(sums[1]);
      VECTOR z = values[1] = VECTOR_NAME(sigmoid)(sums[2]);
      VECTOR n = values[2] = VECTOR_NAME(tanh)(fma_(r, sums[3], sums[0]));
      store(next + unit, fma_(z, load(rows->hidden[row] + unit) - n, n));
    }
    if (gates)
      for (int gate = 0; gate < GATES(kind); gate++)
        VECTOR_NAME(store_units)(gates + gate * units, values[gate], unit, units);
  }
}

// One panel, or `panels` of them where a panel has one gate, for one row (`single`) or for all:
// begins with the biases or with the row's terms, adds the products and finishes, or leaves the
// sums in the terms. `sums` has room for 4 vectors a row.
INLINE void VECTOR_NAME(panel)(const kernel kind, const int panels, const bool single,
                               const part part, const size_t ahead, const strata_layer *layer,
                               size_t unit, const rows *rows, VECTOR *sums) {
  const int columns = GATES(kind) * panels, accumulators = ACCUMULATORS(kind) * panels;
  // A GRU's state has the last three of four accumulators.
  const int shift = ACCUMULATORS(kind) - GATES(kind);
  const size_t stride = GATES(kind) * WIDTH, size = UNIT_SIZE(kind, layer);
  // The next column is the next gate, or the next panel.
  const size_t column_stride = GATES(kind) > 1 ? WIDTH : size * WIDTH;
  const float *biases = layer->weights + unit * size;
  const float *input_weights = biases + ACCUMULATORS(kind) * WIDTH;
  const float *state_weights = input_weights + layer->input_size * stride;
  const size_t count = single ? 1 : rows->count;
  for (size_t row = 0; row < count; row++)
    for (int i = 0; i < accumulators; i++)
      sums[row * 4 + i] = part == STATE
                              ? load(rows->terms[row] + unit * ACCUMULATORS(kind) + i * WIDTH)
                              : load(biases + i * column_stride);
  if (single) {
    if (part != STATE)
      VECTOR_NAME(add_row)(columns, stride, column_stride, input_weights, rows->input[0],
                           layer->input_size, true, ahead, sums);
    if (part != INPUT && kind != LINEAR)
      VECTOR_NAME(add_row)(columns, stride, column_stride, state_weights, rows->hidden[0],
                           layer->state_size, false, ahead, sums + shift);
  } else {
    if (part != STATE)
      VECTOR_NAME(add_rows)(count, columns, stride, column_stride, input_weights, rows->input,
                            layer->input_size, true, sums);
    if (part != INPUT && kind != LINEAR)
      VECTOR_NAME(add_rows)(count, columns, stride, column_stride, state_weights, rows->hidden,
                            layer->state_size, false, sums + shift);
  }
  for (size_t row = 0; row < count; row++) {
    if (part == INPUT)
      for (int i = 0; i < accumulators; i++)
        store(rows->terms[row] + unit * ACCUMULATORS(kind) + i * WIDTH, sums[row * 4 + i]);
    else
      VECTOR_NAME(finish)(kind, columns, sums + row * 4, unit, layer->hidden_size, rows, row);
  }
}
