/* Softmax of int8 values; the output counts in 1/256 from -128. */
#ifndef EDGE_LSTM_SOFTMAX_S8_H
#define EDGE_LSTM_SOFTMAX_S8_H

#include "edge_lstm_fixed_point.h"

typedef struct {
    int32_t channels;
    /* e^-(scale * d) for each distance d from the largest input, Q0.31; what lies farther
       than `distances` counts for nothing. */
    const int32_t *exponential;
    int32_t distances;
} edge_lstm_softmax_s8;

/* 1 / (1 + a) in Q0.31 for a in [0, 1), Q0.31, by three Newton-Raphson steps. */
static inline int32_t edge_lstm_one_over_one_plus_q31(int32_t a)
{
    const int32_t half_denominator =
        (int32_t)(((int64_t)a + INT32_MAX + 1) >> 1);
    int32_t x = 1515870810 + edge_lstm_high_multiply_q31(half_denominator, -1010580540);
    for (int step = 0; step < 3; ++step) {
        const int32_t error =
            (INT32_C(1) << 29) - edge_lstm_high_multiply_q31(half_denominator, x);
        x += edge_lstm_high_multiply_q31(x, error) * 4;
    }
    return x > INT32_MAX / 2 ? INT32_MAX : x * 2;
}

static inline int32_t edge_lstm_softmax_exponential(const edge_lstm_softmax_s8 *layer,
                                                    int32_t distance)
{
    return distance < layer->distances ? layer->exponential[distance] : 0;
}

/* Input and output may be the same array. */
static inline void edge_lstm_softmax_s8_run(const edge_lstm_softmax_s8 *layer,
                                            const int8_t *input, int8_t *output)
{
    int32_t largest = INT8_MIN;
    int32_t sum = 0; /* Q12.19 */
    int32_t integer_bits = 0;
    int32_t reciprocal;
    for (int32_t k = 0; k < layer->channels; ++k) {
        largest = input[k] > largest ? input[k] : largest;
    }
    for (int32_t k = 0; k < layer->channels; ++k) {
        sum += edge_lstm_rounding_divide(
            edge_lstm_softmax_exponential(layer, largest - input[k]), 12);
    }
    while ((sum >> integer_bits) >= (INT32_C(1) << 20)) {
        ++integer_bits;
    }
    reciprocal = edge_lstm_one_over_one_plus_q31(
        (int32_t)(((uint32_t)sum << (12 - integer_bits)) - (UINT32_C(1) << 31)));
    for (int32_t k = 0; k < layer->channels; ++k) {
        const int32_t share = edge_lstm_high_multiply_q31(
            edge_lstm_softmax_exponential(layer, largest - input[k]), reciprocal);
        const int32_t steps = edge_lstm_rounding_divide(share, integer_bits + 23);
        output[k] = (int8_t)edge_lstm_saturate_s8(steps - 128);
    }
}

#endif
