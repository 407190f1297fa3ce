// Runs one list of cases through every set of kernels that this processor has and prints a digest
// of the bits of all outputs and states, one line for each set and case: lines of one case must be
// the same on every processor. tools/check_instruction_sets compiles it for this machine and for
// arm64 and compares.
//
//   driver              digests
//   driver curves STEP  the largest error of each curve over every STEPth float32 value, for the
//                       fastest set; exit status 1 where it is more than 2 units in the last place
//   driver time         nanoseconds of one call, for those who work on the kernels

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "CRecurrentKernels.h"

static uint64_t seed;

// Uniform in [-bound, bound) by SplitMix64.
static float number(float bound) {
  uint64_t z = (seed += 0x9E3779B97F4A7C15);
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
  z ^= z >> 31;
  return ((float)(z >> 40) * 0x1p-23f - 1.0f) * bound;
}

static float *floats(size_t count, float bound) {
  float *values = aligned_alloc(64, (count * sizeof(float) + 127) / 64 * 64);
  for (size_t i = 0; i < count; i++) values[i] = bound == 0 ? 0 : number(bound);
  return values;
}

static size_t padded(size_t size) {
  return (size + STRATA_PANEL - 1) / STRATA_PANEL * STRATA_PANEL;
}

// Random panels for outputs of `per_unit` floats; the outputs that do not exist have zeros.
static float *panels(size_t outputs, size_t per_unit, float bound) {
  float *weights = floats(padded(outputs) * per_unit, bound);
  for (size_t unit = 0; unit < outputs;) {
    size_t width = outputs - unit > STRATA_HALF_PANEL ? STRATA_PANEL : STRATA_HALF_PANEL;
    for (size_t i = 0; i < per_unit; i++)
      for (size_t lane = 0; lane < width; lane++)
        if (unit + lane >= outputs) weights[unit * per_unit + i * width + lane] = 0;
    unit += width;
  }
  return weights;
}

typedef struct test {
  strata_cell cell;
  size_t input, hidden, projection, steps, lanes;
  bool reverse, lengths, outputs_few;
  float hard_slope;
} test;

static const char *names[] = {"rnn-tanh", "rnn-relu", "lstm", "gru", "gru-before"};

// The cells with the sigmoids that they may have.
static const struct variant {
  strata_cell cell;
  float hard_slope;
} variants[] = {
    {STRATA_RNN_TANH, 0},
    {STRATA_RNN_RELU, 0},
    {STRATA_LSTM, 0},
    {STRATA_LSTM, 0.2f},
    {STRATA_GRU_RESET_BEFORE, 0},
    {STRATA_GRU_RESET_BEFORE, 0.2f},
    {STRATA_GRU, 1.0f / 6},
    {STRATA_GRU, 0},
};
enum { VARIANTS = sizeof variants / sizeof *variants };

static size_t gates_of(strata_cell cell) {
  switch (cell) {
    case STRATA_RNN_TANH:
    case STRATA_RNN_RELU: return 1;
    case STRATA_LSTM: return 4;
    case STRATA_GRU:
    case STRATA_GRU_RESET_BEFORE: return 3;
  }
  return 0;
}

typedef struct memory {
  strata_layer layer;
  strata_state state;
  strata_run run;
  strata_linear head;
  float *input, *output, *head_output;
  size_t state_floats, cell_floats, state_size;
} memory;

static memory make(test t) {
  memory m = {0};
  const size_t gates = gates_of(t.cell);
  const size_t accumulators = gates == 1 ? 1 : 4;
  const float bound = 2 / __builtin_sqrtf((float)t.hidden);
  seed = t.cell * 1000003 + t.input * 10007 + t.hidden * 101 + t.projection;
  m.state_size = t.projection ? t.projection : t.hidden;
  m.layer = (strata_layer){
      t.cell, t.input, t.hidden, m.state_size,
      panels(t.hidden, accumulators + gates * (t.input + m.state_size), bound),
      t.projection ? panels(t.projection, 1 + t.hidden, bound) : NULL, true,
      t.hard_slope};
  m.state_floats = t.lanes * padded(m.state_size);
  m.cell_floats = t.lanes * padded(t.hidden);
  m.state = (strata_state){floats(m.state_floats, 0), floats(m.state_floats, 0),
                           floats(m.state_floats, 0), padded(m.state_size),
                           floats(m.cell_floats, 0),  floats(m.cell_floats, 0),
                           padded(t.hidden),          true};
  m.input = floats(t.steps * t.lanes * t.input, 2);
  m.output = floats(t.steps * t.lanes * m.state_size, 1);
  m.run.steps = t.steps;
  m.run.lanes = t.lanes;
  m.run.reverse = t.reverse;
  m.run.input = (strata_const_rows){m.input, (ptrdiff_t)(t.lanes * t.input), (ptrdiff_t)t.input};
  m.run.output = (strata_rows){m.output, (ptrdiff_t)(t.lanes * m.state_size),
                               (ptrdiff_t)m.state_size};
  m.run.terms = floats(STRATA_ROWS * strata_terms_size(&m.layer), 0);
  m.run.end_unit = t.hidden;
  if (t.lengths) {
    size_t *lengths = malloc(t.lanes * sizeof *lengths), *order = malloc(t.lanes * sizeof *order);
    for (size_t i = 0; i < t.lanes; i++) {
      lengths[i] = t.steps - i * t.steps / (t.lanes + 1);
      order[i] = i;
    }
    m.run.lengths = lengths;
    m.run.order = order;
  }
  const size_t outputs = t.outputs_few ? 3 : 19;
  m.head = (strata_linear){STRATA_ACTIVATION_SIGMOID, m.state_size, outputs, NULL};
  if (t.outputs_few) {
    float *weights = floats(outputs * padded(m.state_size) + outputs, bound);
    for (size_t row = 0; row < outputs; row++)
      for (size_t k = m.state_size; k < padded(m.state_size); k++)
        weights[row * padded(m.state_size) + k] = 0;
    m.head.weights = weights;
  } else {
    m.head.weights = panels(outputs, 1 + m.state_size, bound);
  }
  m.head_output = floats(t.steps * t.lanes * outputs, 1);
  return m;
}

static void release(memory m) {
  free((void *)m.layer.weights);
  free((void *)m.layer.projection);
  free((void *)m.head.weights);
  free((void *)m.run.lengths);
  free((void *)m.run.order);
  float *all[] = {m.state.hidden, m.state.next, m.state.reset, m.state.cell, m.state.unprojected,
                  m.input,        m.output,     m.run.terms,   m.head_output};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) free(all[i]);
}

// FNV-1a over the bits, every NaN the same.
static uint64_t digest(uint64_t hash, const float *values, size_t count) {
  for (size_t i = 0; i < count; i++) {
    uint32_t bits;
    memcpy(&bits, values + i, 4);
    if (values[i] != values[i]) bits = 0x7FC00000;
    for (int byte = 0; byte < 4; byte++) hash = (hash ^ (bits >> (8 * byte) & 255)) * 0x100000001B3;
  }
  return hash;
}

static void digests(const strata_kernels *kernels, test t) {
  memory m = make(t);
  kernels->run_layer(&m.layer, &m.state, &m.run);
  kernels->run_linear(&m.head, t.steps, t.lanes,
                      (strata_const_rows){m.output, m.run.output.step_stride,
                                          m.run.output.lane_stride},
                      (strata_rows){m.head_output, (ptrdiff_t)(t.lanes * m.head.output_size),
                                    (ptrdiff_t)m.head.output_size});
  uint64_t hash = digest(0xCBF29CE484222325, m.output, t.steps * t.lanes * m.state_size);
  hash = digest(hash, m.state.hidden, m.state_floats);
  hash = digest(hash, m.state.cell, m.cell_floats);
  hash = digest(hash, m.head_output, t.steps * t.lanes * m.head.output_size);
  if (t.lanes == 1 && !t.reverse) {
    // Step by step the same bits; a digest of the other kind tells that they are not.
    float *output = m.output;
    m.output = floats(t.steps * m.state_size, 1);
    float *states[] = {m.state.hidden, m.state.cell};
    memset(states[0], 0, m.state_floats * sizeof(float));
    memset(states[1], 0, m.cell_floats * sizeof(float));
    strata_stage stage = {m.layer, m.state, false};
    // Here the products of the zero state are computed, above they are left out.
    stage.state.is_zero = false;
    kernels->run_chain(&stage, 1, NULL, t.steps, m.input, m.output);
    if (memcmp(output, m.output, t.steps * m.state_size * sizeof(float))) hash = 1;
    memset(states[0], 0, m.state_floats * sizeof(float));
    memset(states[1], 0, m.cell_floats * sizeof(float));
    float *head_output = floats(t.steps * m.head.output_size, 1);
    kernels->run_chain(&stage, 1, &m.head, t.steps, m.input, head_output);
    if (memcmp(head_output, m.head_output, t.steps * m.head.output_size * sizeof(float))) hash = 2;
    free(output);
    free(head_output);
  }
  printf("%s %s%s I%zu H%zu P%zu T%zu N%zu%s%s%s %016llx\n", kernels->name, names[t.cell],
         t.hard_slope ? "-hard" : "", t.input, t.hidden, t.projection, t.steps, t.lanes,
         t.reverse ? " reverse" : "", t.lengths ? " lengths" : "", t.outputs_few ? " few" : "",
         (unsigned long long)hash);
  release(m);
}

// The activations over floats of all sizes.
static void curves(const strata_kernels *kernels) {
  enum { COUNT = 1 << 16 };
  float *values = floats(COUNT, 0);
  for (int activation = STRATA_ACTIVATION_SIGMOID; activation <= STRATA_ACTIVATION_SOFTMAX;
       activation++) {
    uint64_t hash = 0xCBF29CE484222325;
    for (uint32_t part = 0; part < 16; part++) {
      for (uint32_t i = 0; i < COUNT; i++) {
        uint32_t bits = (part * COUNT + i) * 4093;
        memcpy(values + i, &bits, 4);
        if (activation == STRATA_ACTIVATION_SOFTMAX) values[i] = number(20);
      }
      kernels->activate((strata_activation)activation, values, COUNT);
      hash = digest(hash, values, COUNT);
    }
    printf("%s activation %d %016llx\n", kernels->name, activation, (unsigned long long)hash);
  }
  free(values);
}

// The distance of a float from a float64 value, in units in the last place of the latter's float.
static double distance(float value, double exact) {
  if (isnan(value) || isnan(exact)) return isnan(value) && isnan(exact) ? 0 : INFINITY;
  if ((double)value == exact) return 0;
  int exponent;
  frexp(exact, &exponent);
  return fabs((double)value - exact) / ldexp(1, (exponent < -125 ? -125 : exponent) - 24);
}

static bool are_accurate(const strata_kernels *kernels, uint32_t step) {
  enum { COUNT = 1 << 12 };
  static const char *curve[] = {"sigmoid", "tanh"};
  float inputs[COUNT], values[COUNT];
  bool accurate = true;
  for (int i = 0; i < 2; i++) {
    double worst = 0;
    float place = 0;
    for (uint64_t next = 0; next < 1ull << 32;) {
      size_t count = 0;
      for (; count < COUNT && next < 1ull << 32; next += step) {
        uint32_t bits = (uint32_t)next;
        memcpy(inputs + count++, &bits, 4);
      }
      memcpy(values, inputs, sizeof values);
      kernels->activate(i ? STRATA_ACTIVATION_TANH : STRATA_ACTIVATION_SIGMOID, values, count);
      for (size_t k = 0; k < count; k++) {
        const double x = inputs[k];
        const double error = distance(values[k], i ? tanh(x) : 1 / (1 + exp(-x)));
        if (error > worst) worst = error, place = inputs[k];
      }
    }
    printf("%s %s: at most %.3f units in the last place, at %a\n", kernels->name, curve[i], worst,
           (double)place);
    accurate &= worst <= 2;
  }
  return accurate;
}

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static void times(const strata_kernels *kernels, test t) {
  memory m = make(t);
  m.state.is_zero = false;
  strata_stage stage = {m.layer, m.state, false};
  m.head.output_size = 1;
  m.head.activation = STRATA_ACTIVATION_NONE;
  double best = 1e30;
  const double products =
      (double)gates_of(t.cell) * (double)(t.hidden * (t.input + m.state_size) * t.steps * t.lanes);
  const int calls = products < 1e6 ? 1000 : 1;
  const double end = now() + 3e8;
  for (int i = 0; i < 5 || now() < end; i++) {
    double start = now();
    for (int call = 0; call < calls; call++)
      if (t.steps * t.lanes == 1)  // With a head of one output.
        kernels->run_chain(&stage, 1, &m.head, 1, m.input, m.head_output);
      else
        kernels->run_layer(&m.layer, &m.state, &m.run);
    double time = (now() - start) / calls;
    if (time < best) best = time;
  }
  printf("%-8s %-10s%s I%-4zu H%-4zu T%-3zu N%-2zu %12.1f ns  %6.2f products/ns\n", kernels->name,
         names[t.cell], t.hard_slope ? "-hard" : "     ", t.input, t.hidden, t.steps, t.lanes,
         best, products / best);
  release(m);
}

int main(int count, char **arguments) {
  static const size_t sizes[] = {1, 3, 7, 8, 9, 16, 17, 24, 31, 40, 48, 64, 70, 129};
  enum { SIZES = sizeof sizes / sizeof *sizes };
  static const size_t lanes[] = {1, 2, 3, 5, 7, 13, 32, 35};
  enum { LANES = sizeof lanes / sizeof *lanes };
  if (count > 2 && !strcmp(arguments[1], "curves"))
    return !are_accurate(strata_kernels_at(0), (uint32_t)strtoul(arguments[2], NULL, 10));
  const bool is_timed = count > 1 && !strcmp(arguments[1], "time");
  const char *only = count > 2 ? arguments[2] : NULL;
  const strata_kernels *kernels;
  for (size_t set = 0; (kernels = strata_kernels_at(set)); set++) {
    if (only && strcmp(only, kernels->name)) continue;
    for (int variant = 0; variant < VARIANTS; variant++) {
      const strata_cell cell = variants[variant].cell;
      const float slope = variants[variant].hard_slope;
      if (is_timed) {
        if (cell == STRATA_RNN_RELU) continue;
        static const size_t H[] = {8, 16, 32, 40, 64};
        for (int i = 0; i < 5; i++)
          times(kernels, (test){cell, 1, H[i], 0, 1, 1, false, false, true, slope});
        static const size_t big[] = {128, 256, 512, 1024};
        for (int i = 0; i < 4; i++) {
          times(kernels, (test){cell, big[i], big[i], 0, 1, 1, false, false, true, slope});
          times(kernels, (test){cell, big[i], big[i], 0, 32, 1, false, false, false, slope});
          times(kernels, (test){cell, big[i], big[i], 0, 8, 32, false, false, false, slope});
        }
        continue;
      }
      for (int i = 0; i < SIZES; i++)
        for (int j = 0; j < LANES; j++) {
          size_t input = sizes[(i * 5 + j * 3) % SIZES];
          bool few = (i + j) % 2;
          digests(kernels, (test){cell, input, sizes[i], 0, 5, lanes[j], j % 2, false, few, slope});
          digests(kernels, (test){cell, 129, sizes[i], 0, 37, lanes[j], i % 2, true, few, slope});
          if (cell == STRATA_LSTM && sizes[i] > 1)
            digests(kernels, (test){cell, input, sizes[i], sizes[i] - 1, 3, lanes[j], j % 3 == 0,
                                    j % 2, few, slope});
        }
    }
    if (!is_timed) curves(kernels);
  }
  return 0;
}
