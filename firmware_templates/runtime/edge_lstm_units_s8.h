/* Physical values to int8 and back. The one place with floating point; a model that is fed
   integers leaves it out by defining NAME_NO_FLOAT. */
#ifndef EDGE_LSTM_UNITS_S8_H
#define EDGE_LSTM_UNITS_S8_H

#include <stdint.h>

/* Rounds halves away from zero; what does not fit saturates, and so does not-a-number. */
static inline void edge_lstm_quantize_s8(const float *values, const float *scale,
                                         const float *zero_point, int32_t length, int8_t *output)
{
    for (int32_t k = 0; k < length; ++k) {
        const float steps = values[k] / scale[k] + zero_point[k];
        if (steps >= 127.0f) {
            output[k] = 127;
        } else if (steps >= -128.0f) {
            output[k] = (int8_t)(steps < 0.0f ? steps - 0.5f : steps + 0.5f);
        } else {
            output[k] = -128;
        }
    }
}

static inline void edge_lstm_dequantize_s8(const int8_t *values, const float *scale,
                                           const float *zero_point, int32_t length, float *output)
{
    for (int32_t k = 0; k < length; ++k) {
        output[k] = ((float)values[k] - zero_point[k]) * scale[k];
    }
}

#endif
