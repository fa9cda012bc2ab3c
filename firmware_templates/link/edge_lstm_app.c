/* The model is named by edge_lstm_model.h, which `edge-lstm firmware new` writes. */
#include "edge_lstm_app.h"

#include <string.h>

#include "edge_lstm_frame.h"
#include "edge_lstm_model.h"
#include "edge_lstm_port.h"
#include "edge_lstm_version.h"
#include EDGE_LSTM_MODEL_HEADER

#define JOIN_EXPANDED(a, b) a##b
#define JOIN(a, b) JOIN_EXPANDED(a, b)
#define MODEL(suffix) JOIN(EDGE_LSTM_MODEL, suffix)
#define SIZE(suffix) JOIN(EDGE_LSTM_MODEL_UPPER, suffix)

#ifdef __clang__
#define COMPILER __VERSION__
#else
#define COMPILER "gcc " __VERSION__
#endif

enum {
    INPUTS = EDGE_LSTM_MODEL_CALL_INPUTS,
    OUTPUTS = EDGE_LSTM_MODEL_CALL_OUTPUTS,
    TICKS_BYTES = 4,
    MOST_OUTPUTS = EDGE_LSTM_PAYLOAD_BYTES - TICKS_BYTES
};

static const uint8_t model_hash[] = EDGE_LSTM_MODEL_HASH;

static MODEL(_state) state;
static MODEL(_value) input[INPUTS];
static MODEL(_value) output[OUTPUTS];
static uint16_t inputs_present; /* of the next call */

static struct {
    uint32_t calls;
    uint32_t least;
    uint32_t most;
    uint64_t total;
} timings;

static edge_lstm_frame_decoder decoder;
static uint8_t answer[EDGE_LSTM_HEADER_BYTES + EDGE_LSTM_PAYLOAD_BYTES];
static uint8_t answer_length;
static uint16_t last_sequence;
static uint32_t last_crc;
static uint8_t in_session;

/* --- Integers on the line ----------------------------------------------------------------- */

static uint16_t get_u16(const uint8_t *bytes)
{
    return (uint16_t)(bytes[0] | ((uint16_t)bytes[1] << 8));
}

static uint32_t get_u32(const uint8_t *bytes)
{
    return get_u16(bytes) | ((uint32_t)get_u16(bytes + 2) << 16);
}

static void put_u8(uint8_t value)
{
    answer[answer_length] = value;
    ++answer_length;
}

static void put_u16(uint16_t value)
{
    put_u8((uint8_t)(value & 0xffu));
    put_u8((uint8_t)(value >> 8));
}

static void put_u32(uint32_t value)
{
    put_u16((uint16_t)(value & 0xffffu));
    put_u16((uint16_t)(value >> 16));
}

static void put_float(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    put_u32(bits);
}

static void put_bytes(const void *bytes, uint8_t length)
{
    memcpy(answer + answer_length, bytes, length);
    answer_length = (uint8_t)(answer_length + length);
}

/* --- The model ---------------------------------------------------------------------------- */

static void reset_model(void)
{
    MODEL(_reset)(&state);
    inputs_present = 0;
}

static void call_model(void)
{
#if EDGE_LSTM_MODEL_WINDOW
    MODEL(_run)(&state, input, output);
#else
    MODEL(_step)(&state, input, output);
#endif
}

static uint32_t timed_call(void)
{
    const uint32_t start = edge_lstm_port_ticks();
    call_model();
    const uint32_t ticks = edge_lstm_port_ticks() - start;
    if (timings.calls == 0 || ticks < timings.least) {
        timings.least = ticks;
    }
    if (ticks > timings.most) {
        timings.most = ticks;
    }
    timings.total += ticks;
    ++timings.calls;
    return ticks;
}

/* --- Commands: 0 or an error code --------------------------------------------------------- */

static uint8_t hello(void)
{
    reset_model();
    memset(&timings, 0, sizeof timings);
    put_u8(EDGE_LSTM_VERSION_MAJOR);
    put_u8(EDGE_LSTM_VERSION_MINOR);
    put_u8(EDGE_LSTM_VERSION_PATCH);
    put_u8(EDGE_LSTM_MODEL_WINDOW);
    put_bytes(model_hash, sizeof model_hash);
    put_u16(INPUTS);
    put_u16(OUTPUTS);
    put_float(SIZE(_INPUT_SCALE));
    put_u32((uint32_t)SIZE(_INPUT_ZERO_POINT));
    put_float(SIZE(_OUTPUT_SCALE));
    put_u32((uint32_t)SIZE(_OUTPUT_ZERO_POINT));
    put_u32(edge_lstm_port_ticks_per_second());
    return 0;
}

static uint8_t name(const uint8_t *payload, uint8_t length)
{
    static const char model[] = EDGE_LSTM_MODEL_NAME;
    static const char board[] = EDGE_LSTM_MODEL_BOARD;
    static const char compiler[] = COMPILER;
    const char *text;
    if (length != 1) {
        return EDGE_LSTM_ERROR_PAYLOAD;
    }
    switch (payload[0]) {
    case EDGE_LSTM_NAME_MODEL:
        text = model;
        break;
    case EDGE_LSTM_NAME_BOARD:
        text = board;
        break;
    case EDGE_LSTM_NAME_COMPILER:
        text = compiler;
        break;
    default:
        return EDGE_LSTM_ERROR_PAYLOAD;
    }
    for (uint8_t k = 0; k < EDGE_LSTM_PAYLOAD_BYTES && text[k] != '\0'; ++k) {
        put_u8((uint8_t)text[k]);
    }
    return 0;
}

/* Parts of an input come in order, so that none can be missing. */
static uint8_t take_input(const uint8_t *payload, uint8_t length)
{
    if (length < 2) {
        return EDGE_LSTM_ERROR_PAYLOAD;
    }
    const uint16_t offset = get_u16(payload);
    const uint8_t count = (uint8_t)(length - 2);
    if (offset == 0) {
        inputs_present = 0;
    }
    if (offset != inputs_present || count > INPUTS - offset) {
        return EDGE_LSTM_ERROR_PAYLOAD;
    }
    memcpy(input + offset, payload + 2, count);
    inputs_present = (uint16_t)(offset + count);
    return 0;
}

static uint8_t invoke(const uint8_t *payload, uint8_t length)
{
    const uint8_t error = take_input(payload, length);
    if (error != 0) {
        return error;
    }
    if (inputs_present != INPUTS) {
        return EDGE_LSTM_ERROR_PAYLOAD;
    }
    inputs_present = 0;
    put_u32(timed_call());
    put_bytes(output, OUTPUTS < MOST_OUTPUTS ? OUTPUTS : MOST_OUTPUTS);
    return 0;
}

static uint8_t read_output(const uint8_t *payload, uint8_t length)
{
    if (length != 3) {
        return EDGE_LSTM_ERROR_PAYLOAD;
    }
    const uint16_t offset = get_u16(payload);
    const uint8_t count = payload[2];
    if (offset > OUTPUTS || count > OUTPUTS - offset || count > EDGE_LSTM_PAYLOAD_BYTES) {
        return EDGE_LSTM_ERROR_PAYLOAD;
    }
    put_bytes(output + offset, count);
    return 0;
}

static uint8_t read_timings(void)
{
    put_u32(timings.calls);
    put_u32(timings.least);
    put_u32(timings.most);
    put_u32((uint32_t)(timings.total & 0xffffffffu));
    put_u32((uint32_t)(timings.total >> 32));
    return 0;
}

static uint8_t read_memory(void)
{
    edge_lstm_memory memory;
    edge_lstm_port_memory(&memory);
    put_u32(memory.flash_used);
    put_u32(memory.static_ram);
    put_u32(memory.stack_room);
    put_u32(memory.stack_used);
    return 0;
}

/* Calls from a reset on pseudo-random inputs; the generator of the project knows the CRC of all
   outputs. The state is reset before and after. */
static uint8_t self_test(void)
{
    uint32_t random = 1;
    uint32_t crc = 0;
    reset_model();
    for (uint16_t call = 0; call < EDGE_LSTM_MODEL_SELF_TEST_CALLS; ++call) {
        for (uint16_t k = 0; k < INPUTS; ++k) {
            random = random * UINT32_C(1664525) + UINT32_C(1013904223);
            const int32_t byte = (int32_t)(random >> 24);
            input[k] = (MODEL(_value))(byte - 128);
        }
        call_model();
        crc = edge_lstm_crc32(crc, (const uint8_t *)output, sizeof output);
    }
    reset_model();
    put_u32(EDGE_LSTM_MODEL_SELF_TEST_CALLS);
    put_u32(crc);
    put_u32(EDGE_LSTM_MODEL_SELF_TEST_CRC);
    return 0;
}

static uint8_t carry_out(uint8_t type, const uint8_t *payload, uint8_t length)
{
    switch (type) {
    case EDGE_LSTM_COMMAND_HELLO:
        return hello();
    case EDGE_LSTM_COMMAND_NAME:
        return name(payload, length);
    case EDGE_LSTM_COMMAND_RESET:
        reset_model();
        return 0;
    case EDGE_LSTM_COMMAND_INPUT:
        return take_input(payload, length);
    case EDGE_LSTM_COMMAND_INVOKE:
        return invoke(payload, length);
    case EDGE_LSTM_COMMAND_OUTPUT:
        return read_output(payload, length);
    case EDGE_LSTM_COMMAND_TIMINGS:
        return read_timings();
    case EDGE_LSTM_COMMAND_MEMORY:
        return read_memory();
    case EDGE_LSTM_COMMAND_SELF_TEST:
        return self_test();
    default:
        return EDGE_LSTM_ERROR_COMMAND;
    }
}

/* --- Sessions ----------------------------------------------------------------------------- */

/* Refuses a frame without touching the stored answer, which may be asked for again. */
static void refuse(const uint8_t *frame, uint8_t error)
{
    const uint8_t refusal[] = {EDGE_LSTM_PROTOCOL_VERSION, EDGE_LSTM_ANSWER_ERROR, frame[2],
                               frame[3], error};
    edge_lstm_frame_send(refusal, sizeof refusal, edge_lstm_port_putc);
}

static void send_answer(void)
{
    edge_lstm_frame_send(answer, answer_length, edge_lstm_port_putc);
}

/* Carries the command out and keeps the answer, in case it is lost on its way. */
static void answer_command(const uint8_t *frame, uint8_t length)
{
    answer[0] = EDGE_LSTM_PROTOCOL_VERSION;
    answer[1] = (uint8_t)(frame[1] | EDGE_LSTM_ANSWER);
    answer[2] = frame[2];
    answer[3] = frame[3];
    answer_length = EDGE_LSTM_HEADER_BYTES;
    const uint8_t error = carry_out(frame[1], frame + EDGE_LSTM_HEADER_BYTES,
                                    (uint8_t)(length - EDGE_LSTM_HEADER_BYTES));
    if (error != 0) {
        answer[1] = EDGE_LSTM_ANSWER_ERROR;
        answer_length = EDGE_LSTM_HEADER_BYTES;
        put_u8(error);
    }
    send_answer();
}

static void take_frame(const uint8_t *frame, uint8_t length)
{
    const uint16_t sequence = get_u16(frame + 2);
    const uint32_t crc = get_u32(frame + length);
    if (frame[0] != EDGE_LSTM_PROTOCOL_VERSION) {
        refuse(frame, EDGE_LSTM_ERROR_PROTOCOL);
        return;
    }
    if (frame[1] == EDGE_LSTM_COMMAND_HELLO) {
        in_session = 1;
    } else if (in_session == 0) {
        refuse(frame, EDGE_LSTM_ERROR_NO_SESSION);
        return;
    } else if (sequence == last_sequence && crc == last_crc) {
        send_answer();
        return;
    } else if (sequence != (uint16_t)(last_sequence + 1u)) {
        refuse(frame, EDGE_LSTM_ERROR_SEQUENCE);
        return;
    }
    last_sequence = sequence;
    last_crc = crc;
    answer_command(frame, length);
}

void edge_lstm_app_init(void)
{
    reset_model();
}

void edge_lstm_app_receive(uint8_t byte)
{
    const uint8_t length = edge_lstm_frame_receive(&decoder, byte);
    if (length > 0) {
        take_frame(decoder.bytes, length);
    }
}
