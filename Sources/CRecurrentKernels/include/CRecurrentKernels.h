// The arithmetic of recurrent networks in float32: no allocation, no input or output, no policy.
//
// The order of every operation is pinned in the article "Arithmetic" of the RecurrentNetworks
// module; the result has the same bits for every instruction set, batch, division into calls and
// division among threads.
//
// Packed weights. Outputs (hidden units, or the rows of a matrix) are taken in panels of 16; where
// at most 8 are left for the last panel, it is 8 wide. A panel holds its accumulators' initial
// values, then for each input the weights of its outputs, gate beside gate; outputs that do not
// exist have zeros. Panels follow each other without gaps.
//
//   layer panel:   [accumulators][width], then [input_size][gates][width],
//                  then [state_size][gates][width]
//   linear panel:  [width], then [input_size][width]
//
//   kind   accumulators               gates of the input    gates of the state
//   RNN    b_ih + b_hh                one                   one
//   LSTM   b_ih + b_hh of i f g o     i f g o               i f g o
//   GRU    b_ih of n, b_ih + b_hh     n r z                 r z n
//          of r and z, b_hh of n
//
// A GRU is packed alike wherever its reset gate stands.
//
// The input's gates are added to the first accumulators and the state's to the last ones.
//
// A matrix of fewer than 8 rows has no panels: each row stands as it is, columns rounded up to 16
// with zeros, and the biases follow the last row.

#ifndef STRATA_RECURRENT_KERNELS_H
#define STRATA_RECURRENT_KERNELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
  STRATA_PANEL = 16,
  STRATA_HALF_PANEL = 8,
  // A matrix of fewer rows is stored row by row.
  STRATA_FEW_ROWS = 8,
  // How many rows (of lanes, or of lanes at several steps) go through a panel at a time.
  STRATA_ROWS = 32,
};

typedef enum strata_cell {
  STRATA_RNN_TANH,
  STRATA_RNN_RELU,
  STRATA_LSTM,
  STRATA_GRU,
  // The reset gate is applied before the product: W_hn (r * h) in place of r * (W_hn h + b_hn).
  STRATA_GRU_RESET_BEFORE,
} strata_cell;

typedef enum strata_activation {
  STRATA_ACTIVATION_NONE,
  STRATA_ACTIVATION_SIGMOID,
  STRATA_ACTIVATION_TANH,
  STRATA_ACTIVATION_RELU,
  STRATA_ACTIVATION_SOFTMAX,
} strata_activation;

// One layer in one direction.
typedef struct strata_layer {
  strata_cell cell;
  size_t input_size;
  size_t hidden_size;
  size_t state_size;        // of h: the projection size, or the hidden size without projection
  const float *weights;     // layer panels, as many as hidden_size needs
  const float *projection;  // linear panels of W_hr, as many as state_size needs; or NULL
  bool has_finite_state_weights;  // no infinity and no NaN in W_hh
  // i f o and r z are clip(hard_slope x + 1/2, 0, 1); where it is 0, the logistic 1 / (1 + e^-x).
  float hard_slope;
} strata_layer;

// A matrix [output_size, input_size] with bias and activation.
typedef struct strata_linear {
  strata_activation activation;
  size_t input_size;
  size_t output_size;
  const float *weights;  // linear panels, or fewer than 8 plain rows
} strata_linear;

// Rows of floats: row (step, lane) begins at base + step * step_stride + lane * lane_stride.
typedef struct strata_rows {
  float *base;
  ptrdiff_t step_stride;
  ptrdiff_t lane_stride;
} strata_rows;

typedef struct strata_const_rows {
  const float *base;
  ptrdiff_t step_stride;
  ptrdiff_t lane_stride;
} strata_const_rows;

// The state of one layer and direction and its scratch memory. Rows are long enough for whole
// panels, one row for each lane.
typedef struct strata_state {
  float *hidden;         // h: read, then replaced
  float *next;           // as large; its content does not matter
  float *reset;          // as large, for r * h of a GRU whose reset gate comes before the product
  size_t hidden_stride;  // floats from row to row of these three
  float *cell;           // c of an LSTM: read, then replaced
  float *unprojected;    // as large as c, where a projection follows
  size_t cell_stride;
  bool is_zero;  // h is +0 in all rows: with finite weights the first step needs no products of it
} strata_state;

// Some steps of a batch of lanes through one layer.
typedef struct strata_run {
  size_t steps;
  size_t lanes;
  // Where sequences have lengths of their own: those by lane, each at most `steps`, and the lanes
  // in the order of falling length. Behind its end a lane's output becomes zero.
  const size_t *lengths;
  const size_t *order;
  bool reverse;  // every lane from its own last step to the first
  strata_const_rows input;
  strata_rows output;
  // What goes on inside, for those who want to see it; a base of NULL for what is not wanted.
  strata_rows cells;  // c after each step, [hidden_size]
  strata_rows gates;  // the gates after their activation, [gates][hidden_size]; not for an RNN
  // STRATA_ROWS rows of strata_terms_size floats; its content does not matter.
  float *terms;
  // Several threads may share the units of a layer without projection and without lengths: each
  // has a range whose ends are multiples of 16 or the hidden size, memory of its own for `terms`,
  // and calls `wait` after each step, and where the reset gate comes before the product within each
  // step too; it returns when all have called it. NULL for one thread.
  size_t first_unit;
  size_t end_unit;
  void (*wait)(void *context);
  void *context;
} strata_run;

// Floats of a row of terms of a layer.
size_t strata_terms_size(const strata_layer *layer);

// A layer of a chain of forward layers for one lane.
typedef struct strata_stage {
  strata_layer layer;
  strata_state state;
  bool is_backwards;  // the order of the panels in the last step; changes with every step
} strata_stage;

typedef struct strata_kernels {
  const char *name;
  void (*run_layer)(const strata_layer *layer, const strata_state *state, const strata_run *run);
  void (*run_linear)(const strata_linear *linear, size_t steps, size_t lanes,
                     strata_const_rows input, strata_rows output);
  // Step by step through a whole chain for one lane; `head` may be NULL. The same bits as a call
  // of the above for each of its parts, with less around them.
  void (*run_chain)(strata_stage *stages, size_t count, const strata_linear *head,
                    size_t steps, const float *input, float *output);
  // Each activation over `count` values in place, for tests.
  void (*activate)(strata_activation activation, float *values, size_t count);
} strata_kernels;

// The kernels that this processor can run, the fastest first; NULL behind the last.
const strata_kernels *strata_kernels_at(size_t index);

// Sets the floating-point state that the kernels need (round to nearest even, subnormals kept, no
// traps) and returns the caller's, which `strata_restore_float_state` sets again.
uint64_t strata_enter_float_state(void);
void strata_restore_float_state(uint64_t state);

#endif
