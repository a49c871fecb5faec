/* A record of ids(FILE): {"ids": [..], "labels": [..], COLUMN: [..]}. Labels
 * are as transformers has them, not shifted; without them all ids are learned.
 */
#include "runtime/data/data_private.h"
#include <math.h>

/* A list of numbers under the name; NULL: bad() said why. */
static const cJSON *list(Load *l, const cJSON *record, const char *name)
{
    const cJSON *v = cJSON_GetObjectItemCaseSensitive(record, name);
    if (!v)
        bad(l, "it has no \"%.100s\"", name);
    else if (!cJSON_IsArray(v))
        bad(l, "\"%.100s\" is to be a list, this is %s", name, json_kind(v));
    else
        return v;
    return NULL;
}

/* The numbers of a list as wanted: whole ones from 0 to most - 1 (and `other`),
 * or any that are finite where most is 0. */
static bool numbers(Load *l, const cJSON *from, int n, int64_t most,
                    double other, double *out)
{
    const char *name = from->string;
    int i = 0;
    for (const cJSON *v = from->child; v; v = v->next, i++) {
        double x = v->valuedouble;
        if (i == n)
            return bad(l, "\"%.100s\" has more numbers than the %d of \"ids\"",
                       name, n);
        if (!cJSON_IsNumber(v))
            return bad(l, "\"%.100s\"[%d] is to be a number, this is %s", name,
                       i, json_kind(v));
        if (!isfinite(x) || (most && x != floor(x)))
            return bad(l, "\"%.100s\"[%d] is %.15g: a %s number is wanted",
                       name, i, x, most ? "whole" : "finite");
        if (most && x != other && (x < 0 || x >= (double)most))
            return bad(l, "\"%.100s\"[%d] is %.15g: the model's %s go from 0 "
                          "to %lld%s", name, i, x,
                       other < 0 ? "labels" : "ids", (long long)most - 1,
                       other < 0 ? ", or -100" : "");
        out[i] = x;
    }
    return i == n || bad(l, "\"%.100s\" has %d numbers, but there are %d "
                            "\"ids\"", name, i, n);
}

static int length_of(const cJSON *v)
{
    int n = 0;
    for (const cJSON *e = v->child; e; e = e->next)
        n++;
    return n;
}

static bool columns(Load *l, const cJSON *record, int n, double **out)
{
    for (int i = 0; i < l->use->columns; i++) {
        const DataColumn *c = &l->use->column[i];
        const cJSON *v = list(l, record, c->name);
        out[i] = xmalloc((size_t)n * sizeof **out);
        if (!v || !numbers(l, v, n, c->most, 0, out[i]))
            return false;
    }
    return true;
}

static void to_ids(const double *from, int n, int32_t *out)
{
    for (int i = 0; i < n; i++)
        out[i] = (int32_t)from[i];
}

/* The record's ids, labels and columns; `x` has room for n numbers. */
static bool read_all(Load *l, const cJSON *record, const cJSON *ids, int n,
                     double *x, int32_t *id, int32_t *label, double **column)
{
    const cJSON *labels = cJSON_GetObjectItemCaseSensitive(record, "labels");
    if (!numbers(l, ids, n, l->use->vocabulary, 0, x))
        return false;
    to_ids(x, n, id);
    if (labels && !list(l, record, "labels"))
        return false;
    if (labels && !numbers(l, labels, n, l->use->vocabulary, NO_LABEL, x))
        return false;
    to_ids(x, n, label);
    return columns(l, record, n, column);
}

bool record_ids(Load *l, const cJSON *record)
{
    enum { MOST = 1 << 24 };
    const cJSON *ids = list(l, record, "ids");
    if (!ids)
        return false;
    int n = length_of(ids), k = l->use->columns;
    if (n == 0 || n > MOST)
        return bad(l, n ? "more than %d \"ids\"" : "\"ids\" is empty", MOST);
    double *x = xmalloc((size_t)n * sizeof *x);
    int32_t *id = xmalloc((size_t)n * sizeof *id),
            *label = xmalloc((size_t)n * sizeof *label);
    double **column = xmalloc((size_t)k * sizeof *column + 1);
    for (int i = 0; i < k; i++)
        column[i] = NULL;
    bool fine = read_all(l, record, ids, n, x, id, label, column);
    if (fine)
        add_example(l, n, id, label, (const double *const *)column);
    for (int i = 0; i < k; i++)
        free(column[i]);
    free(column);
    free(label);
    free(id);
    free(x);
    return fine;
}
