/* Examples of a file: read, checked, cut to length, counted; tokenised ones are
 * kept for the next time. */
#include "runtime/data/data_private.h"
#include <string.h>

static const int32_t *copy_ids(Data *d, int n, const int32_t *from)
{
    int32_t *to = arena_alloc(&d->arena, (size_t)n * sizeof *to);
    memcpy(to, from, (size_t)n * sizeof *to);
    return to;
}

static const double *const *copy_columns(Data *d, int columns, int n,
                                         const double *const *from)
{
    const double **to = arena_alloc(&d->arena,
                                    (size_t)columns * sizeof *to + 1);
    for (int i = 0; i < columns; i++) {
        double *x = arena_alloc(&d->arena, (size_t)n * sizeof *x);
        memcpy(x, from[i], (size_t)n * sizeof *x);
        to[i] = x;
    }
    return to;
}

void add_example(Load *l, int n, const int32_t *id, const int32_t *label,
                 const double *const *column)
{
    Data *d = l->data;
    int64_t most = l->spec->kind == DATA_ids ? 0 : l->spec->length;
    bool cut = most && n > most;
    n = cut ? (int)most : n;
    Example e = {.n = n, .line = l->line};
    for (int i = 1; i < n; i++)
        e.labelled += label[i] != NO_LABEL;
    d->cut += cut;
    if (cut && !e.labelled) {
        d->left_out++;
        return;
    }
    e.id = copy_ids(d, n, id);
    e.label = copy_ids(d, n, label);
    e.column = copy_columns(d, l->use->columns, n, column);
    d->tokens += n;
    d->labelled += e.labelled;
    list_push(&d->arena, &d->example, e);
}

static uint64_t hash_text(uint64_t h, const char *text)
{
    return text ? hash_bytes(h, text, strlen(text) + 1) : h * 31 + 7;
}

/* Of the file and all that decides how it is read. */
static uint64_t hash_of(const DataSpec *s, const DataUse *use,
                        const char *text, size_t len)
{
    uint64_t h = hash_bytes(1, text, len);
    const int64_t numbers[] = {s->kind, s->length, s->skip_bad,
                               use->vocabulary, (int64_t)use->key};
    h = hash_bytes(h, numbers, sizeof numbers);
    const char *const texts[] = {s->style,  s->system, s->instruction,
                                 s->input,  s->output, s->messages};
    for (size_t i = 0; i < COUNT(texts); i++)
        h = hash_text(h, texts[i]);
    for (int i = 0; i < use->columns; i++)
        h = hash_text(h, use->column[i].name) + (uint64_t)use->column[i].most;
    Arena a = {0};
    Style style;
    Err none;
    if (s->style && s->kind == DATA_instruct &&
        style_find(s->style, &a, &style, &none))
        h = hash_text(h, style.text);
    arena_free(&a);
    return h;
}

static bool read(Load *l, const char *text, size_t len, Err *err)
{
    const DataUse *use = l->use;
    if (l->spec->kind == DATA_ids)
        return each_record(l, text, len, record_ids, err);
    if (use->columns)
        return err_set(err, "%.400s: the model reads a column \"%.100s\", "
                            "which only ids(..) has", l->spec->path,
                       use->column[0].name);
    if (!use->tokenizer)
        return err_set(err, "%.400s: the model has no tokenizer; ids(..) "
                            "reads token ids", l->spec->path);
    return l->spec->kind == DATA_text
               ? windows_of_text(l, text, len, err)
               : each_record(l, text, len, record_instruct, err);
}

/* Is there anything to learn? */
static bool enough(const Data *d, const DataSpec *s, Err *err)
{
    if (d->labelled > 0)
        return true;
    if (d->left_out)
        return err_set(err, "%.400s: of all %d examples nothing to learn is "
                            "left within %lld tokens", s->path,
                       d->left_out, (long long)s->length);
    return err_set(err, "%.400s: there is nothing to learn: %d examples%s, no "
                        "label behind a first token", s->path, d->example.n,
                   d->bad ? ", all others wrong" : "");
}

bool data_open(Data *d, const DataSpec *s, const DataUse *use, Err *err)
{
    *d = (Data){0};
    size_t len;
    char *text = read_file(s->path, &len, err);
    if (!text)
        return false;
    Load l = {.data = d, .spec = s, .use = use};
    d->hash = hash_of(s, use, text, len);
    d->cached = s->kind != DATA_ids && use->cache &&
                cache_read(d, use->cache, use->columns);
    bool fine = d->cached || read(&l, text, len, err);
    free(text);
    if (fine && !d->cached && s->kind != DATA_ids && use->cache)
        cache_write(d, use->cache, use->columns);
    return fine && enough(d, s, err);
}

void data_free(Data *d)
{
    arena_free(&d->arena);
    *d = (Data){0};
}

int data_histogram(const Data *d, int64_t edge[DATA_EDGES],
                   int64_t count[DATA_EDGES])
{
    int used = 0;
    for (int i = 0; i < DATA_EDGES; i++)
        edge[i] = (int64_t)1 << i, count[i] = 0;
    for (int i = 0; i < d->example.n; i++) {
        int bin = 0;
        while (bin < DATA_EDGES - 1 && edge[bin] < d->example.at[i].n)
            bin++;
        count[bin]++;
        used = bin >= used ? bin + 1 : used;
    }
    return used;
}
