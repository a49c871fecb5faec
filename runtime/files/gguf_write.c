/* A GGUF file, streamed: its header, then each tensor's rows at their place as
 * they come, put in llama.cpp's order and type. */
#define _GNU_SOURCE
#include "runtime/files/gguf_write.h"
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <string.h>
#include <strings.h>

typedef struct {
    GgufPlan plan;
    char *held;         /* rows that are not all there yet */
    int64_t held_bytes;
    bool overflows;     /* a finite number became infinite */
    char *out;          /* rows as they are written */
} File;

/* ---- types ---- */

enum { CHUNK = 4096 }; /* elements; whole blocks */

static void narrow(Dtype to, const float *x, int64_t n, char *out)
{
    if (to == TYPE_q8_0)
        quantise_f32(to, x, n, out);
    else if (to == TYPE_f32)
        memcpy(out, x, (size_t)n * sizeof *x);
    else
        for (int64_t i = 0; i < n; i++) {
            uint16_t h = to == TYPE_bf16 ? bf16_of_f32(x[i])
                                         : f16_of_f32(x[i]);
            memcpy(out + 2 * i, &h, 2);
        }
}

static void convert(Dtype from, const char *in, Dtype to, char *out, int64_t n)
{
    float x[CHUNK];
    if (from == to) {
        memcpy(out, in, (size_t)type_bytes(to, n));
        return;
    }
    for (int64_t at = 0; at < n; at += CHUNK) {
        int64_t some = n - at < CHUNK ? n - at : CHUNK;
        widen_f32(from, in + type_bytes(from, at), some, x);
        narrow(to, x, some, out + type_bytes(to, at));
    }
}

/* ---- rows ---- */

static File *file_of(Writer *w)
{
    return w->own;
}

/* Where in its unit row r of n goes: halves become pairs. */
static int64_t within(const GgufPlace *p, int64_t r, int64_t n)
{
    return p->rows == ROWS_paired ? 2 * (r % (n / 2)) + r / (n / 2) : r;
}

/* The row of the file that a unit begins at: (head, part) to (part, head). */
static int64_t first_row(const GgufPlace *p, int64_t row)
{
    if (p->rows != ROWS_by_part)
        return row;
    int64_t head = row / p->unit / 3, part = row / p->unit % 3;
    return (part * p->heads + head) * p->unit;
}

static int64_t start_of(const GgufPlan *plan, const GgufPlace *p)
{
    const GgufTensor *t = &plan->tensor.at[p->tensor];
    return plan->data + t->at +
           p->slot * (t->info.bytes / (p->slot ? t->parts : 1));
}

static bool write_at(Writer *w, const void *data, int64_t n, int64_t at)
{
    if (!io_write_at(w->fd, data, (size_t)n, at))
        return false;
    w->at += n;
    if (w->at - w->flushed >= PIECE) { /* anywhere in the file */
        sync_file_range(w->fd, 0, 0, SYNC_FILE_RANGE_WRITE);
        w->flushed = w->at;
    }
    return true;
}

/* Bytes `at` in the tensor, and in the one that has the same values. */
static bool write_twice(Writer *w, const GgufPlace *p, const void *data,
                        int64_t n, int64_t at)
{
    const GgufPlan *plan = &file_of(w)->plan;
    return write_at(w, data, n, start_of(plan, p) + at) &&
           (p->also < 0 ||
            write_at(w, data, n,
                     plan->data + plan->tensor.at[p->also].at + at));
}

/* The largest number that the type rounds to a finite one, about. */
static double largest_of(Dtype t)
{
    return t == TYPE_f16 ? 65520 : t == TYPE_q8_0 ? 127 * 65520.0 : INFINITY;
}

/* A finite number that the file's type makes infinite. */
static bool too_large(const Writer *w, const GgufPlace *p, const void *data,
                      int64_t bytes)
{
    Dtype from = w->tensor[w->current].dtype;
    double most = largest_of(p->to);
    if (from == p->to || !type_is_float(from) || isinf(most))
        return false;
    int64_t n = bytes / type_bytes(from, 1), bad = 0;
#pragma omp parallel for reduction(+ : bad) if (n > 1 << 16)
    for (int64_t i = 0; i < n; i++) {
        double v = fabs(type_load(from, data, i));
        bad += v >= most && isfinite(v);
    }
    return bad > 0;
}

/* Rows `from` .. from + n - 1, which are a unit or the last of them. */
static bool write_rows(Writer *w, const GgufPlace *p, const char *in,
                       int64_t from, int64_t n)
{
    File *o = file_of(w);
    Dtype type = w->tensor[w->current].dtype;
    int64_t in_row = type_bytes(type, p->cols);
    int64_t out_row = type_bytes(p->to, p->cols);
    if (too_large(w, p, in, n * in_row)) {
        o->overflows = true;
        return false;
    }
#pragma omp parallel for if (n * p->cols > 1 << 16)
    for (int64_t r = 0; r < n; r++)
        convert(type, in + r * in_row, p->to,
                o->out + within(p, r, n) * out_row, p->cols);
    return write_twice(w, p, o->out, n * out_row, first_row(p, from) * out_row);
}

/* Units that are all there go as they come, the rest waits in `held`. */
static bool put_rows(Writer *w, const GgufPlace *p, const char *in, int64_t n)
{
    File *o = file_of(w);
    int64_t row = type_bytes(w->tensor[w->current].dtype, p->cols);
    int64_t at = w->done - o->held_bytes; /* of the unit begun */
    for (int64_t take; n; n -= take, in += take) {
        int64_t left = p->nrows - at / row;
        int64_t unit = (left < p->unit ? left : p->unit) * row;
        take = unit - o->held_bytes < n ? unit - o->held_bytes : n;
        bool direct = take == unit;
        if (!direct)
            memcpy(o->held + o->held_bytes, in, (size_t)take);
        o->held_bytes += take;
        if (o->held_bytes < unit)
            continue;
        if (!write_rows(w, p, direct ? in : o->held, at / row, unit / row))
            return false;
        o->held_bytes = 0;
        at += unit;
    }
    return true;
}

static bool put(Writer *w, const void *data, int64_t n, Err *err)
{
    File *o = file_of(w);
    const GgufPlace *p = &o->plan.place[w->current];
    if (p->unit && put_rows(w, p, data, n))
        return true;
    if (o->overflows) {
        err_set(err, "tensor %.300s becomes infinite: a value is too large "
                     "for %s",
                w->tensor[w->current].name, type_info[p->to].name);
        writer_clean(w);
    }
    return !p->unit && write_twice(w, p, data, n, w->done);
}

static bool complete(Writer *w, Err *err)
{
    (void)err;
    w->current++;
    return true;
}

static bool close_gguf(Writer *w, Err *err)
{
    return writer_close_file(w, "it", err);
}

/* ---- begin ---- */

static const char *stem(Arena *a, const char *path)
{
    const char *slash = strrchr(path, '/');
    const char *name = slash ? slash + 1 : path;
    size_t n = strlen(name);
    bool ends = n > 5 && !strcasecmp(name + n - 5, ".gguf");
    return arena_strn(a, name, ends ? n - 5 : n);
}

static bool find_arch(GgufPlan *p)
{
    const char *class = config_class(p->spec->config);
    for (int i = 0; i < gguf_archs; i++)
        if (!strcmp(gguf_arch[i].class, class)) {
            p->arch = &gguf_arch[i];
            return true;
        }
    return gguf_refuse(p, "llama.cpp has no %.100s that graft knows; write a "
                       "folder", *class ? class : "model without a class");
}

static void put_infos(GgufPlan *p)
{
    for (int i = 0; i < p->tensor.n; i++) {
        const GgufTensor *t = &p->tensor.at[i];
        uint64_t at = (uint64_t)t->at;
        put_string(p, t->info.name, strlen(t->info.name));
        put_u32(p, (uint32_t)t->info.rank);
        for (int d = t->info.rank - 1; d >= 0; d--)
            fwrite(&t->info.shape[d], 8, 1, p->out);
        put_u32(p, (uint32_t)type_info[t->info.dtype].gguf);
        fwrite(&at, 8, 1, p->out);
    }
}

/* The header in memory; its counts are known only at its end. */
static bool plan_head(GgufPlan *p, const char *name)
{
    static const char head[24] = "GGUF\3";
    p->out = open_memstream(&p->head, &p->head_len);
    if (!p->out)
        die("out of memory");
    fwrite(head, sizeof head, 1, p->out);
    bool good = gguf_plan_keys(p, name);
    put_infos(p);
    while (ftell(p->out) % GGUF_ALIGN)
        fputc(0, p->out);
    if (fclose(p->out))
        die("out of memory");
    int64_t counts[2] = {p->tensor.n, p->keys};
    memcpy(p->head + 8, counts, sizeof counts);
    p->data = (int64_t)p->head_len;
    p->end += p->data;
    return good;
}

static bool make_plan(Writer *w, const GgufSpec *spec, Err *err)
{
    File *o = file_of(w);
    o->plan = (GgufPlan){.arena = &w->arena, .spec = spec, .err = err};
    if (!find_arch(&o->plan) || !gguf_plan_tensors(&o->plan))
        return false;
    bool good = plan_head(&o->plan, stem(&w->arena, w->path));
    char *head = o->plan.head;
    o->plan.head = arena_alloc(&w->arena, o->plan.head_len);
    memcpy(o->plan.head, head, o->plan.head_len);
    free(head);
    w->bytes = o->plan.end;
    return good;
}

static void make_buffers(Writer *w)
{
    File *o = file_of(w);
    int64_t in = 0, out = 0;
    for (int i = 0; i < w->tensors; i++) {
        const GgufPlace *p = &o->plan.place[i];
        int64_t a = type_bytes(w->tensor[i].dtype, p->unit * p->cols);
        int64_t b = type_bytes(p->to, p->unit * p->cols);
        in = a > in ? a : in;
        out = b > out ? b : out;
    }
    o->held = arena_alloc(&w->arena, (size_t)in);
    o->out = arena_alloc(&w->arena, (size_t)out);
}

static bool begin_file(Writer *w, Err *err)
{
    File *o = file_of(w);
    GgufPlan *p = &o->plan;
    io_remove(w->temporary); /* a dead process had our number */
    w->fd = io_create(w->temporary);
    if (w->fd < 0)
        return err_set(err, "%s: cannot be made: %s", w->path,
                       strerror(errno));
    w->made = true;
    if (!write_at(w, p->head, (int64_t)p->head_len, 0))
        return writer_fail(w, "it", err);
    for (int i = 0; i < p->tensor.n; i++) {
        const GgufTensor *t = &p->tensor.at[i];
        if (t->data && !write_at(w, t->data, t->info.bytes, p->data + t->at))
            return writer_fail(w, t->info.name, err);
    }
    return writer_settle(w, err);
}

static bool known_type(Dtype t)
{
    return t == TYPE_f32 || t == TYPE_f16 || t == TYPE_bf16 ||
           type_info[t].block_len > 1;
}

Writer *gguf_begin(const char *path, const GgufSpec *spec, Err *err)
{
    Writer *w = writer_new(path, spec->tensor, spec->tensors, "GGUF",
                           known_type, err);
    if (!w)
        return NULL;
    w->own = arena_alloc(&w->arena, sizeof(File));
    w->put = put;
    w->complete = complete;
    w->close = close_gguf;
    if (make_plan(w, spec, err) && writer_check_target(w, err)) {
        make_buffers(w);
        if (begin_file(w, err))
            return w;
    }
    writer_cancel(w);
    return NULL;
}
