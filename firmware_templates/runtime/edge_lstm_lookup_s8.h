/* A function of one int8 value as a table of its 256 answers: sigmoid and tanh of a layer. */
#ifndef EDGE_LSTM_LOOKUP_S8_H
#define EDGE_LSTM_LOOKUP_S8_H

#include <stdint.h>

/* output[k] = table[input[k] + 128]; input and output may be the same array. */
static inline void edge_lstm_lookup_s8(const int8_t table[256], int32_t length,
                                       const int8_t *input, int8_t *output)
{
    for (int32_t k = 0; k < length; ++k) {
        output[k] = table[input[k] + 128];
    }
}

#endif
