/* The firmware as a process: the serial line is a TCP port of this machine. The variable
   EDGE_LSTM_TCP_PORT names it; 0 or none takes a free one. The process says on stdout which
   port it listens on. */
#define _POSIX_C_SOURCE 200809L

#include "edge_lstm_port.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static int listener = -1;
static int line = -1;
static uint8_t pending[256];
static size_t pending_length;

static void stop(const char *what)
{
    perror(what);
    exit(1);
}

void edge_lstm_port_init(void)
{
    const char *wanted = getenv("EDGE_LSTM_TCP_PORT");
    struct sockaddr_in address;
    socklen_t length = sizeof address;
    const int one = 1;
    memset(&address, 0, sizeof address);
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons((uint16_t)(wanted == NULL ? 0 : strtol(wanted, NULL, 10)));
    listener = socket(AF_INET, SOCK_STREAM, 0);
    if (listener < 0) {
        stop("socket");
    }
    (void)setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) != 0 ||
        listen(listener, 1) != 0 ||
        getsockname(listener, (struct sockaddr *)&address, &length) != 0) {
        stop("the TCP port");
    }
    printf("socket://127.0.0.1:%u\n", (unsigned)ntohs(address.sin_port));
    (void)fflush(stdout);
}

/* Sends what has been put, in one piece. */
static void flush_line(void)
{
    size_t sent = 0;
    while (line >= 0 && sent < pending_length) {
        const ssize_t count = send(line, pending + sent, pending_length - sent, MSG_NOSIGNAL);
        if (count <= 0) {
            break;
        }
        sent += (size_t)count;
    }
    pending_length = 0;
}

static void wait_for_host(void)
{
    const int one = 1;
    line = accept(listener, NULL, NULL);
    if (line < 0) {
        stop("accept");
    }
    (void)setsockopt(line, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
}

/* A host that goes away leaves the state as it is, as a cable that is pulled does. */
uint8_t edge_lstm_port_getc(void)
{
    uint8_t byte;
    flush_line();
    for (;;) {
        if (line < 0) {
            wait_for_host();
        }
        if (recv(line, &byte, 1, 0) == 1) {
            return byte;
        }
        (void)close(line);
        line = -1;
    }
}

void edge_lstm_port_putc(uint8_t byte)
{
    if (pending_length == sizeof pending) {
        flush_line();
    }
    pending[pending_length] = byte;
    ++pending_length;
}

uint32_t edge_lstm_port_ticks(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint32_t)((uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec);
}

uint32_t edge_lstm_port_ticks_per_second(void)
{
    return 1000000000u;
}

void edge_lstm_port_memory(edge_lstm_memory *memory)
{
    memset(memory, 0, sizeof *memory);
}
