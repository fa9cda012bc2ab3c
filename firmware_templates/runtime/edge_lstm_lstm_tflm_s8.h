/* One unit of an int8 LSTM in the arithmetic of tflite-micro, which CMSIS-NN shares. */
#ifndef EDGE_LSTM_LSTM_TFLM_S8_H
#define EDGE_LSTM_LSTM_TFLM_S8_H

#include "edge_lstm_activations_tflm.h"
#include "edge_lstm_lstm_s8.h"

/* Gate g before its activation, Q3.12: both shares saturate before they are added. */
EDGE_LSTM_SPECIALISED int32_t edge_lstm_gate_tflm_q12(const edge_lstm_lstm_s8 *lstm,
                                              const edge_lstm_sums *sums, int32_t g)
{
    const int32_t from_input = edge_lstm_saturate_s16(
        edge_lstm_multiply(sums->from_input[g], lstm->input_multiplier[g]));
    const int32_t from_hidden = edge_lstm_saturate_s16(
        edge_lstm_multiply(sums->from_hidden[g], lstm->recurrent_multiplier[g]));
    return edge_lstm_saturate_s16(from_input + from_hidden);
}

/* value / 2^exponent by way of a multiplier, which rounds twice. */
static inline int32_t edge_lstm_shift_tflm(int32_t value, int32_t exponent)
{
    const edge_lstm_multiplier power = {INT32_C(1) << 30, 1 - exponent};
    return edge_lstm_saturate_s16(edge_lstm_multiply(value, power));
}

EDGE_LSTM_SPECIALISED int8_t edge_lstm_unit_tflm_s8(const edge_lstm_lstm_s8 *lstm,
                                            const edge_lstm_sums *sums, int16_t *cell)
{
    const int32_t input_gate = edge_lstm_sigmoid_tflm_q15(edge_lstm_gate_tflm_q12(lstm, sums, 0));
    const int32_t forget_gate = edge_lstm_sigmoid_tflm_q15(edge_lstm_gate_tflm_q12(lstm, sums, 1));
    const int32_t candidate = edge_lstm_tanh_tflm_q15(edge_lstm_gate_tflm_q12(lstm, sums, 2), 3);
    const int32_t output_gate = edge_lstm_sigmoid_tflm_q15(edge_lstm_gate_tflm_q12(lstm, sums, 3));

    const int32_t kept = edge_lstm_shift_tflm(forget_gate * *cell, 15);
    const int32_t added = edge_lstm_shift_tflm(input_gate * candidate, lstm->cell_shift);
    const int32_t next_cell = edge_lstm_saturate_s16(kept + added);

    *cell = (int16_t)next_cell;
    return edge_lstm_hidden_s8(
        lstm, output_gate * edge_lstm_tanh_tflm_q15(next_cell, lstm->cell_integer_bits));
}

#endif
