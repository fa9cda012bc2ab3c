/* A cell state as bytes, little end first, the same on every machine. */
#ifndef EDGE_LSTM_STATE_H
#define EDGE_LSTM_STATE_H

#include <stdint.h>

static inline void edge_lstm_store_s16(const int16_t *values, int32_t length, uint8_t *bytes)
{
    for (int32_t k = 0; k < length; ++k) {
        const uint32_t value = (uint32_t)(int32_t)values[k];
        bytes[2 * k] = (uint8_t)(value & 0xffu);
        bytes[2 * k + 1] = (uint8_t)((value >> 8) & 0xffu);
    }
}

static inline void edge_lstm_load_s16(const uint8_t *bytes, int32_t length, int16_t *values)
{
    for (int32_t k = 0; k < length; ++k) {
        const int32_t value = (int32_t)bytes[2 * k] | ((int32_t)bytes[2 * k + 1] << 8);
        values[k] = (int16_t)(value > INT16_MAX ? value - 65536 : value);
    }
}

#endif
