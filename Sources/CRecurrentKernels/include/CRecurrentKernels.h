// The arithmetic of recurrent networks in float32: no allocation, no input or output, no policy.
//
// The order of every operation is pinned in the article "Arithmetic" of the RecurrentNetworks
// module; the result has the same bits for every instruction set, batch and division into calls.
//
// Packed weights. Outputs (hidden units, or the rows of a matrix) are taken in panels of 16. A
// panel holds its accumulators' initial values, then for each input the weights of its 16 outputs,
// gate beside gate; outputs that do not exist have zeros.
//
//   layer panel:   [accumulators][16], then [input_size][gates][16], then [state_size][gates][16]
//   linear panel:  [16],               then [input_size][16]
//
//   kind        gates        accumulators
//   RNN         1            b_ih + b_hh
//   LSTM        i f g o      b_ih + b_hh of each
//   GRU         r z n        b_ih + b_hh of r and z, b_ih of n, b_hh of n

#ifndef STRATA_RECURRENT_KERNELS_H
#define STRATA_RECURRENT_KERNELS_H

#include <stddef.h>
#include <stdint.h>

enum { STRATA_PANEL = 16 };

typedef enum strata_cell {
  STRATA_RNN_TANH,
  STRATA_RNN_RELU,
  STRATA_LSTM,
  STRATA_GRU,
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
} strata_layer;

// A matrix [output_size, input_size] with bias and activation.
typedef struct strata_linear {
  strata_activation activation;
  size_t input_size;
  size_t output_size;
  const float *weights;  // linear panels
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

// What goes on inside a layer, for those who want to see it; a base of NULL for what is not wanted.
typedef struct strata_inside {
  strata_rows cells;  // c after each step, [hidden_size]
  strata_rows gates;  // the gates after their activation, [gates][hidden_size]; not for an RNN
} strata_inside;

typedef struct strata_kernels {
  const char *name;
  // Runs steps on a batch of lanes. Rows of `hidden` are [state_size rounded up to a panel], rows
  // of `cell` (LSTM only) [hidden_size rounded up]; both are state: read, then replaced. `scratch`
  // holds lanes * 2 rows of the larger of the two. `inside` may be NULL.
  void (*run_layer)(const strata_layer *layer, size_t steps, size_t lanes, strata_const_rows input,
                    strata_rows output, float *hidden, float *cell, float *scratch,
                    const strata_inside *inside);
  void (*run_linear)(const strata_linear *linear, size_t steps, size_t lanes,
                     strata_const_rows input, strata_rows output);
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
