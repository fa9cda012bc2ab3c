/* Frames on a serial line: COBS between zero bytes, with zlib's CRC-32 at the end. */
#ifndef EDGE_LSTM_FRAME_H
#define EDGE_LSTM_FRAME_H

#include <stdint.h>

#include "edge_lstm_protocol.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Takes a line byte by byte. All zeros is its state after a zero byte. */
typedef struct {
    uint8_t bytes[EDGE_LSTM_FRAME_BYTES];
    uint8_t length;     /* of bytes, so far */
    uint8_t block_left; /* data bytes until the next code byte */
    uint8_t owes_zero;  /* the block before the next code byte ends in a zero */
    uint8_t broken;     /* too long: wait for the next zero byte */
} edge_lstm_frame_decoder;

/* zlib's CRC-32; begin with 0, or go on from what an earlier call returned. */
uint32_t edge_lstm_crc32(uint32_t crc, const uint8_t *bytes, uint16_t length);

/* Returns the length of header and payload when `byte` completes a good frame, which then
   begins at decoder->bytes and stays there until the next call; otherwise 0. */
uint8_t edge_lstm_frame_receive(edge_lstm_frame_decoder *decoder, uint8_t byte);

/* Writes header and payload of `length` bytes as a frame, through `put`, byte by byte. */
void edge_lstm_frame_send(const uint8_t *bytes, uint8_t length, void (*put)(uint8_t byte));

#ifdef __cplusplus
}
#endif

#endif
