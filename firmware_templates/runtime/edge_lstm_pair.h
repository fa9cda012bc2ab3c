/* Two int16 activations in a word, as a model's state holds them. */
#ifndef EDGE_LSTM_PAIR_H
#define EDGE_LSTM_PAIR_H

#include <stdint.h>

/* The first of the two has the lower address. */
typedef union edge_lstm_pair {
    int16_t half[2];
    uint32_t word;
} edge_lstm_pair;

#endif
