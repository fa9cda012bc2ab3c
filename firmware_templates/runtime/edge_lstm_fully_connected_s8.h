/* A fully connected layer: int8 in and out, int8 weights, zero points folded into the bias. */
#ifndef EDGE_LSTM_FULLY_CONNECTED_S8_H
#define EDGE_LSTM_FULLY_CONNECTED_S8_H

#include "edge_lstm_dot_s8.h"
#include "edge_lstm_fixed_point.h"

typedef struct {
    int32_t inputs;
    int32_t outputs;
    const int8_t *weights; /* [fours of outputs][blocks of inputs][4][4] */
    const int32_t *bias;   /* [outputs], filled up to a multiple of four */
    edge_lstm_multiplier multiplier;
    int32_t zero_point;
    int32_t lower; /* limits of the output: int8's, or zero upwards with a relu */
    int32_t upper;
} edge_lstm_fully_connected_s8;

/* A sum to the output's scale: edge_lstm_multiply for tflite-micro,
   edge_lstm_multiply_single_rounding for LiteRT. */
typedef int32_t edge_lstm_requantize(int32_t value, edge_lstm_multiplier multiplier);

/* `pairs` is room for the input, widened and filled up to a multiple of four. */
static inline void edge_lstm_fully_connected_s8_run(const edge_lstm_fully_connected_s8 *layer,
                                                    const int8_t *input, int8_t *output,
                                                    edge_lstm_pair *pairs,
                                                    edge_lstm_requantize *requantize)
{
    const int32_t blocks = edge_lstm_blocks(layer->inputs);
    const int8_t *weights = layer->weights;
    edge_lstm_widen_s8(input, layer->inputs, pairs);
    for (int32_t first = 0; first < layer->outputs; first += EDGE_LSTM_ROWS) {
        int32_t sums[EDGE_LSTM_ROWS];
        edge_lstm_dot_s8(weights, pairs, blocks, layer->bias + first, sums);
        for (int32_t r = 0; r < EDGE_LSTM_ROWS && first + r < layer->outputs; ++r) {
            const int32_t value = requantize(sums[r], layer->multiplier) + layer->zero_point;
            output[first + r] = (int8_t)edge_lstm_clamp(value, layer->lower, layer->upper);
        }
        weights += blocks * EDGE_LSTM_BLOCK;
    }
}

#endif
