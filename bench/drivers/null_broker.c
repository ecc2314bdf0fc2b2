/* Answers the four requests of requests.c at once and does nothing else: no storage, no checks. What requests.c reaches
 * against it is the driver's own ceiling; a broker's figure near that ceiling says nothing about the broker.
 *
 *   null_broker            (prints its port, serves until its input closes) */
#define _GNU_SOURCE
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "kafka_wire.h"

enum { PARTITIONS = 64, SLOTS = 4096, FRAME = 4096 };

typedef struct {
    uint8_t frame[FRAME];
    size_t received;
    int64_t offset;
} Client;

static void answer_metadata(Buffer *b, Cursor *request) {
    take(request, 1 + 16);
    size_t name_size = (size_t)take_uvarint(request);
    const uint8_t *name = take(request, name_size - 1);
    put_int(b, 0, 4), put_uvarint(b, 1), put_uvarint(b, 0), put_int(b, 1, 4); /* throttle, no brokers, no cluster id */
    put_uvarint(b, 2), put_int(b, 0, 2);
    put_uvarint(b, name_size), put(b, name, name_size - 1);
    put_int(b, 0, 8), put_int(b, 7, 8), put_int(b, 0, 1);
    put_uvarint(b, PARTITIONS + 1);
    for (int i = 0; i < PARTITIONS; i++) {
        put_int(b, 0, 2), put_int(b, (uint64_t)i, 4), put_int(b, 1, 4), put_int(b, 0, 4);
        put_uvarint(b, 1), put_uvarint(b, 1), put_uvarint(b, 1), put_uvarint(b, 0);
    }
    put_int(b, 0, 4), put_uvarint(b, 0), put_int(b, 0, 2), put_uvarint(b, 0);
}

static void answer_produce(Buffer *b, Client *client) {
    put_uvarint(b, 2), put_int(b, 0, 8), put_int(b, 7, 8), put_uvarint(b, 2);
    put_int(b, 0, 4), put_int(b, 0, 2), put_int(b, (uint64_t)client->offset++, 8);
    put_int(b, UINT64_MAX, 8), put_int(b, 0, 8), put_uvarint(b, 1), put_uvarint(b, 0), put_uvarint(b, 0);
    put_uvarint(b, 0), put_int(b, 0, 4), put_uvarint(b, 0);
}

static void answer(int socket, Client *client) {
    static Buffer b;
    Cursor request = {client->frame + 4, client->frame + client->received};
    int api = (int)take_int(&request, 2);
    take(&request, 2);
    const uint8_t *correlation = take(&request, 4);
    take(&request, (size_t)take_int(&request, 2)), skip_tags(&request);
    b.size = 0;
    put_int(&b, 0, 4), put(&b, correlation, 4);
    if (api != API_VERSIONS) put_uvarint(&b, 0);
    if (api == API_VERSIONS) put_int(&b, 0, 2), put_uvarint(&b, 1), put_int(&b, 0, 4), put_uvarint(&b, 0);
    else if (api == API_METADATA) answer_metadata(&b, &request);
    else if (api == API_INIT_PRODUCER_ID) put_int(&b, 0, 6), put_int(&b, 1, 8), put_int(&b, 0, 2), put_uvarint(&b, 0);
    else answer_produce(&b, client);
    store(b.data, b.size - 4, 4);
    if (send(socket, b.data, b.size, MSG_NOSIGNAL) != (ssize_t)b.size) die("short send");
    client->received = 0;
}

static int turn(int socket, Client *client) {
    ssize_t n = recv(socket, client->frame + client->received, FRAME - client->received, 0);
    if (n <= 0) return 0;
    client->received += (size_t)n;
    if (client->received >= 4) {
        Cursor head = {client->frame, client->frame + 4};
        if (client->received == (size_t)take_int(&head, 4) + 4) answer(socket, client);
    }
    return 1;
}

int main(void) {
    static Client *clients[SLOTS];
    int listener = socket(AF_INET, SOCK_STREAM, 0), on = 1;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    if (bind(listener, (struct sockaddr *)&address, size) || listen(listener, 128)) die("cannot listen");
    getsockname(listener, (struct sockaddr *)&address, &size);
    printf("%d\n", ntohs(address.sin_port)), fflush(stdout);
    int poll = epoll_create1(0);
    struct epoll_event event = {.events = EPOLLIN, .data.fd = listener};
    epoll_ctl(poll, EPOLL_CTL_ADD, listener, &event);
    event.data.fd = 0;
    epoll_ctl(poll, EPOLL_CTL_ADD, 0, &event);
    for (;;) {
        struct epoll_event ready[256];
        int n = epoll_wait(poll, ready, 256, -1);
        for (int i = 0; i < n; i++) {
            int fd = ready[i].data.fd;
            if (fd == 0) return 0;
            if (fd == listener) {
                event.data.fd = accept(listener, NULL, NULL);
                if (event.data.fd < 0 || event.data.fd >= SLOTS) die("too many connections");
                setsockopt(event.data.fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
                free(clients[event.data.fd]);
                clients[event.data.fd] = calloc(1, sizeof(Client));
                epoll_ctl(poll, EPOLL_CTL_ADD, event.data.fd, &event);
            } else if (!turn(fd, clients[fd])) close(fd);
        }
    }
}
