/* The dot products of edge_lstm_dot_s8.h in plain C: the reference form. */
#ifndef EDGE_LSTM_DOT_S8_PORTABLE_H
#define EDGE_LSTM_DOT_S8_PORTABLE_H

/* sum[r] = bias[r] + row r of the weights . activations */
static inline void edge_lstm_dot_s8(const int8_t *weights, const edge_lstm_pair *activations,
                                    int32_t blocks, const int32_t *bias,
                                    int32_t sum[EDGE_LSTM_ROWS])
{
    for (int32_t r = 0; r < EDGE_LSTM_ROWS; ++r) {
        sum[r] = bias[r];
    }
    for (int32_t block = 0; block < blocks; ++block) {
        const int32_t x0 = activations[0].half[0];
        const int32_t x1 = activations[0].half[1];
        const int32_t x2 = activations[1].half[0];
        const int32_t x3 = activations[1].half[1];
        for (int32_t r = 0; r < EDGE_LSTM_ROWS; ++r) {
            const int8_t *row = weights + EDGE_LSTM_COLUMNS * r;
            sum[r] += row[0] * x0 + row[2] * x1 + row[1] * x2 + row[3] * x3;
        }
        activations += 2;
        weights += EDGE_LSTM_BLOCK;
    }
}

#endif
