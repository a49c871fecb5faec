/* For tests of training: lines of ids, labels and columns as a batch, one
 * sequence after the other, each from position 0. */
#pragma once
#include "compiler/graph/graph.h"
#include <cjson/cJSON.h>
#include <setjmp.h>
#include <string.h>
/* after these */
#include <cmocka.h>

typedef struct {
    Arena *arena;
    int T, labelled;
    LIST(double) id, label, share;
    LIST(int32_t) pos;
    LIST(struct Column {
        const char *name;
        double *at;
    }) column;
} Batch;

static inline double number(const cJSON *o, const char *field)
{
    return cJSON_GetNumberValue(cJSON_GetObjectItemCaseSensitive(o, field));
}

static inline const cJSON *item(const cJSON *o, const char *field)
{
    return cJSON_GetObjectItemCaseSensitive(o, field);
}

/* Label t is what position t - 1 has to predict; a first one counts not. */
static inline void add_sequence(Batch *r, const cJSON *ids, const cJSON *labels)
{
    Arena *a = r->arena;
    int n = cJSON_GetArraySize(ids);
    for (int i = 0; i < n; i++) {
        const cJSON *next = i + 1 < n && labels
                                ? cJSON_GetArrayItem(labels, i + 1)
                            : i + 1 < n ? cJSON_GetArrayItem(ids, i + 1)
                                        : NULL;
        bool has = next && cJSON_GetNumberValue(next) >= 0;
        list_push(a, &r->id, cJSON_GetNumberValue(cJSON_GetArrayItem(ids, i)));
        list_push(a, &r->label, has ? cJSON_GetNumberValue(next) : 0);
        list_push(a, &r->share, has);
        list_push(a, &r->pos, i);
        r->labelled += has;
    }
    r->T += n;
}

static inline void add_columns(Batch *r, const cJSON *line, int from)
{
    for (const cJSON *c = line->child; c; c = c->next) {
        if (!strcmp(c->string, "ids") || !strcmp(c->string, "labels"))
            continue;
        struct Column *at = NULL;
        for (int i = 0; i < r->column.n; i++)
            if (!strcmp(r->column.at[i].name, c->string))
                at = &r->column.at[i];
        if (!at) {
            struct Column new = {intern(c->string),
                                 arena_alloc(r->arena, 4096 * 8)};
            list_push(r->arena, &r->column, new);
            at = &r->column.at[r->column.n - 1];
        }
        for (int i = 0; i < cJSON_GetArraySize(c); i++)
            at->at[from + i] = cJSON_GetNumberValue(cJSON_GetArrayItem(c, i));
    }
}

static inline void clear_batch(Batch *r)
{
    r->id.n = r->label.n = r->share.n = r->pos.n = r->column.n = 0;
    r->T = r->labelled = 0;
}

static inline void end_batch(Batch *r)
{
    for (int i = 0; i < r->T; i++)
        r->share.at[i] /= r->labelled ? r->labelled : 1;
}

/* Lines from `from` on; after the last comes the first. */
static inline void read_batch(Batch *r, const char *path, int from, int batch)
{
    FILE *f = fopen(path, "r");
    char *line = NULL;
    size_t room = 0;
    assert_non_null(f);
    clear_batch(r);
    for (int i = 0; i < from + batch; i++) {
        if (getline(&line, &room, f) <= 0) {
            rewind(f);
            assert_true(getline(&line, &room, f) > 0);
        }
        cJSON *o = i < from ? NULL : cJSON_Parse(line);
        if (i < from)
            continue;
        assert_non_null(o);
        add_columns(r, o, r->T);
        add_sequence(r, item(o, "ids"), item(o, "labels"));
        cJSON_Delete(o);
    }
    end_batch(r);
    free(line);
    fclose(f);
}
