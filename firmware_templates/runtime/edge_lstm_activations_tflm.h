/* Sigmoid and tanh of 16-bit fixed-point values, bit for bit as tflite-micro's LSTM has
   them: one table of sigmoid, linear interpolation, and tanh(x) = 2 sigmoid(2x) - 1.

   Both work on the magnitude; the complement of a value is the value at the other sign. */
#ifndef EDGE_LSTM_ACTIVATIONS_TFLM_H
#define EDGE_LSTM_ACTIVATIONS_TFLM_H

#include "edge_lstm_fixed_point.h"
#include "edge_lstm_sigmoid_points.h"

/* The table at magnitude / 2^fraction_bits, times 2^fraction_bits; index 0 to 255. */
static inline int32_t edge_lstm_interpolate_sigmoid(int32_t magnitude, int32_t fraction_bits)
{
    const uint32_t entry = edge_lstm_sigmoid_points[magnitude >> fraction_bits];
    const int32_t fraction = magnitude & ((INT32_C(1) << fraction_bits) - 1);
    const int32_t point = (int32_t)(entry >> 16 << fraction_bits);
    /* A product of two 16-bit values, for the compilers that have an instruction for it; one of
       them wide, because int has 16 bits on AVR. */
    const int32_t way = (int16_t)(entry & 0xffffu);
    return point + (int16_t)fraction * way;
}

/* Sigmoid of Q3.12 in Q0.15. 24 points a unit are 2^9 / 3 inputs apart: 192 for int16. */
static inline int32_t edge_lstm_sigmoid_tflm_q15(int32_t x)
{
    const int32_t sign = x >> 31;
    const int32_t scaled = x * 3;
    const int32_t value = edge_lstm_interpolate_sigmoid((scaled ^ sign) - sign, 9);
    const int32_t complement = (int32_t)((uint32_t)sign >> 7); /* 2^25 - 1 where x < 0 */
    return ((value ^ complement) + (INT32_C(1) << 9)) >> 10;
}

/* Tanh in Q0.15 of 16 bits of which `integer_bits` (0 to 8) are integer. */
static inline int32_t edge_lstm_tanh_tflm_q15(int32_t x, int32_t integer_bits)
{
    const int32_t left = integer_bits > 3 ? integer_bits - 3 : 0;
    const int32_t right = integer_bits < 3 ? 3 - integer_bits : 0;
    const int32_t rounding = right > 0 ? INT32_C(1) << (right - 1) : 0;
    const int32_t scaled = (x * (INT32_C(3) << left) + rounding) >> right;
    const int32_t sign = scaled >> 31;
    const int32_t magnitude = (scaled ^ sign) - sign;
    const int32_t end = INT32_C(255) << 8;
    const int32_t value =
        edge_lstm_interpolate_sigmoid(magnitude < end ? magnitude : end, 8) - (INT32_C(1) << 23);
    return ((value ^ sign) + (INT32_C(1) << 7)) >> 8;
}

#endif
