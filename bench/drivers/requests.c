/* Keeps exactly one request under way on each connection and counts the answers: a closed loop on one thread, all
 * connections in one epoll set (a single connection uses plain blocking calls).
 *
 *   requests produce  HOST PORT TOPIC CONNECTIONS WARMUP_SECONDS SECONDS
 *   requests metadata HOST PORT TOPIC CONNECTIONS WARMUP_SECONDS SECONDS
 *   requests idle     HOST PORT TOPIC CONNECTIONS        (prints "ready", holds them until its input closes)
 *
 * produce: Produce v13 by topic id, acks=all, one record of 100 bytes; connection i has its own idempotent producer id
 * and partition i, so that sequences are always the next ones; only sequence, CRC and correlation id change from one
 * request to the next. Every answer is checked: correlation id, error code, and base offset = the one before + 1.
 * metadata: Metadata v13 for TOPIC by name. Prints one line of JSON. */
#define _GNU_SOURCE
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "kafka_wire.h"

enum { RECORD_SIZE = 100, MAX_ANSWER = 1 << 20 };

typedef struct {
    int socket;
    int32_t correlation, sequence;
    int64_t next_offset;
    uint64_t sent_at;
    Buffer request;
    size_t batch_at; /* where the record batch begins in `request` */
    uint8_t *answer; /* NULL while idle or when the shared buffer serves */
    size_t received;
} Connection;

static struct {
    const char *topic;
    uint8_t topic_id[16];
    int partitions;
} target;

static uint64_t errors, answers;
static int first_error;
static uint32_t *samples; /* ns */
static size_t sample_count, sample_capacity;

static int dial(const char *host, const char *port) {
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found;
    if (getaddrinfo(host, port, &hints, &found)) die("cannot resolve the host");
    int fd = socket(found->ai_family, SOCK_STREAM, 0);
    if (fd < 0 || connect(fd, found->ai_addr, found->ai_addrlen)) die("cannot connect");
    freeaddrinfo(found);
    int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return fd;
}

static void send_all(int fd, const Buffer *b) {
    for (size_t sent = 0; sent < b->size;) {
        ssize_t n = send(fd, b->data + sent, b->size - sent, MSG_NOSIGNAL);
        if (n < 0) die("the broker closed the connection (send)");
        sent += (size_t)n;
    }
}

/* Reads what is there; true when a whole frame is in `c->answer`. */
static int receive(Connection *c) {
    ssize_t n = recv(c->socket, c->answer + c->received, MAX_ANSWER - c->received, 0);
    if (n <= 0) die("the broker closed the connection (recv)");
    c->received += (size_t)n;
    if (c->received < 4) return 0;
    Cursor head = {c->answer, c->answer + 4};
    size_t size = (size_t)take_int(&head, 4);
    if (size + 4 > MAX_ANSWER) die("answer is too large");
    if (c->received > size + 4) die("more bytes than one answer");
    return c->received == size + 4;
}

/* A cursor after the response header. ApiVersions' header is always version 0. */
static Cursor open_answer(Connection *c, int flexible_header) {
    Cursor cursor = {c->answer + 4, c->answer + c->received};
    if (take_int(&cursor, 4) != c->correlation) die("wrong correlation id");
    if (flexible_header) skip_tags(&cursor);
    c->received = 0;
    return cursor;
}

static Cursor call(Connection *c, int flexible_header) {
    end_request(&c->request);
    send_all(c->socket, &c->request);
    while (!receive(c)) {}
    return open_answer(c, flexible_header);
}

static void note_error(int code) {
    if (!first_error) first_error = code;
    errors++;
}

static void handshake(Connection *c) {
    begin_request(&c->request, API_VERSIONS, API_VERSIONS_VERSION, ++c->correlation);
    put_compact_string(&c->request, "bench");
    put_compact_string(&c->request, "1");
    put_uvarint(&c->request, 0);
    Cursor answer = call(c, 0);
    int code = (int)take_int(&answer, 2);
    if (code) fprintf(stderr, "ApiVersions: error %d\n", code), exit(1);
}

static void build_metadata(Connection *c) {
    begin_request(&c->request, API_METADATA, METADATA_VERSION, c->correlation);
    put_uvarint(&c->request, 2);
    put_int(&c->request, 0, 8), put_int(&c->request, 0, 8);
    put_compact_string(&c->request, target.topic);
    put_uvarint(&c->request, 0);
    put_int(&c->request, 0, 1); /* allow auto topic creation */
    put_int(&c->request, 0, 1); /* include authorized operations */
    put_uvarint(&c->request, 0);
    end_request(&c->request);
}

/* Returns the first error code; fills `target`. */
static int read_metadata(Cursor *a) {
    take(a, 4); /* throttle */
    for (uint64_t n = take_uvarint(a); n > 1; n--) {
        take(a, 4), skip_compact_string(a), take(a, 4), skip_compact_string(a), skip_tags(a);
    }
    skip_compact_string(a);
    take(a, 4);
    if (take_uvarint(a) != 2) die("Metadata: expected one topic");
    int code = (int)take_int(a, 2);
    if (code) return code;
    skip_compact_string(a);
    memcpy(target.topic_id, take(a, 16), 16);
    take(a, 1);
    uint64_t n = take_uvarint(a);
    target.partitions = (int)n - 1;
    for (; n > 1; n--) {
        if ((code = (int)take_int(a, 2))) return code;
        take(a, 4 + 4 + 4), skip_int32_array(a), skip_int32_array(a), skip_int32_array(a), skip_tags(a);
    }
    take(a, 4), skip_tags(a);
    code = (int)take_int(a, 2);
    skip_tags(a);
    if (a->at != a->end) die("Metadata: bytes after the answer");
    return code;
}

/* A topic created a moment ago may not have its leaders yet. */
static void find_topic(Connection *c) {
    for (int attempt = 0; attempt < 200; attempt++, usleep(50000)) {
        c->correlation++;
        build_metadata(c);
        Cursor answer = call(c, 1);
        if (!read_metadata(&answer)) return;
    }
    die("the topic has no leaders");
}

/* A broker that has only just started may still be fetching its block of ids (error 14). */
static Cursor init_producer_id(Connection *c) {
    for (int attempt = 0; attempt < 200; attempt++, usleep(50000)) {
        begin_request(&c->request, API_INIT_PRODUCER_ID, INIT_PRODUCER_ID_VERSION, ++c->correlation);
        put_uvarint(&c->request, 0); /* no transactional id */
        put_int(&c->request, 60000, 4);
        put_int(&c->request, UINT64_MAX, 8), put_int(&c->request, UINT64_MAX, 2);
        put_uvarint(&c->request, 0);
        Cursor answer = call(c, 1);
        take(&answer, 4);
        int code = (int)take_int(&answer, 2);
        if (!code) return answer;
        if (code != 14) fprintf(stderr, "InitProducerId: error %d\n", code), exit(1);
    }
    die("InitProducerId: error 14, for ten seconds");
    return (Cursor){0};
}

static void build_produce(Connection *c, int partition) {
    Cursor answer = init_producer_id(c);
    uint64_t producer_id = (uint64_t)take_int(&answer, 8), producer_epoch = (uint64_t)take_int(&answer, 2);

    Buffer record = {0};
    put_int(&record, 0, 1);
    put_varint(&record, 0), put_varint(&record, 0), put_varint(&record, -1);
    put_varint(&record, RECORD_SIZE);
    for (int i = 0; i < RECORD_SIZE; i++) put_int(&record, (uint64_t)('a' + i % 26), 1);
    put_varint(&record, 0);

    struct timespec wall;
    clock_gettime(CLOCK_REALTIME, &wall);
    uint64_t timestamp = (uint64_t)wall.tv_sec * 1000;
    Buffer batch = {0};
    put_int(&batch, 0, 8), put_int(&batch, 0, 4);           /* base offset, length */
    put_int(&batch, UINT64_MAX, 4), put_int(&batch, 2, 1);  /* leader epoch, magic */
    put_int(&batch, 0, 4), put_int(&batch, 0, 2);           /* crc, attributes */
    put_int(&batch, 0, 4);                                  /* last offset delta */
    put_int(&batch, timestamp, 8), put_int(&batch, timestamp, 8);
    put_int(&batch, producer_id, 8), put_int(&batch, producer_epoch, 2);
    put_int(&batch, 0, 4), put_int(&batch, 1, 4);           /* base sequence, record count */
    put_varint(&batch, (int64_t)record.size), put(&batch, record.data, record.size);
    store(batch.data + 8, batch.size - 12, 4);

    Buffer *r = &c->request;
    begin_request(r, API_PRODUCE, PRODUCE_VERSION, 0);
    put_uvarint(r, 0);
    put_int(r, UINT64_MAX, 2), put_int(r, 30000, 4); /* acks, timeout */
    put_uvarint(r, 2), put(r, target.topic_id, 16);
    put_uvarint(r, 2), put_int(r, (uint64_t)partition, 4);
    put_uvarint(r, batch.size + 1);
    c->batch_at = r->size;
    put(r, batch.data, batch.size);
    put_uvarint(r, 0), put_uvarint(r, 0), put_uvarint(r, 0);
    end_request(r);
    free(record.data), free(batch.data);
    c->sequence = 0, c->next_offset = -1;
}

static void send_next(Connection *c) {
    uint8_t *request = c->request.data;
    store(request + 8, (uint32_t)++c->correlation, 4);
    if (c->batch_at) {
        uint8_t *batch = request + c->batch_at;
        size_t batch_size = c->request.size - c->batch_at - 3;
        store(batch + 53, (uint32_t)c->sequence, 4);
        c->sequence = c->sequence == INT32_MAX ? 0 : c->sequence + 1;
        store(batch + 17, crc32c(batch + 21, batch_size - 21), 4);
    }
    c->sent_at = now_ns();
    send_all(c->socket, &c->request);
}

static int read_produce(Connection *c, Cursor *a) {
    if (take_uvarint(a) != 2 || memcmp(take(a, 16), target.topic_id, 16)) die("Produce: wrong topic");
    if (take_uvarint(a) != 2) die("Produce: wrong partitions");
    take(a, 4);
    int code = (int)take_int(a, 2);
    int64_t offset = take_int(a, 8);
    if (!code && c->next_offset >= 0 && offset != c->next_offset) code = -1;
    c->next_offset = offset + 1;
    return code;
}

/* The first record, uncounted: Metadata may name a leader a moment before that leader takes records (error 6). */
static void produce_first(Connection *c) {
    for (int attempt = 0; attempt < 100; attempt++, usleep(50000)) {
        send_next(c);
        while (!receive(c)) {}
        Cursor answer = open_answer(c, 1);
        c->next_offset = -1;
        int code = read_produce(c, &answer);
        if (!code) return;
        if (code != 6) fprintf(stderr, "Produce: error %d\n", code), exit(1);
        c->sequence = 0;
    }
    die("Produce: error 6, for five seconds");
}

static void finish(Connection *c, int measuring) {
    uint64_t elapsed = now_ns() - c->sent_at;
    Cursor answer = open_answer(c, 1);
    int code = c->batch_at ? read_produce(c, &answer) : read_metadata(&answer);
    if (code) note_error(code);
    answers++;
    if (!measuring) return;
    if (sample_count == sample_capacity) {
        sample_capacity = sample_capacity ? sample_capacity * 2 : 1 << 20;
        if (!(samples = realloc(samples, sample_capacity * sizeof *samples))) die("out of memory");
    }
    samples[sample_count++] = elapsed > UINT32_MAX ? UINT32_MAX : (uint32_t)elapsed;
}

static int ascending(const void *a, const void *b) {
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static double percentile_us(double p) { return sample_count ? samples[(size_t)(p * (double)(sample_count - 1))] / 1e3 : 0; }

static void loop(Connection *connections, int count, double warmup, double seconds) {
    int poll = epoll_create1(0);
    for (int i = 0; i < count && count > 1; i++) {
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = &connections[i]};
        epoll_ctl(poll, EPOLL_CTL_ADD, connections[i].socket, &event);
    }
    uint64_t start = now_ns() + (uint64_t)(warmup * 1e9), end = start + (uint64_t)(seconds * 1e9), now;
    for (int i = 0; i < count; i++) send_next(&connections[i]);
    while ((now = now_ns()) < end) {
        if (count == 1) {
            while (!receive(connections)) {}
            finish(connections, now >= start);
            send_next(connections);
            continue;
        }
        struct epoll_event ready[256];
        int n = epoll_wait(poll, ready, 256, 10000);
        if (n <= 0 && errno != EINTR) die("no answer for ten seconds");
        for (int i = 0; i < n; i++) {
            Connection *c = ready[i].data.ptr;
            if (!receive(c)) continue;
            finish(c, now >= start);
            send_next(c);
        }
    }
    double elapsed = (double)(now_ns() - start) / 1e9;
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    qsort(samples, sample_count, sizeof *samples, ascending);
    printf("{\"requests_per_second\": %.0f, \"p50_us\": %.1f, \"p99_us\": %.1f, \"requests\": %zu, \"with_warmup\": %llu, "
           "\"errors\": %llu, \"first_error\": %d, \"driver_cpu\": %.2f}\n",
           (double)sample_count / elapsed, percentile_us(0.5), percentile_us(0.99), sample_count,
           (unsigned long long)answers, (unsigned long long)errors, first_error,
           ((double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
            (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6) / (elapsed + warmup));
}

int main(int argc, char **argv) {
    if (argc < 6) die("usage: requests produce|metadata|idle HOST PORT TOPIC CONNECTIONS [WARMUP SECONDS]");
    const char *mode = argv[1];
    int count = atoi(argv[5]), idle = !strcmp(mode, "idle"), produce = !strcmp(mode, "produce");
    if (count < 1 || (!idle && argc < 8)) die("usage: see the head of requests.c");
    target.topic = argv[4];
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files), files.rlim_cur = files.rlim_max, setrlimit(RLIMIT_NOFILE, &files);
    Connection *connections = calloc((size_t)count, sizeof *connections);
    uint8_t *shared = malloc(MAX_ANSWER);
    for (int i = 0; i < count; i++) {
        Connection *c = &connections[i];
        c->socket = dial(argv[2], argv[3]);
        c->answer = idle ? shared : malloc(MAX_ANSWER);
        handshake(c);
        if (i == 0) find_topic(c);
        else if (!produce) find_topic(c);
        if (produce) {
            if (i >= target.partitions) die("the topic has fewer partitions than connections");
            build_produce(c, i);
            produce_first(c);
        }
    }
    if (idle) {
        char byte;
        printf("ready\n"), fflush(stdout);
        while (read(0, &byte, 1) > 0) {}
        return 0;
    }
    loop(connections, count, atof(argv[6]), atof(argv[7]));
    return errors != 0;
}
