/* One step of an LSTM: int8 input and hidden state, int8 weights, int16 cell.

   The weights of the four gates of a unit lie together, in order i, f, c, o, so that one
   pass over the input serves all four. Zero points are folded into the biases. What the
   runtimes do differently with the sums is in edge_lstm_lstm_litert_s8.h and
   edge_lstm_lstm_tflm_s8.h. */
#ifndef EDGE_LSTM_LSTM_S8_H
#define EDGE_LSTM_LSTM_S8_H

#include <string.h>

#include "edge_lstm_fixed_point.h"

enum { EDGE_LSTM_GATES = 4 };

typedef struct {
    int32_t inputs;
    int32_t units;
    const int8_t *kernel;           /* [units][4][inputs] */
    const int8_t *recurrent_kernel; /* [units][4][units] */
    const int32_t *input_bias;      /* [units][4] */
    const int32_t *recurrent_bias;  /* [units][4] */
    edge_lstm_multiplier input_multiplier[EDGE_LSTM_GATES];     /* accumulator to Q3.12 */
    edge_lstm_multiplier recurrent_multiplier[EDGE_LSTM_GATES]; /* accumulator to Q3.12 */
    edge_lstm_multiplier hidden_multiplier;                     /* Q0.30 to hidden state */
    int32_t hidden_zero_point;
    int32_t cell_shift;        /* Q0.30 to cell state, right */
    int32_t cell_integer_bits; /* of the 16 bits of the cell state */
} edge_lstm_lstm_s8;

/* accumulator[g] = bias[g] + rows[g] . vector, for the four gates of a unit. */
static inline void edge_lstm_four_dot_products_s8(const int8_t *rows, const int8_t *vector,
                                                  int32_t length, const int32_t *bias,
                                                  int32_t accumulator[EDGE_LSTM_GATES])
{
    const int8_t *row_i = rows;
    const int8_t *row_f = rows + length;
    const int8_t *row_c = rows + 2 * length;
    const int8_t *row_o = rows + 3 * length;
    int32_t sum_i = bias[0];
    int32_t sum_f = bias[1];
    int32_t sum_c = bias[2];
    int32_t sum_o = bias[3];
    for (int32_t k = 0; k < length; ++k) {
        const int32_t value = vector[k];
        sum_i += row_i[k] * value;
        sum_f += row_f[k] * value;
        sum_c += row_c[k] * value;
        sum_o += row_o[k] * value;
    }
    accumulator[0] = sum_i;
    accumulator[1] = sum_f;
    accumulator[2] = sum_c;
    accumulator[3] = sum_o;
}

/* The four sums of a unit, over the input and over the hidden state. */
typedef struct {
    int32_t from_input[EDGE_LSTM_GATES];
    int32_t from_hidden[EDGE_LSTM_GATES];
} edge_lstm_sums;

/* Moves one unit's cell on and returns its new hidden value: one function a runtime. */
typedef int8_t edge_lstm_unit(const edge_lstm_lstm_s8 *lstm, const edge_lstm_sums *sums,
                              int16_t *cell);

/* One step. `next_hidden` holds [units] values while the old hidden state is still read.
   Inlined, `unit` is a constant and no call is left. */
static inline void edge_lstm_lstm_s8_step(const edge_lstm_lstm_s8 *lstm, const int8_t *input,
                                          int8_t *hidden, int16_t *cell, int8_t *next_hidden,
                                          edge_lstm_unit *unit)
{
    for (int32_t u = 0; u < lstm->units; ++u) {
        const int32_t row = u * EDGE_LSTM_GATES;
        edge_lstm_sums sums;
        edge_lstm_four_dot_products_s8(lstm->kernel + row * lstm->inputs, input, lstm->inputs,
                                       lstm->input_bias + row, sums.from_input);
        edge_lstm_four_dot_products_s8(lstm->recurrent_kernel + row * lstm->units, hidden,
                                       lstm->units, lstm->recurrent_bias + row,
                                       sums.from_hidden);
        next_hidden[u] = unit(lstm, &sums, &cell[u]);
    }
    memcpy(hidden, next_hidden, (size_t)lstm->units);
}

/* o * tanh(c) in Q0.30 to the hidden state's format. */
static inline int8_t edge_lstm_hidden_s8(const edge_lstm_lstm_s8 *lstm, int32_t product)
{
    const int32_t hidden = edge_lstm_multiply(product, lstm->hidden_multiplier);
    return (int8_t)edge_lstm_saturate_s8(hidden + lstm->hidden_zero_point);
}

#endif
