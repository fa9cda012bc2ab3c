/* Sigmoid and tanh of 16-bit fixed-point values, bit for bit as LiteRT's integer LSTM has
   them: e^-x by a polynomial and a chain of factors, 1 / (1 + e^-x) by Newton-Raphson. */
#ifndef EDGE_LSTM_ACTIVATIONS_LITERT_H
#define EDGE_LSTM_ACTIVATIONS_LITERT_H

#include "edge_lstm_fixed_point.h"

/* e^a in Q0.15 for a in [-1/4, 0), Q0.15: Taylor series of degree 4 around -1/8. */
static inline int32_t edge_lstm_exp_of_quarter_q15(int32_t a)
{
    const int32_t exp_minus_eighth = 28918; /* e^(-1/8), Q0.15 */
    const int32_t one_third = 10923;
    const int32_t x = a + (INT32_C(1) << 12);
    const int32_t x2 = edge_lstm_high_multiply_q15(x, x);
    const int32_t x3 = edge_lstm_high_multiply_q15(x2, x);
    const int32_t x4 = edge_lstm_high_multiply_q15(x2, x2);
    const int32_t cubic =
        edge_lstm_high_multiply_q15(edge_lstm_rounding_divide(x4, 2) + x3, one_third) + x2;
    const int32_t series = x + edge_lstm_rounding_divide(cubic, 1);
    return exp_minus_eighth + edge_lstm_high_multiply_q15(exp_minus_eighth, series);
}

/* e^a in Q0.15 for a <= 0, 16 bits of which `integer_bits` (1 to 7) are integer. */
static inline int32_t edge_lstm_exp_of_negative_q15(int32_t a, int32_t integer_bits)
{
    /* e^(-2^k) for k = -2 to 4, Q0.15; the last ones are nothing at this width. */
    static const int16_t factor[7] = {25520, 19875, 12055, 4435, 600, 11, 0};
    const int32_t fractional_bits = 15 - integer_bits;
    const int32_t quarter = INT32_C(1) << (fractional_bits - 2);
    const int32_t a_mod_quarter = (a & (quarter - 1)) - quarter;
    const int32_t quarters = (a_mod_quarter - a) >> (fractional_bits - 2);
    int32_t result =
        edge_lstm_exp_of_quarter_q15(a_mod_quarter * (INT32_C(1) << integer_bits));
    if (a == 0) {
        return INT16_MAX;
    }
    if (integer_bits > 5 && a < -(INT32_C(32) << fractional_bits)) {
        return 0;
    }
    for (int32_t bit = 0; bit < integer_bits + 2 && bit < 7; ++bit) {
        if ((quarters >> bit) & 1) {
            result = edge_lstm_high_multiply_q15(result, factor[bit]);
        }
    }
    return result;
}

/* 1 / (1 + a) in Q1.14 for a in [0, 1], Q0.15. */
static inline int32_t edge_lstm_one_over_one_plus_q14(int32_t a)
{
    const int32_t half_denominator = (a + INT16_MAX + 1) >> 1;
    int32_t x = 23130 + edge_lstm_high_multiply_q15(half_denominator, -15420); /* 48/17, -32/17 */
    for (int step = 0; step < 3; ++step) {
        const int32_t error = (INT32_C(1) << 13) - edge_lstm_high_multiply_q15(half_denominator, x);
        x += edge_lstm_high_multiply_q15(x, error) * 4;
    }
    return x;
}

/* Sigmoid of Q3.12 in Q0.15. */
static inline int32_t edge_lstm_sigmoid_litert_q15(int32_t x)
{
    const int32_t magnitude = x < 0 ? -x : x;
    const int32_t half =
        edge_lstm_one_over_one_plus_q14(edge_lstm_exp_of_negative_q15(-magnitude, 3));
    const int32_t positive = edge_lstm_saturate_s16(half * 2);
    if (x == 0) {
        return INT32_C(1) << 14;
    }
    return x > 0 ? positive : INT16_MAX - positive;
}

/* Tanh in Q0.15 of 16 bits of which `integer_bits` (0 to 6) are integer. */
static inline int32_t edge_lstm_tanh_litert_q15(int32_t x, int32_t integer_bits)
{
    const int32_t magnitude = x < 0 ? -x : x;
    /* e^(-2|x|): the doubling is one integer bit more. */
    const int32_t exponential = edge_lstm_exp_of_negative_q15(-magnitude, integer_bits + 1);
    const int32_t half = edge_lstm_one_over_one_plus_q14(exponential);
    const int32_t positive = edge_lstm_saturate_s16((half - (INT32_C(1) << 13)) * 4);
    if (x == 0) {
        return 0;
    }
    return x > 0 ? positive : -positive;
}

#endif
