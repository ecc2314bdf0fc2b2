/* Drives librdkafka from C: a Python client spends more time per record than any broker does.
 *
 *   rdkafka LIBRARY produce    BOOTSTRAP TOPIC RECORD_SIZE RECORDS [PROPERTY=VALUE...]
 *   rdkafka LIBRARY consume    BOOTSTRAP TOPIC RECORDS             [PROPERTY=VALUE...]
 *   rdkafka LIBRARY latency    BOOTSTRAP TOPIC RECORD_SIZE SECONDS [PROPERTY=VALUE...]
 *   rdkafka LIBRARY end-to-end BOOTSTRAP TOPIC RECORD_SIZE SECONDS [PROPERTY=VALUE...]
 *
 * LIBRARY is the shared object inside the confluent-kafka wheel, so its few functions are declared here by hand (they
 * are librdkafka's stable C interface) and found with dlsym. Everything goes to partition 0. Prints one line of JSON.
 * produce: from the first record handed over to the last one acknowledged; the log must have grown by RECORDS.
 * consume: from the offset 0, from the start of fetching to the last record; offsets must follow each other.
 * latency: one record at a time, from rd_kafka_produce to its delivery report.
 * end-to-end: one record at a time, from rd_kafka_produce to the same record in a consumer of the same process. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <sys/types.h>
#include <unistd.h>

#include "kafka_wire.h"

typedef struct rd_kafka_s rd_kafka_t;
typedef struct rd_kafka_conf_s rd_kafka_conf_t;
typedef struct rd_kafka_topic_s rd_kafka_topic_t;
typedef struct {
    int err;
    rd_kafka_topic_t *rkt;
    int32_t partition;
    void *payload;
    size_t len;
    void *key;
    size_t key_len;
    int64_t offset;
    void *_private;
} rd_kafka_message_t;

enum { PRODUCER = 0, CONSUMER = 1, FLAG_BLOCK = 4, PARTITION_EOF = -191, TIMED_OUT = -185 };
enum { TEXT_SIZE = 4 << 20, MAX_SAMPLES = 1 << 22 };

static rd_kafka_conf_t *(*conf_new)(void);
static int (*conf_set)(rd_kafka_conf_t *, const char *, const char *, char *, size_t);
static void (*conf_set_dr_msg_cb)(rd_kafka_conf_t *, void (*)(rd_kafka_t *, const rd_kafka_message_t *, void *));
static rd_kafka_t *(*client_new)(int, rd_kafka_conf_t *, char *, size_t);
static rd_kafka_topic_t *(*topic_new)(rd_kafka_t *, const char *, void *);
static int (*produce_record)(rd_kafka_topic_t *, int32_t, int, void *, size_t, const void *, size_t, void *);
static int (*poll_events)(rd_kafka_t *, int);
static int (*flush)(rd_kafka_t *, int);
static int (*outq_len)(rd_kafka_t *);
static int (*query_watermarks)(rd_kafka_t *, const char *, int32_t, int64_t *, int64_t *, int);
static int (*consume_start)(rd_kafka_topic_t *, int32_t, int64_t);
static int (*consume_stop)(rd_kafka_topic_t *, int32_t);
static int (*consume_callback)(rd_kafka_topic_t *, int32_t, int, void (*)(rd_kafka_message_t *, void *), void *);
static rd_kafka_message_t *(*consume_record)(rd_kafka_topic_t *, int32_t, int);
static void (*message_destroy)(rd_kafka_message_t *);
static const char *(*version_text)(void);

static void load(const char *path) {
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!library) die(dlerror());
    struct { void *slot; const char *name; } symbols[] = {
        {&conf_new, "rd_kafka_conf_new"}, {&conf_set, "rd_kafka_conf_set"},
        {&conf_set_dr_msg_cb, "rd_kafka_conf_set_dr_msg_cb"}, {&client_new, "rd_kafka_new"},
        {&topic_new, "rd_kafka_topic_new"}, {&produce_record, "rd_kafka_produce"}, {&poll_events, "rd_kafka_poll"},
        {&flush, "rd_kafka_flush"}, {&outq_len, "rd_kafka_outq_len"},
        {&query_watermarks, "rd_kafka_query_watermark_offsets"}, {&consume_start, "rd_kafka_consume_start"},
        {&consume_stop, "rd_kafka_consume_stop"}, {&consume_callback, "rd_kafka_consume_callback"},
        {&consume_record, "rd_kafka_consume"}, {&message_destroy, "rd_kafka_message_destroy"},
        {&version_text, "rd_kafka_version_str"}};
    for (size_t i = 0; i < sizeof symbols / sizeof *symbols; i++) {
        void *found = dlsym(library, symbols[i].name);
        if (!found) die(symbols[i].name);
        memcpy(symbols[i].slot, &found, sizeof found);
    }
}

static uint64_t delivered, failed;
static int64_t consumed;
static const char *last_error = "";

static void on_delivery(rd_kafka_t *client, const rd_kafka_message_t *message, void *opaque) {
    (void)client, (void)opaque;
    if (message->err) failed++;
    else delivered++;
}

static rd_kafka_t *open_client(int kind, const char *bootstrap, char **properties, const char *const defaults[][2]) {
    char why[512];
    rd_kafka_conf_t *conf = conf_new();
    if (conf_set(conf, "bootstrap.servers", bootstrap, why, sizeof why)) die(why);
    for (int i = 0; defaults[i][0]; i++)
        if (conf_set(conf, defaults[i][0], defaults[i][1], why, sizeof why)) die(why);
    for (; *properties; properties++) {
        char *name = strdup(*properties), *value = strchr(name, '=');
        if (!value) die("a property is NAME=VALUE");
        *value = 0;
        if (conf_set(conf, name, value + 1, why, sizeof why)) die(why);
    }
    if (kind == PRODUCER) conf_set_dr_msg_cb(conf, on_delivery);
    rd_kafka_t *client = client_new(kind, conf, why, sizeof why);
    if (!client) die(why);
    return client;
}

/* Words from a small vocabulary with numbers between them: compresses about as a log line does, not to nothing. */
static char *make_text(void) {
    static const char *const words[] = {"order", "shipped", "customer", "status", "pending", "amount", "currency",
                                        "EUR", "warehouse", "north", "timestamp", "created", "payment", "accepted"};
    char *text = malloc(TEXT_SIZE + 64);
    uint64_t state = 42;
    for (size_t at = 0; at < TEXT_SIZE;) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        at += (size_t)sprintf(text + at, "%s:%u ", words[(state >> 40) % 14], (unsigned)(state >> 44) % 100000);
    }
    return text;
}

static int64_t log_end(rd_kafka_t *client, const char *topic) {
    int64_t low, high;
    if (query_watermarks(client, topic, 0, &low, &high, 15000)) die("cannot ask for the log's end");
    return high;
}

static const char *const throughput_producer[][2] = {
    {"enable.idempotence", "true"}, {"acks", "all"}, {"delivery.report.only.error", "true"},
    {"queue.buffering.max.messages", "1000000"}, {"queue.buffering.max.kbytes", "1048576"}, {0, 0}};
static const char *const latency_producer[][2] = {
    {"enable.idempotence", "true"}, {"acks", "all"}, {"linger.ms", "0"}, {"socket.nagle.disable", "true"}, {0, 0}};
static const char *const consumer[][2] = {
    {"queued.min.messages", "1000000"}, {"enable.auto.commit", "false"}, {"enable.partition.eof", "false"}, {0, 0}};
static const char *const latency_consumer[][2] = {
    {"enable.auto.commit", "false"}, {"fetch.min.bytes", "1"}, {"socket.nagle.disable", "true"}, {0, 0}};

static void produce(const char *bootstrap, const char *topic_name, size_t size, int64_t count, char **properties) {
    rd_kafka_t *client = open_client(PRODUCER, bootstrap, properties, throughput_producer);
    rd_kafka_topic_t *topic = topic_new(client, topic_name, NULL);
    char *text = make_text();
    int64_t before = log_end(client, topic_name);
    size_t at = 0, step = size | 1;
    uint64_t start = now_ns();
    for (int64_t i = 0; i < count; i++) {
        if (produce_record(topic, 0, FLAG_BLOCK, text + at, size, NULL, 0, NULL)) die("rd_kafka_produce failed");
        if ((at += step) > TEXT_SIZE - size) at = (size_t)i & 1023;
        if ((i & 0xffff) == 0) poll_events(client, 0);
        if (failed) die("a record was not delivered");
    }
    flush(client, 60000);
    double seconds = (double)(now_ns() - start) / 1e9;
    int64_t grown = log_end(client, topic_name) - before;
    if (failed || outq_len(client) || grown != count) {
        fprintf(stderr, "failed %llu, left %d, log grew by %lld of %lld\n", (unsigned long long)failed,
                outq_len(client), (long long)grown, (long long)count);
        exit(1);
    }
    printf("{\"megabytes_per_second\": %.1f, \"records_per_second\": %.0f, \"seconds\": %.3f}\n",
           (double)count * (double)size / 1e6 / seconds, (double)count / seconds, seconds);
}

static void on_record(rd_kafka_message_t *message, void *opaque) {
    if (message->err) {
        if (message->err != PARTITION_EOF) failed++;
        return;
    }
    if (message->offset != consumed) failed++, last_error = "offsets do not follow each other";
    consumed = message->offset + 1;
    *(uint64_t *)opaque += message->len;
}

static void consume(const char *bootstrap, const char *topic_name, int64_t count, char **properties) {
    rd_kafka_t *client = open_client(CONSUMER, bootstrap, properties, consumer);
    rd_kafka_topic_t *topic = topic_new(client, topic_name, NULL);
    if (log_end(client, topic_name) < count) die("the log holds fewer records");
    uint64_t bytes = 0, start = now_ns(), deadline = start + 120000000000u;
    if (consume_start(topic, 0, 0)) die("rd_kafka_consume_start failed");
    while (consumed < count && !failed && now_ns() < deadline) consume_callback(topic, 0, 100, on_record, &bytes);
    double seconds = (double)(now_ns() - start) / 1e9;
    if (consumed < count) fprintf(stderr, "consumed %lld of %lld: %s\n", (long long)consumed, (long long)count, last_error), exit(1);
    consume_stop(topic, 0);
    printf("{\"megabytes_per_second\": %.1f, \"records_per_second\": %.0f, \"seconds\": %.3f}\n",
           (double)bytes / 1e6 / seconds, (double)consumed / seconds, seconds);
}

static int ascending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void report(double *samples, size_t count) {
    if (!count || failed) die("a record was not delivered");
    qsort(samples, count, sizeof *samples, ascending);
    printf("{\"p50_us\": %.1f, \"p99_us\": %.1f, \"records\": %zu}\n", samples[count / 2],
           samples[(size_t)(0.99 * (double)(count - 1))], count);
}

/* The first fifth of the time warms up and is not counted. */
static void latency(const char *bootstrap, const char *topic_name, size_t size, double seconds, int end_to_end, char **properties) {
    rd_kafka_t *client = open_client(PRODUCER, bootstrap, properties, latency_producer);
    rd_kafka_topic_t *topic = topic_new(client, topic_name, NULL), *sink = NULL;
    int64_t offset = log_end(client, topic_name);
    if (end_to_end) {
        char *none[] = {NULL};
        rd_kafka_t *reader = open_client(CONSUMER, bootstrap, none, latency_consumer);
        sink = topic_new(reader, topic_name, NULL);
        if (consume_start(sink, 0, offset)) die("rd_kafka_consume_start failed");
    }
    char *payload = calloc(1, size);
    memset(payload, 'x', size);
    double *samples = malloc(MAX_SAMPLES * sizeof *samples);
    size_t count = 0;
    uint64_t begin = now_ns(), counted = begin + (uint64_t)(seconds * 0.2e9), end = begin + (uint64_t)(seconds * 1e9);
    for (uint64_t start; (start = now_ns()) < end; offset++) {
        uint64_t target = delivered + 1;
        if (produce_record(topic, 0, FLAG_BLOCK, payload, size, NULL, 0, NULL)) die("rd_kafka_produce failed");
        if (end_to_end) {
            rd_kafka_message_t *message = consume_record(sink, 0, 15000);
            if (!message || message->err || message->offset != offset) die("the record did not come back");
            message_destroy(message);
        }
        uint64_t took = now_ns() - start;
        while (delivered < target && !failed) poll_events(client, 1000);
        if (!end_to_end) took = now_ns() - start;
        if (start >= counted && count < MAX_SAMPLES) samples[count++] = (double)took / 1e3;
    }
    report(samples, count);
}

int main(int argc, char **argv) {
    if (argc == 3 && !strcmp(argv[2], "version")) {
        load(argv[1]);
        return puts(version_text()) < 0;
    }
    if (argc < 6) die("usage: see the head of rdkafka.c");
    load(argv[1]);
    const char *mode = argv[2];
    if (!strcmp(mode, "consume")) consume(argv[3], argv[4], atoll(argv[5]), argv + 6);
    else if (argc < 7) die("usage: see the head of rdkafka.c");
    else if (!strcmp(mode, "produce")) produce(argv[3], argv[4], (size_t)atoll(argv[5]), atoll(argv[6]), argv + 7);
    else latency(argv[3], argv[4], (size_t)atoll(argv[5]), atof(argv[6]), !strcmp(mode, "end-to-end"), argv + 7);
    fflush(stdout);
    _exit(0); /* closing the clients would only cost time */
}
