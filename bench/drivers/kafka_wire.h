/* Just enough of Kafka's wire format for the drivers: big-endian cursors and CRC-32C. Every read is bounds-checked. */
#ifndef KAFKA_WIRE_H
#define KAFKA_WIRE_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#if defined(__x86_64__)
#include <nmmintrin.h>
#endif

enum { API_PRODUCE = 0, API_METADATA = 3, API_VERSIONS = 18, API_INIT_PRODUCER_ID = 22 };
enum { PRODUCE_VERSION = 13, METADATA_VERSION = 13, API_VERSIONS_VERSION = 4, INIT_PRODUCER_ID_VERSION = 5 };

static void die(const char *what) {
    fprintf(stderr, "%s\n", what);
    exit(1);
}

static inline uint64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* ---- writing: a growing buffer ---- */
typedef struct {
    uint8_t *data;
    size_t size, capacity;
} Buffer;

static inline void put(Buffer *b, const void *bytes, size_t size) {
    if (b->size + size > b->capacity) {
        b->capacity = (b->size + size) * 2;
        if (!(b->data = realloc(b->data, b->capacity))) die("out of memory");
    }
    memcpy(b->data + b->size, bytes, size);
    b->size += size;
}

static inline void store(uint8_t *at, uint64_t value, int bytes) {
    for (int i = bytes - 1; i >= 0; i--, value >>= 8) at[i] = (uint8_t)value;
}

static inline void put_int(Buffer *b, uint64_t value, int bytes) {
    uint8_t raw[8];
    store(raw, value, bytes);
    put(b, raw, (size_t)bytes);
}

static inline void put_uvarint(Buffer *b, uint64_t value) {
    do {
        uint8_t byte = value & 0x7f;
        value >>= 7;
        if (value) byte |= 0x80;
        put(b, &byte, 1);
    } while (value);
}

static inline void put_varint(Buffer *b, int64_t value) { put_uvarint(b, ((uint64_t)value << 1) ^ (uint64_t)(value >> 63)); }

static inline void put_compact_string(Buffer *b, const char *text) {
    put_uvarint(b, strlen(text) + 1);
    put(b, text, strlen(text));
}

/* Size prefix (filled by end_request) and header version 2, the flexible one. */
static inline void begin_request(Buffer *b, int api, int version, int correlation) {
    static const char client[] = "bench";
    b->size = 0;
    put_int(b, 0, 4);
    put_int(b, (uint64_t)api, 2);
    put_int(b, (uint64_t)version, 2);
    put_int(b, (uint64_t)correlation, 4);
    put_int(b, sizeof client - 1, 2);
    put(b, client, sizeof client - 1);
    put_uvarint(b, 0);
}

static inline void end_request(Buffer *b) { store(b->data, b->size - 4, 4); }

/* ---- reading: a cursor that dies at the end of the frame ---- */
typedef struct {
    const uint8_t *at, *end;
} Cursor;

static inline const uint8_t *take(Cursor *c, size_t size) {
    if ((size_t)(c->end - c->at) < size) die("answer is shorter than its schema");
    const uint8_t *at = c->at;
    c->at += size;
    return at;
}

static inline int64_t take_int(Cursor *c, int bytes) {
    const uint8_t *at = take(c, (size_t)bytes);
    uint64_t value = 0;
    for (int i = 0; i < bytes; i++) value = value << 8 | at[i];
    int unused = 64 - 8 * bytes;
    return (int64_t)(value << unused) >> unused;
}

static inline uint64_t take_uvarint(Cursor *c) {
    uint64_t value = 0;
    for (int shift = 0; shift < 64; shift += 7) {
        uint8_t byte = *take(c, 1);
        value |= (uint64_t)(byte & 0x7f) << shift;
        if (!(byte & 0x80)) return value;
    }
    die("varint is too long");
    return 0;
}

static inline void skip_compact_string(Cursor *c) {
    uint64_t size = take_uvarint(c);
    if (size > 1) take(c, size - 1);
}

static inline void skip_tags(Cursor *c) {
    for (uint64_t n = take_uvarint(c); n; n--) {
        take_uvarint(c);
        take(c, take_uvarint(c));
    }
}

static inline void skip_int32_array(Cursor *c) {
    uint64_t size = take_uvarint(c);
    if (size > 1) take(c, (size - 1) * 4);
}

/* ---- CRC-32C ---- */
#if defined(__x86_64__)
__attribute__((target("sse4.2"))) static inline uint32_t crc32c(const uint8_t *data, size_t size) {
    uint64_t crc = 0xffffffff;
    for (; size >= 8; size -= 8, data += 8) {
        uint64_t word;
        memcpy(&word, data, 8);
        crc = _mm_crc32_u64(crc, word);
    }
    while (size--) crc = _mm_crc32_u8((uint32_t)crc, *data++);
    return ~(uint32_t)crc;
}
#else
static inline uint32_t crc32c(const uint8_t *data, size_t size) {
    static uint32_t table[256];
    if (!table[1])
        for (uint32_t i = 0; i < 256; i++) {
            uint32_t value = i;
            for (int bit = 0; bit < 8; bit++) value = value >> 1 ^ (value & 1 ? 0x82f63b78 : 0);
            table[i] = value;
        }
    uint32_t crc = 0xffffffff;
    while (size--) crc = table[(crc ^ *data++) & 0xff] ^ crc >> 8;
    return ~crc;
}
#endif

#endif
