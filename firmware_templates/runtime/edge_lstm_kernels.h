/* All kernels of the edge-lstm runtime. A generated model includes this file only; of the
   two arithmetics the compiler keeps the one that is called.

   C99, integers only, no heap, no global state. Values in names carry their format:
   _s8 is int8_t, _q15 a 16-bit value in Q0.15, _q31 a 32-bit value in Q0.31. Right shifts
   of negative numbers are taken to be arithmetic, as every compiler for the targets named
   in DESIGN.md makes them. */
#ifndef EDGE_LSTM_KERNELS_H
#define EDGE_LSTM_KERNELS_H

#include "edge_lstm_fixed_point.h"
#include "edge_lstm_fully_connected_s8.h"
#include "edge_lstm_lookup_s8.h"
#include "edge_lstm_lstm_litert_s8.h"
#include "edge_lstm_lstm_tflm_s8.h"
#include "edge_lstm_softmax_s8.h"
#include "edge_lstm_state.h"
#include "edge_lstm_version.h"

#endif
