/* One step of an LSTM: int8 input and hidden state, int8 weights, int16 cell.

   The weights of the four gates of a unit lie together, in order i, f, c, o, so that one
   pass over the activations serves all four. Zero points are folded into the biases. What
   the runtimes do differently with the sums is in edge_lstm_lstm_litert_s8.h and
   edge_lstm_lstm_tflm_s8.h. */
#ifndef EDGE_LSTM_LSTM_S8_H
#define EDGE_LSTM_LSTM_S8_H

#include "edge_lstm_dot_s8.h"
#include "edge_lstm_fixed_point.h"

enum { EDGE_LSTM_GATES = EDGE_LSTM_ROWS };

typedef struct {
    int32_t inputs;
    int32_t units;
    const int8_t *kernel;           /* [units][blocks of inputs][4 gates][4] */
    const int8_t *recurrent_kernel; /* [units][blocks of units][4 gates][4] */
    const int32_t *input_bias;      /* [units][4] */
    const int32_t *recurrent_bias;  /* [units][4] */
    edge_lstm_multiplier input_multiplier[EDGE_LSTM_GATES];     /* accumulator to Q3.12 */
    edge_lstm_multiplier recurrent_multiplier[EDGE_LSTM_GATES]; /* accumulator to Q3.12 */
    edge_lstm_multiplier hidden_multiplier;                     /* Q0.30 to hidden state */
    int32_t hidden_zero_point;
    int32_t cell_shift;        /* Q0.30 to cell state, right */
    int32_t cell_integer_bits; /* of the 16 bits of the cell state */
} edge_lstm_lstm_s8;

/* The four sums of a unit, over the input and over the hidden state. */
typedef struct {
    int32_t from_input[EDGE_LSTM_GATES];
    int32_t from_hidden[EDGE_LSTM_GATES];
} edge_lstm_sums;

/* Moves one unit's cell on and returns its new hidden value: one function a runtime. */
typedef int8_t edge_lstm_unit(const edge_lstm_lstm_s8 *lstm, const edge_lstm_sums *sums,
                              int16_t *cell);

/* One step. `pairs` is room for the input and the hidden state, widened and each filled up to
   a multiple of four; the old hidden state is read from there while the new one is written.
   Inlined, `unit` is a constant and no call is left. */
EDGE_LSTM_SPECIALISED void edge_lstm_lstm_s8_step(const edge_lstm_lstm_s8 *lstm,
                                                  const int8_t *input, int8_t *hidden,
                                                  int16_t *cell, edge_lstm_pair *pairs,
                                                  edge_lstm_unit *unit)
{
    const int32_t input_blocks = edge_lstm_blocks(lstm->inputs);
    const int32_t hidden_blocks = edge_lstm_blocks(lstm->units);
    edge_lstm_pair *hidden_pairs = pairs + 2 * input_blocks;
    const int8_t *kernel = lstm->kernel;
    const int8_t *recurrent_kernel = lstm->recurrent_kernel;
    edge_lstm_widen_s8(input, lstm->inputs, pairs);
    edge_lstm_widen_s8(hidden, lstm->units, hidden_pairs);
    for (int32_t u = 0; u < lstm->units; ++u) {
        edge_lstm_sums sums;
        edge_lstm_dot_s8(kernel, pairs, input_blocks, lstm->input_bias + u * EDGE_LSTM_GATES,
                         sums.from_input);
        edge_lstm_dot_s8(recurrent_kernel, hidden_pairs, hidden_blocks,
                         lstm->recurrent_bias + u * EDGE_LSTM_GATES, sums.from_hidden);
        hidden[u] = unit(lstm, &sums, &cell[u]);
        kernel += input_blocks * EDGE_LSTM_BLOCK;
        recurrent_kernel += hidden_blocks * EDGE_LSTM_BLOCK;
    }
}

/* o * tanh(c) in Q0.30 to the hidden state's format. */
EDGE_LSTM_SPECIALISED int8_t edge_lstm_hidden_s8(const edge_lstm_lstm_s8 *lstm, int32_t product)
{
    const int32_t hidden = edge_lstm_multiply(product, lstm->hidden_multiplier);
    return (int8_t)edge_lstm_saturate_s8(hidden + lstm->hidden_zero_point);
}

#endif
