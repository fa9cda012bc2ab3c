/* Four dot products at a time: int8 weights by int16 activations. The four are the gates of
   a unit of an LSTM, or four outputs of a fully connected layer.

   Activations are widened to int16 once a step, two to a word, and filled up with zeros to a
   multiple of four. Weights lie in blocks of 16 bytes: four rows of four columns, filled up
   with zeros. Within a row the columns are in the order 0, 2, 1, 3, so that on Cortex-M with
   DSP one SXTB16 takes columns 0 and 1, a rotated one columns 2 and 3.

   Which form is compiled follows from the compiler's feature macros; define
   EDGE_LSTM_PORTABLE for the reference form. All give the same bits. */
#ifndef EDGE_LSTM_DOT_S8_H
#define EDGE_LSTM_DOT_S8_H

#include "edge_lstm_fixed_point.h"
#include "edge_lstm_pair.h"

enum { EDGE_LSTM_ROWS = 4, EDGE_LSTM_COLUMNS = 4, EDGE_LSTM_BLOCK = 16 };

/* A function that the compiler specialises for the constants of each layer. */
#if defined(__GNUC__)
#define EDGE_LSTM_SPECIALISED static inline __attribute__((always_inline))
#else
#define EDGE_LSTM_SPECIALISED static inline
#endif

/* The word-wise forms load weights as words. */
#if defined(__GNUC__)
#define EDGE_LSTM_ALIGNED __attribute__((aligned(4)))
#else
#define EDGE_LSTM_ALIGNED
#endif

/* Widens [length] values; `pairs` holds a multiple of four, the rest becomes zero. */
static inline void edge_lstm_widen_s8(const int8_t *values, int32_t length, edge_lstm_pair *pairs)
{
    int32_t k = 0;
    for (; k + 2 <= length; k += 2, ++pairs) {
        pairs->half[0] = values[k];
        pairs->half[1] = values[k + 1];
    }
    if (k < length) {
        pairs->half[0] = values[k];
        pairs->half[1] = 0;
        ++pairs;
        k += 2;
    }
    if (k % EDGE_LSTM_COLUMNS != 0) {
        pairs->word = 0;
    }
}

/* Blocks of four columns, and the pairs that hold their activations. */
static inline int32_t edge_lstm_blocks(int32_t columns)
{
    return (columns + EDGE_LSTM_COLUMNS - 1) / EDGE_LSTM_COLUMNS;
}

#if EDGE_LSTM_DSP
#include "edge_lstm_dot_s8_dsp.h"
#elif !defined(EDGE_LSTM_PORTABLE) && defined(__SSE2__)
#include "edge_lstm_dot_s8_sse2.h"
#else
#include "edge_lstm_dot_s8_portable.h"
#endif

#endif
