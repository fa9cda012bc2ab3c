/* Numbers of the link. Python has the same ones in edge_lstm/device/protocol.py; a test holds
   the two together. Integers on the line are little end first.

   A frame is  version  type  sequence (2)  payload (0 to 64)  CRC-32 (4),  COBS-encoded, a zero
   byte before and after it. That much stays the same in every version of the protocol. */
#ifndef EDGE_LSTM_PROTOCOL_H
#define EDGE_LSTM_PROTOCOL_H

#define EDGE_LSTM_PROTOCOL_VERSION 1

#define EDGE_LSTM_HEADER_BYTES 4
#define EDGE_LSTM_PAYLOAD_BYTES 64
#define EDGE_LSTM_CRC_BYTES 4
#define EDGE_LSTM_FRAME_BYTES \
    (EDGE_LSTM_HEADER_BYTES + EDGE_LSTM_PAYLOAD_BYTES + EDGE_LSTM_CRC_BYTES)

/* Commands. The answer's type is the command's with the highest bit set. */
#define EDGE_LSTM_COMMAND_HELLO 0x01     /* begins a session and resets the model */
#define EDGE_LSTM_COMMAND_NAME 0x02      /* item (1): text of the item */
#define EDGE_LSTM_COMMAND_RESET 0x03     /* the model's state */
#define EDGE_LSTM_COMMAND_INPUT 0x04     /* offset (2), values: a part of the next call's input */
#define EDGE_LSTM_COMMAND_INVOKE 0x05    /* the same, the last part: ticks (4), first outputs */
#define EDGE_LSTM_COMMAND_OUTPUT 0x06    /* offset (2), count (1): outputs of the last call */
#define EDGE_LSTM_COMMAND_TIMINGS 0x07   /* calls (4), least (4), most (4), total (8) ticks */
#define EDGE_LSTM_COMMAND_MEMORY 0x08    /* flash, static RAM, stack room, stack used (4 each) */
#define EDGE_LSTM_COMMAND_SELF_TEST 0x09 /* calls (4), CRC found (4), CRC expected (4) */
#define EDGE_LSTM_ANSWER 0x80
#define EDGE_LSTM_ANSWER_ERROR 0xff /* code (1) */

/* Items of EDGE_LSTM_COMMAND_NAME. */
#define EDGE_LSTM_NAME_MODEL 0
#define EDGE_LSTM_NAME_BOARD 1
#define EDGE_LSTM_NAME_COMPILER 2

#define EDGE_LSTM_ERROR_PROTOCOL 1   /* another version; this frame's header has the device's */
#define EDGE_LSTM_ERROR_NO_SESSION 2 /* no hello since the device started */
#define EDGE_LSTM_ERROR_SEQUENCE 3   /* neither the last command again nor the next one */
#define EDGE_LSTM_ERROR_COMMAND 4    /* no such command */
#define EDGE_LSTM_ERROR_PAYLOAD 5    /* not what the command takes */

#endif
