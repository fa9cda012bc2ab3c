/* The dot products of edge_lstm_dot_s8.h for Cortex-M with DSP (M4, M7, M33): two products an
   instruction. */
#ifndef EDGE_LSTM_DOT_S8_DSP_H
#define EDGE_LSTM_DOT_S8_DSP_H

#include <arm_acle.h>

/* Bytes 1 and 3 of a word, sign-extended. There is an intrinsic for bytes 0 and 2 only, and
   compilers do not fold a rotation into it. */
static inline int16x2_t edge_lstm_sxtb16_ror8(uint32_t word)
{
    int16x2_t halves;
    __asm__("sxtb16 %0, %1, ror #8" : "=r"(halves) : "r"(word));
    return halves;
}

/* sum + the four columns of one row */
static inline int32_t edge_lstm_four_columns(uint32_t weights, uint32_t x01, uint32_t x23,
                                             int32_t sum)
{
    sum = __smlad(__sxtb16((int8x4_t)weights), (int16x2_t)x01, sum);
    return __smlad(edge_lstm_sxtb16_ror8(weights), (int16x2_t)x23, sum);
}

/* sum[r] = bias[r] + row r of the weights . activations */
static inline void edge_lstm_dot_s8(const int8_t *weights, const edge_lstm_pair *activations,
                                    int32_t blocks, const int32_t *bias,
                                    int32_t sum[EDGE_LSTM_ROWS])
{
    const uint32_t *word = (const uint32_t *)__builtin_assume_aligned(weights, 4);
    const edge_lstm_pair *end = activations + 2 * blocks;
    int32_t sum0 = bias[0];
    int32_t sum1 = bias[1];
    int32_t sum2 = bias[2];
    int32_t sum3 = bias[3];
    while (activations != end) {
        const uint32_t x01 = activations[0].word;
        const uint32_t x23 = activations[1].word;
        sum0 = edge_lstm_four_columns(word[0], x01, x23, sum0);
        sum1 = edge_lstm_four_columns(word[1], x01, x23, sum1);
        sum2 = edge_lstm_four_columns(word[2], x01, x23, sum2);
        sum3 = edge_lstm_four_columns(word[3], x01, x23, sum3);
        activations += 2;
        word += EDGE_LSTM_ROWS;
    }
    sum[0] = sum0;
    sum[1] = sum1;
    sum[2] = sum2;
    sum[3] = sum3;
}

#endif
