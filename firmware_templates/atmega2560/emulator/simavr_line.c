/* Runs an AVR firmware in simavr: `simavr_line FIRMWARE.elf`. Its USART0 is the TCP port that
   the variable EDGE_LSTM_TCP_PORT names. The line is served between runs of the core, and a
   byte is held back while the USART says that it takes none: so none is lost here. */
#define _POSIX_C_SOURCE 200809L

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <simavr/avr_uart.h>
#include <simavr/sim_avr.h>
#include <simavr/sim_elf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { CYCLES_BETWEEN_LOOKS = 2000 };

static avr_t *core;
static int listener = -1;
static int line = -1;
static int takes_bytes = 1;
static uint8_t received[256];
static size_t received_at, received_end;
static uint8_t pending[256];
static size_t pending_length;

static void on_output(struct avr_irq_t *irq, uint32_t value, void *unused)
{
    (void)irq;
    (void)unused;
    if (pending_length < sizeof pending) {
        pending[pending_length++] = (uint8_t)value;
    }
}

static void on_xon(struct avr_irq_t *irq, uint32_t value, void *unused)
{
    (void)irq;
    (void)value;
    (void)unused;
    takes_bytes = 1;
}

static void on_xoff(struct avr_irq_t *irq, uint32_t value, void *unused)
{
    (void)irq;
    (void)value;
    (void)unused;
    takes_bytes = 0;
}

static int open_listener(void)
{
    const char *wanted = getenv("EDGE_LSTM_TCP_PORT");
    struct sockaddr_in address;
    const int one = 1;
    memset(&address, 0, sizeof address);
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons((uint16_t)(wanted == NULL ? 0 : strtol(wanted, NULL, 10)));
    listener = socket(AF_INET, SOCK_STREAM, 0);
    (void)setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) != 0 ||
        listen(listener, 1) != 0 || fcntl(listener, F_SETFL, O_NONBLOCK) != 0) {
        perror("the TCP port");
        return 0;
    }
    return 1;
}

static void hang_up(void)
{
    (void)close(line);
    line = -1;
}

static void look_at_line(void)
{
    const int one = 1;
    if (line < 0) {
        line = accept(listener, NULL, NULL);
        if (line < 0) {
            pending_length = 0;
            return;
        }
        (void)fcntl(line, F_SETFL, O_NONBLOCK);
        (void)setsockopt(line, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    }
    if (pending_length > 0) {
        const ssize_t count = send(line, pending, pending_length, MSG_NOSIGNAL);
        if (count > 0) {
            memmove(pending, pending + count, pending_length - (size_t)count);
            pending_length -= (size_t)count;
        }
    }
    if (received_at == received_end) {
        const ssize_t count = recv(line, received, sizeof received, 0);
        received_at = 0;
        received_end = count > 0 ? (size_t)count : 0;
        if (count == 0 || (count < 0 && errno != EAGAIN && errno != EWOULDBLOCK)) {
            hang_up();
        }
    }
}

static void connect_uart(void)
{
    uint32_t flags = 0;
    const uint32_t uart = AVR_IOCTL_UART_GETIRQ('0');
    avr_ioctl(core, AVR_IOCTL_UART_GET_FLAGS('0'), &flags);
    flags &= ~(uint32_t)(AVR_UART_FLAG_STDIO | AVR_UART_FLAG_POLL_SLEEP);
    avr_ioctl(core, AVR_IOCTL_UART_SET_FLAGS('0'), &flags);
    avr_irq_register_notify(avr_io_getirq(core, uart, UART_IRQ_OUTPUT), on_output, NULL);
    avr_irq_register_notify(avr_io_getirq(core, uart, UART_IRQ_OUT_XON), on_xon, NULL);
    avr_irq_register_notify(avr_io_getirq(core, uart, UART_IRQ_OUT_XOFF), on_xoff, NULL);
}

int main(int count, char **arguments)
{
    elf_firmware_t firmware;
    memset(&firmware, 0, sizeof firmware);
    if (count != 2 || elf_read_firmware(arguments[1], &firmware) != 0) {
        fprintf(stderr, "usage: simavr_line FIRMWARE.elf\n");
        return 2;
    }
    core = avr_make_mcu_by_name(MCU);
    if (core == NULL || !open_listener()) {
        return 1;
    }
    avr_init(core);
    avr_load_firmware(core, &firmware);
    core->frequency = F_CPU;
    connect_uart();
    avr_irq_t *input = avr_io_getirq(core, AVR_IOCTL_UART_GETIRQ('0'), UART_IRQ_INPUT);
    avr_cycle_count_t look = 0;
    for (;;) {
        const int state = avr_run(core);
        if (state == cpu_Done || state == cpu_Crashed) {
            fprintf(stderr, "the core stopped\n");
            return 1;
        }
        if (core->cycle >= look) {
            look_at_line();
            look = core->cycle + CYCLES_BETWEEN_LOOKS;
        }
        if (takes_bytes && received_at < received_end) {
            avr_raise_irq(input, received[received_at++]);
        }
    }
}
