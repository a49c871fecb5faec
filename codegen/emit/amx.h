/* AMX: eight tile registers of 16 rows of 64 bytes. Private to codegen. */
#pragma once
#include "codegen/emit/emit.h"

/* What stands in for the instructions in tests; the same arguments. */
typedef struct AmxCalls {
    void (*config)(const void *config);
    void (*load)(int64_t tile, const void *from, int64_t stride);
    void (*store)(int64_t tile, void *to, int64_t stride);
    /* tile[to] += tile[a] (rows of pairs) by tile[b] (pairs of columns) */
    void (*dot)(int64_t to, int64_t a, int64_t b);
    void (*release)(void);
} AmxCalls;

/* The 64 bytes that configure the tiles. */
typedef struct {
    uint8_t palette, start, zero[14];
    uint16_t row_bytes[16];
    uint8_t rows[16];
} AmxConfig;

void amx_config(Emit *e, Val config);
void amx_load(Emit *e, int tile, Val from, Val stride);
void amx_store(Emit *e, int tile, Val to, Val stride);
void amx_dot(Emit *e, int to, int a, int b);
void amx_release(Emit *e);
