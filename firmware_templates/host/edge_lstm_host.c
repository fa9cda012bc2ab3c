/* A generated model as a shared library: what a host needs beside the model's own functions.

   Compile with the model's names:
     -DEDGE_LSTM_HEADER='"stock.h"' -DEDGE_LSTM_MODEL=stock -DEDGE_LSTM_MODEL_UPPER=STOCK */
#include <stddef.h>
#include <stdint.h>

#include EDGE_LSTM_HEADER

#define JOIN_EXPANDED(a, b) a##b
#define JOIN(a, b) JOIN_EXPANDED(a, b)
#define MODEL(suffix) JOIN(EDGE_LSTM_MODEL, suffix)
#define SIZE(suffix) JOIN(EDGE_LSTM_MODEL_UPPER, suffix)

size_t edge_lstm_host_state_size(void)
{
    return sizeof(MODEL(_state));
}

void edge_lstm_host_reset(void *state)
{
    MODEL(_reset)((MODEL(_state) *)state);
}

void edge_lstm_host_get_state(const void *state, uint8_t *bytes)
{
    MODEL(_get_state)((const MODEL(_state) *)state, bytes);
}

void edge_lstm_host_set_state(void *state, const uint8_t *bytes)
{
    MODEL(_set_state)((MODEL(_state) *)state, bytes);
}

#ifdef EDGE_LSTM_WINDOW

/* One window from a reset. */
void edge_lstm_host_invoke(void *state, const MODEL(_value) *input, MODEL(_value) *output)
{
    MODEL(_run)((MODEL(_state) *)state, input, output);
}

#else

/* One step. */
void edge_lstm_host_invoke(void *state, const MODEL(_value) *input, MODEL(_value) *output)
{
    MODEL(_step)((MODEL(_state) *)state, input, output);
}

/* Many steps; keeps every output and the state after each. */
void edge_lstm_host_stream(void *state, const MODEL(_value) *input, size_t steps,
                           MODEL(_value) *output, uint8_t *states)
{
    for (size_t step = 0; step < steps; ++step) {
        MODEL(_step)((MODEL(_state) *)state, input, output);
        input += SIZE(_INPUT_SIZE);
        output += SIZE(_OUTPUT_SIZE);
        MODEL(_get_state)((const MODEL(_state) *)state, states);
        states += SIZE(_STATE_BYTES);
    }
}

#endif
