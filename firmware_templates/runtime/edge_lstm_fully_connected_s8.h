/* A fully connected layer: int8 in and out, int8 weights, zero points folded into the bias. */
#ifndef EDGE_LSTM_FULLY_CONNECTED_S8_H
#define EDGE_LSTM_FULLY_CONNECTED_S8_H

#include "edge_lstm_fixed_point.h"

typedef struct {
    int32_t inputs;
    int32_t outputs;
    const int8_t *weights; /* [outputs][inputs] */
    const int32_t *bias;   /* [outputs] */
    edge_lstm_multiplier multiplier;
    int32_t zero_point;
    int32_t lower; /* limits of the output: int8's, or zero upwards with a relu */
    int32_t upper;
} edge_lstm_fully_connected_s8;

/* A sum to the output's scale: edge_lstm_multiply for tflite-micro,
   edge_lstm_multiply_single_rounding for LiteRT. */
typedef int32_t edge_lstm_requantize(int32_t value, edge_lstm_multiplier multiplier);

static inline void edge_lstm_fully_connected_s8_run(const edge_lstm_fully_connected_s8 *layer,
                                                    const int8_t *input, int8_t *output,
                                                    edge_lstm_requantize *requantize)
{
    const int8_t *row = layer->weights;
    for (int32_t unit = 0; unit < layer->outputs; ++unit, row += layer->inputs) {
        int32_t sum = layer->bias[unit];
        for (int32_t k = 0; k < layer->inputs; ++k) {
            sum += row[k] * input[k];
        }
        sum = requantize(sum, layer->multiplier) + layer->zero_point;
        output[unit] = (int8_t)edge_lstm_clamp(sum, layer->lower, layer->upper);
    }
}

#endif
