/* Private to the room: records of a file, examples being made. */
#pragma once
#include "runtime/data/data.h"
#include <cjson/cJSON.h>

/* Why an example is wrong; false, so that `return bad(...)` reads well. */
typedef struct {
    Data *data;
    const DataSpec *spec;
    const DataUse *use;
    int line; /* of the record at hand */
    char why[512];
} Load;
PRINTF(2, 3) bool bad(Load *l, const char *fmt, ...);

/* A record as an example; false: bad() said why. */
typedef bool Record(Load *l, const cJSON *record);
/* Each record of a file of JSON lines, or of one JSON list (data_records.c). */
bool each_record(Load *l, const char *text, size_t len, Record *record,
                 Err *err);
/* The record at hand is wrong: an error, or one more that is skipped. */
bool refuse(Load *l, Err *err);

bool record_ids(Load *l, const cJSON *record);      /* data_ids.c */
bool record_instruct(Load *l, const cJSON *record); /* data_instruct.c */
/* All of a text's windows (data_text.c). */
bool windows_of_text(Load *l, const char *text, size_t len, Err *err);

/* Adds an example; ids and labels are copied. It is cut to the length asked,
 * and left out where nothing is left to learn because of that. */
void add_example(Load *l, int n, const int32_t *id, const int32_t *label,
                 const double *const *column);
/* "a text", "a number": what a value is. */
const char *json_kind(const cJSON *v);

/* Pieces of an example, tokenised one after the other (data_pieces.c). */
typedef struct {
    Load *l;
    Ids id, label;
} Pieces;
bool pieces_text(Pieces *p, const char *text, size_t len, bool learned);
void pieces_token(Pieces *p, int32_t id, bool learned); /* -1: none */
/* Prompt and answer as one text; learned from where the prompt's own tokens
 * end. */
bool pieces_joined(Pieces *p, const char *text, size_t prompt, size_t len);
void pieces_free(Pieces *p);

/* Fields of a record that a style has places for; NULL: there is none. */
typedef struct {
    const char *system, *instruction, *input, *output;
} Fields;
bool style_write(Pieces *p, const char *style, const Fields *f); /* style.c */

/* Examples kept in a file (data_cache.c). */
bool cache_read(Data *d, const char *folder, int columns);
void cache_write(const Data *d, const char *folder, int columns);
