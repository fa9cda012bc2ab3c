#include "edge_lstm_frame.h"

/* Bit by bit: a table would cost more flash than the rest of the link's arithmetic, and a frame
   is checked when the line is silent. */
uint32_t edge_lstm_crc32(uint32_t crc, const uint8_t *bytes, uint16_t length)
{
    crc = ~crc;
    for (uint16_t k = 0; k < length; ++k) {
        crc ^= bytes[k];
        for (uint8_t bit = 0; bit < 8; ++bit) {
            crc = (crc >> 1) ^ ((crc & 1u) != 0u ? UINT32_C(0xedb88320) : 0u);
        }
    }
    return ~crc;
}

static uint8_t crc_byte(uint32_t crc, uint8_t index)
{
    return (uint8_t)((crc >> (8u * index)) & 0xffu);
}

static void append(edge_lstm_frame_decoder *decoder, uint8_t byte)
{
    if (decoder->length < EDGE_LSTM_FRAME_BYTES) {
        decoder->bytes[decoder->length] = byte;
        ++decoder->length;
    } else {
        decoder->broken = 1;
    }
}

/* What lies between two zero bytes is over. */
static uint8_t finish(edge_lstm_frame_decoder *decoder)
{
    const uint8_t length = decoder->length;
    const uint8_t whole = decoder->broken == 0 && decoder->block_left == 0;
    decoder->length = 0;
    decoder->block_left = 0;
    decoder->owes_zero = 0;
    decoder->broken = 0;
    if (whole == 0 || length < EDGE_LSTM_HEADER_BYTES + EDGE_LSTM_CRC_BYTES) {
        return 0;
    }
    const uint8_t content = (uint8_t)(length - EDGE_LSTM_CRC_BYTES);
    const uint32_t crc = edge_lstm_crc32(0, decoder->bytes, content);
    for (uint8_t k = 0; k < EDGE_LSTM_CRC_BYTES; ++k) {
        if (decoder->bytes[content + k] != crc_byte(crc, k)) {
            return 0;
        }
    }
    return content;
}

uint8_t edge_lstm_frame_receive(edge_lstm_frame_decoder *decoder, uint8_t byte)
{
    if (byte == 0) {
        return finish(decoder);
    }
    if (decoder->block_left > 0) {
        append(decoder, byte);
        --decoder->block_left;
        return 0;
    }
    /* A code byte. The code 255 has no zero after its block, but no frame is that long. */
    if (decoder->owes_zero != 0) {
        append(decoder, 0);
    }
    decoder->block_left = (uint8_t)(byte - 1u);
    decoder->owes_zero = 1;
    return 0;
}

void edge_lstm_frame_send(const uint8_t *bytes, uint8_t length, void (*put)(uint8_t byte))
{
    const uint32_t crc = edge_lstm_crc32(0, bytes, length);
    const uint8_t end = (uint8_t)(length + EDGE_LSTM_CRC_BYTES);
    uint8_t begin = 0;
    put(0);
    /* A block a zero byte, and one for the end, where a zero is imagined. */
    while (begin <= end) {
        uint8_t stop = begin;
        while (stop < end && (stop < length ? bytes[stop] : crc_byte(crc, (uint8_t)(stop - length)))) {
            ++stop;
        }
        put((uint8_t)(stop - begin + 1));
        for (uint8_t k = begin; k < stop; ++k) {
            put(k < length ? bytes[k] : crc_byte(crc, (uint8_t)(k - length)));
        }
        begin = (uint8_t)(stop + 1);
    }
    put(0);
}
