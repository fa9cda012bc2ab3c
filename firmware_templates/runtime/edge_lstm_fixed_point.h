/* Saturation, and products with real constants held as integers. */
#ifndef EDGE_LSTM_FIXED_POINT_H
#define EDGE_LSTM_FIXED_POINT_H

#include <stdint.h>

/* Cortex-M with DSP has saturation and a rounding high product as instructions. Compilers
   find the first only in plain code and have no intrinsic for the second. */
#if !defined(EDGE_LSTM_PORTABLE) && defined(__GNUC__) && defined(__ARM_FEATURE_DSP) && \
    defined(__ARM_FEATURE_SAT)
#define EDGE_LSTM_DSP 1
#else
#define EDGE_LSTM_DSP 0
#endif

/* The real number significand * 2^(shift - 31), significand in Q0.31. */
typedef struct {
    int32_t significand;
    int32_t shift;
} edge_lstm_multiplier;

static inline int32_t edge_lstm_clamp(int32_t value, int32_t lower, int32_t upper)
{
    return value < lower ? lower : (value > upper ? upper : value);
}

static inline int32_t edge_lstm_saturate_s8(int32_t value)
{
#if EDGE_LSTM_DSP
    int32_t saturated;
    __asm__("ssat %0, #8, %1" : "=r"(saturated) : "r"(value) : "cc");
    return saturated;
#else
    return edge_lstm_clamp(value, INT8_MIN, INT8_MAX);
#endif
}

static inline int32_t edge_lstm_saturate_s16(int32_t value)
{
#if EDGE_LSTM_DSP
    int32_t saturated;
    __asm__("ssat %0, #16, %1" : "=r"(saturated) : "r"(value) : "cc");
    return saturated;
#else
    return edge_lstm_clamp(value, INT16_MIN, INT16_MAX);
#endif
}

/* value / 2^exponent, rounded to nearest, halves away from zero; exponent 0 to 31. Not for
   INT32_MIN. */
static inline int32_t edge_lstm_rounding_divide(int32_t value, int32_t exponent)
{
    if (exponent == 0) {
        return value;
    }
    /* Halves go up; taking one off a negative value first sends its halves down. */
    return (((value + (value >> 31)) >> (exponent - 1)) + 1) >> 1;
}

/* High half of a * b, rounded to nearest, halves up. */
static inline int32_t edge_lstm_high_multiply(int32_t a, int32_t b)
{
#if EDGE_LSTM_DSP
    int32_t high;
    __asm__("smmulr %0, %1, %2" : "=r"(high) : "r"(a), "r"(b));
    return high;
#else
    return (int32_t)(((int64_t)a * b + (INT64_C(1) << 31)) >> 32);
#endif
}

/* High half of 2 * a * b, rounded to nearest. Not for a = b = INT32_MIN. */
static inline int32_t edge_lstm_high_multiply_q31(int32_t a, int32_t b)
{
    return (int32_t)(((int64_t)a * b + (INT64_C(1) << 30)) >> 31);
}

/* The same for 16-bit values. Not for a = b = INT16_MIN. */
static inline int32_t edge_lstm_high_multiply_q15(int32_t a, int32_t b)
{
    return (a * b + (INT32_C(1) << 14)) >> 15;
}

/* value * multiplier, rounded twice: the arithmetic inside an LSTM. The generator sees to it
   that the value, shifted left by the multiplier and one bit more, does not overflow. */
static inline int32_t edge_lstm_multiply(int32_t value, edge_lstm_multiplier multiplier)
{
    const int32_t left = multiplier.shift > 0 ? multiplier.shift : 0;
    const int32_t right = multiplier.shift > 0 ? 0 : -multiplier.shift;
    const int32_t product =
        edge_lstm_high_multiply(value * (INT32_C(2) << left), multiplier.significand);
    return edge_lstm_rounding_divide(product, right);
}

/* value * multiplier, rounded once: LiteRT's arithmetic in a fully connected layer. */
static inline int32_t edge_lstm_multiply_single_rounding(int32_t value,
                                                         edge_lstm_multiplier multiplier)
{
    const int32_t total_shift = 31 - multiplier.shift;
    const int64_t half = INT64_C(1) << (total_shift - 1);
    return (int32_t)(((int64_t)value * multiplier.significand + half) >> total_shift);
}

#endif
