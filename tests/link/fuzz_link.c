/* Fuzzes the device's side of the link: `fuzz_link COUNT SEED`. Built with the sanitizers, which
   see to invariant 1. A second decoder and a second keeper of sessions, written for this purpose
   and working on whole frames, say what must come of each byte; the rest of the numbered
   invariants of DESIGN.md are held against them. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "edge_lstm_app.h"
#include "edge_lstm_frame.h"
#include "edge_lstm_model.h"
#include "edge_lstm_port.h"
#include "fuzz_model.h"

enum { INPUTS = EDGE_LSTM_MODEL_CALL_INPUTS, OUTPUTS = EDGE_LSTM_MODEL_CALL_OUTPUTS };

#define DEMAND(invariant, condition)                                                            \
    do {                                                                                        \
        if (!(condition)) {                                                                     \
            fprintf(stderr, "invariant %d: %s (input %" PRIu64 ")\n", invariant, #condition,    \
                    input_number);                                                              \
            exit(1);                                                                            \
        }                                                                                       \
    } while (0)

static uint64_t input_number;

/* --- The device's surroundings ------------------------------------------------------------ */

static uint32_t model_steps; /* all that were ever made */
static int8_t last_input[INPUTS];
static uint8_t sent[256];
static size_t sent_length;

void fuzz_reset(fuzz_state *state)
{
    state->steps = 0;
}

void fuzz_step(fuzz_state *state, const fuzz_value *input, fuzz_value *output)
{
    ++state->steps;
    ++model_steps;
    memcpy(last_input, input, INPUTS);
    for (int k = 0; k < OUTPUTS; ++k) {
        output[k] = input[k % INPUTS];
    }
}

void edge_lstm_port_putc(uint8_t byte)
{
    DEMAND(4, sent_length < sizeof sent);
    sent[sent_length++] = byte;
}

uint32_t edge_lstm_port_ticks(void)
{
    return model_steps;
}

uint32_t edge_lstm_port_ticks_per_second(void)
{
    return 7;
}

void edge_lstm_port_memory(edge_lstm_memory *memory)
{
    memset(memory, 1, sizeof *memory);
}

/* --- Pseudo-random numbers ---------------------------------------------------------------- */

static uint64_t random_state;

static uint32_t below(uint32_t limit)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (uint32_t)((random_state >> 20) % limit);
}

/* --- The reference: whole frames ---------------------------------------------------------- */

/* Length of what a good encoded frame carries, without its CRC; 0 for a bad one. */
static size_t reference_decode(const uint8_t *encoded, size_t length, uint8_t *content)
{
    size_t from = 0;
    size_t to = 0;
    while (from < length) {
        const size_t code = encoded[from];
        if (code == 0 || from + code > length) {
            return 0;
        }
        memcpy(content + to, encoded + from + 1, code - 1);
        to += code - 1;
        from += code;
        if (from < length && code < 255) {
            content[to++] = 0;
        }
    }
    if (to < 8 || to > EDGE_LSTM_FRAME_BYTES) {
        return 0;
    }
    const uint32_t crc = edge_lstm_crc32(0, content, (uint16_t)(to - 4));
    const uint8_t *end = content + to - 4;
    const uint32_t found = end[0] | ((uint32_t)end[1] << 8) | ((uint32_t)end[2] << 16) |
                           ((uint32_t)end[3] << 24);
    return found == crc ? to - 4 : 0;
}

static size_t reference_encode(const uint8_t *content, size_t length, uint8_t *encoded)
{
    uint8_t whole[EDGE_LSTM_FRAME_BYTES];
    const uint32_t crc = edge_lstm_crc32(0, content, (uint16_t)length);
    memcpy(whole, content, length);
    for (int k = 0; k < 4; ++k) {
        whole[length++] = (uint8_t)(crc >> (8 * k));
    }
    size_t to = 1;
    size_t code_at = 0;
    for (size_t from = 0; from < length; ++from) {
        if (whole[from] == 0) {
            encoded[code_at] = (uint8_t)(to - code_at);
            code_at = to++;
        } else {
            encoded[to++] = whole[from];
        }
    }
    encoded[code_at] = (uint8_t)(to - code_at);
    encoded[to++] = 0;
    return to;
}

static int session;
static uint16_t expected_last;
static uint8_t last_content[EDGE_LSTM_FRAME_BYTES];
static size_t last_length;
static uint8_t last_answer[256];
static size_t last_answer_length;
static size_t present;

enum { MAKES_NO_STEP = -1 };

/* Steps that carrying the command out makes, or MAKES_NO_STEP for one that must be refused. */
static int steps_of(const uint8_t *content, size_t length)
{
    const uint8_t *payload = content + 4;
    const size_t size = length - 4;
    switch (content[1]) {
    case EDGE_LSTM_COMMAND_HELLO:
    case EDGE_LSTM_COMMAND_RESET:
        present = 0;
        return 0;
    case EDGE_LSTM_COMMAND_SELF_TEST:
        present = 0;
        return EDGE_LSTM_MODEL_SELF_TEST_CALLS;
    case EDGE_LSTM_COMMAND_TIMINGS:
    case EDGE_LSTM_COMMAND_MEMORY:
        return 0;
    case EDGE_LSTM_COMMAND_NAME:
        return size == 1 && payload[0] < 3 ? 0 : MAKES_NO_STEP;
    case EDGE_LSTM_COMMAND_OUTPUT:
        return size == 3 && payload[2] <= 64 && payload[0] + 256 * payload[1] + payload[2] <= OUTPUTS
                   ? 0
                   : MAKES_NO_STEP;
    case EDGE_LSTM_COMMAND_INPUT:
    case EDGE_LSTM_COMMAND_INVOKE: {
        if (size < 2) {
            return MAKES_NO_STEP;
        }
        const size_t offset = payload[0] + 256u * payload[1];
        if (offset == 0) {
            present = 0;
        }
        if (offset != present || offset + size - 2 > INPUTS) {
            return MAKES_NO_STEP;
        }
        present += size - 2;
        if (content[1] == EDGE_LSTM_COMMAND_INPUT) {
            return 0;
        }
        if (present != INPUTS) {
            return MAKES_NO_STEP;
        }
        present = 0;
        return 1;
    }
    default:
        return MAKES_NO_STEP;
    }
}

static void demand_answer(int invariant, const uint8_t *content, uint8_t type, int error)
{
    uint8_t answer[256];
    DEMAND(4, sent_length > 2 && sent[0] == 0 && sent[sent_length - 1] == 0);
    DEMAND(4, memchr(sent + 1, 0, sent_length - 2) == NULL);
    const size_t length = reference_decode(sent + 1, sent_length - 2, answer);
    DEMAND(2, length >= 4);
    DEMAND(invariant, answer[0] == EDGE_LSTM_PROTOCOL_VERSION && answer[1] == type);
    DEMAND(invariant, answer[2] == content[2] && answer[3] == content[3]);
    DEMAND(invariant, error < 0 || (length == 5 && answer[4] == error));
}

static void check_frame(const uint8_t *content, size_t length, uint32_t steps_made)
{
    const uint16_t sequence = (uint16_t)(content[2] + 256 * content[3]);
    const uint8_t failed = EDGE_LSTM_ANSWER_ERROR;
    int refusal = 0;
    if (content[0] != EDGE_LSTM_PROTOCOL_VERSION) {
        refusal = EDGE_LSTM_ERROR_PROTOCOL;
    } else if (content[1] == EDGE_LSTM_COMMAND_HELLO) {
        session = 1;
    } else if (!session) {
        refusal = EDGE_LSTM_ERROR_NO_SESSION;
    } else if (sequence == expected_last && length == last_length &&
               memcmp(content, last_content, length) == 0) {
        DEMAND(5, steps_made == 0);
        DEMAND(5, sent_length == last_answer_length);
        DEMAND(5, memcmp(sent, last_answer, sent_length) == 0);
        return;
    } else if (sequence != (uint16_t)(expected_last + 1)) {
        refusal = EDGE_LSTM_ERROR_SEQUENCE;
    }
    if (refusal != 0) {
        DEMAND(refusal == EDGE_LSTM_ERROR_NO_SESSION ? 6 : 5, steps_made == 0);
        demand_answer(refusal == EDGE_LSTM_ERROR_NO_SESSION ? 6 : 5, content, failed, refusal);
        return;
    }
    const int steps = steps_of(content, length);
    DEMAND(7, steps_made == (uint32_t)(steps > 0 ? steps : 0));
    demand_answer(7, content, steps < 0 ? failed : (uint8_t)(content[1] | EDGE_LSTM_ANSWER), -1);
    expected_last = sequence;
    memcpy(last_content, content, length);
    last_length = length;
    memcpy(last_answer, sent, sent_length);
    last_answer_length = sent_length;
}

/* --- Feeding ------------------------------------------------------------------------------ */

static uint8_t line[4096];
static size_t line_length;

static uint64_t good_frames;

static void feed(uint8_t byte)
{
    uint8_t content[4096];
    const uint32_t before = model_steps;
    sent_length = 0;
    edge_lstm_app_receive(byte);
    if (byte != 0) {
        DEMAND(4, sent_length == 0);
        DEMAND(2, model_steps == before);
        if (line_length < sizeof line) {
            line[line_length++] = byte;
        }
        return;
    }
    const size_t length = reference_decode(line, line_length, content);
    line_length = 0;
    if (length == 0) {
        DEMAND(2, sent_length == 0 && model_steps == before);
        return;
    }
    ++good_frames;
    DEMAND(3, sent_length > 0);
    check_frame(content, length, model_steps - before);
}

/* A frame that is likely to be carried out, with a little wrong here and there. */
static size_t plausible(uint8_t *content)
{
    const uint16_t sequence = (uint16_t)(expected_last + (below(8) != 0 ? 1 : below(4)));
    size_t length = 4;
    content[0] = (uint8_t)(below(50) != 0 ? EDGE_LSTM_PROTOCOL_VERSION : below(256));
    content[1] = (uint8_t)(below(20) != 0 ? 1 + below(9) : below(256));
    content[2] = (uint8_t)(sequence & 0xff);
    content[3] = (uint8_t)(sequence >> 8);
    if (below(8) == 0) {
        const size_t size = below(EDGE_LSTM_PAYLOAD_BYTES + 1);
        for (size_t k = 0; k < size; ++k) {
            content[length++] = (uint8_t)below(256);
        }
    } else if (content[1] == EDGE_LSTM_COMMAND_NAME) {
        content[length++] = (uint8_t)below(4);
    } else if (content[1] == EDGE_LSTM_COMMAND_OUTPUT) {
        content[length++] = (uint8_t)below(OUTPUTS + 2);
        content[length++] = (uint8_t)(below(16) == 0);
        content[length++] = (uint8_t)below(66);
    } else if (content[1] == EDGE_LSTM_COMMAND_INPUT || content[1] == EDGE_LSTM_COMMAND_INVOKE) {
        const size_t left = INPUTS - present;
        const size_t size = left <= 62 && below(2) != 0 ? left : below(63);
        content[length++] = (uint8_t)present;
        content[length++] = 0;
        for (size_t k = 0; k < size; ++k) {
            content[length++] = (uint8_t)(below(3) == 0 ? 0 : below(256));
        }
    }
    return length;
}

static void one_input(void)
{
    uint8_t content[EDGE_LSTM_FRAME_BYTES];
    uint8_t encoded[2 * EDGE_LSTM_FRAME_BYTES];
    const uint32_t kind = below(10);
    if (kind == 0) {
        const uint32_t length = below(200);
        for (uint32_t k = 0; k < length; ++k) {
            feed((uint8_t)(below(8) == 0 ? 0 : below(256)));
        }
        return;
    }
    const int again = kind == 1 && last_length > 0;
    const size_t length = again ? last_length : plausible(content);
    const size_t size = reference_encode(again ? last_content : content, length, encoded);
    const int damage = kind == 2 || kind == 3;
    const size_t where = below((uint32_t)size);
    for (size_t k = 0; k < size; ++k) {
        if (!damage || k != where) {
            feed(encoded[k]);
        } else if (kind == 2) {
            feed((uint8_t)(encoded[k] ^ (1u << below(8))));
        } else if (below(2) != 0) {
            feed(encoded[k]);
            feed(encoded[k]);
        }
    }
    if (damage) {
        feed(0);
    }
}

int main(int count, char **arguments)
{
    if (count != 3) {
        return 2;
    }
    const uint64_t inputs = strtoull(arguments[1], NULL, 10);
    random_state = strtoull(arguments[2], NULL, 10) * UINT64_C(0x9e3779b97f4a7c15) + 1;
    edge_lstm_app_init();
    for (input_number = 0; input_number < inputs; ++input_number) {
        one_input();
    }
    printf("%" PRIu64 " inputs, %" PRIu64 " good frames, %" PRIu32 " steps\n", inputs, good_frames,
           model_steps);
    return model_steps > inputs / 100 ? 0 : 1; /* a fuzz that reaches nothing proves nothing */
}
