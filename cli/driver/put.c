/* The weights of a new model written: copied, converted, computed; checked to
 * be finite where what they are made of is. */
#include "cli/driver/apply.h"
#include <math.h>
#include <string.h>

typedef struct {
    Sources *sources;
    const FilePlan *plan;
    Values *values;
    Writer *writer;
    void *buffer; /* of `room` bytes, for what is written next */
    int64_t room;
} Put;

/* Memory that stays, as fresh pages cost more than what is done in them. */
static void *buffer(Put *p, int64_t bytes)
{
    if (bytes > p->room) {
        free(p->buffer);
        p->buffer = xmalloc((size_t)bytes);
        p->room = bytes;
    }
    return p->buffer;
}

static bool no_number(const char *name, const char *is, const char *why,
                      Err *err)
{
    return err_set(err, "tensor %.300s becomes %s, %s", name, is, why);
}

static const char *named(double v)
{
    return isnan(v) ? "NaN" : "infinite";
}

/* A value too large for the type, while the file's is finite. */
static bool fits_type(const FileTensor *t, const TensorInfo *as, int64_t at,
                      int64_t n, const void *now, Err *err)
{
    int64_t i = type_unfinite(as->dtype, now, n);
    double was;
    if (i < 0)
        return true;
    tensor_read(t, at + i, 1, TYPE_f64, &was);
    char why[64];
    snprintf(why, sizeof why, "as %g is too large for %s", was,
             type_info[as->dtype].name);
    return !isfinite(was) || no_number(as->name, "infinite", why, err);
}

/* The rows of a file's tensor as dtype, a piece at a time. */
static bool put_converted(Put *p, const FileTensor *t, const TensorInfo *as,
                          Err *err)
{
    enum { PIECE = 1 << 20 }; /* elements, about */
    int64_t cols = t->info.rank ? t->info.shape[t->info.rank - 1] : 1;
    int64_t each = type_bytes(as->dtype, 1), count = as->bytes / each;
    int64_t piece = cols > 0 && cols < PIECE ? PIECE / cols * cols : PIECE;
    char *buf = buffer(p, (piece < count ? piece : count) * each);
    bool fine = true;
    for (int64_t at = 0; fine && at < count; at += piece) {
        int64_t n = count - at < piece ? count - at : piece;
        tensor_read(t, at, n, as->dtype, buf);
        fine = fits_type(t, as, at, n, buf, err) &&
               writer_put(p->writer, buf, n * each, err);
    }
    return fine;
}

static bool put_copy(Put *p, const FileTensor *t, const TensorInfo *as,
                     Err *err)
{
    int k = (int)(as - p->plan->tensor.at);
    if (p->plan->part[k].whole >= 0) {
        char *buf = buffer(p, as->bytes);
        tensor_read_all(t, as->dtype, buf);
        bool good = fits_type(t, as, 0, as->bytes / type_bytes(as->dtype, 1),
                              buf, err) &&
                    file_plan_put(p->plan, p->writer, k, buf, err);
        tensor_release(t);
        return good;
    }
    bool as_it_lies = !t->made && t->info.dtype == as->dtype &&
                      t->rows == ROWS_plain;
    bool fine = as_it_lies ? writer_copy(p->writer, t, err)
                           : put_converted(p, t, as, err);
    tensor_release(t);
    return fine;
}

/* Of files' tensors; what was trained is none, whatever it began as. */
static bool all_copies(const Sources *s, const Planned *w)
{
    Dtype type;
    if (sources_given(s, w->weight, &type))
        return false;
    for (int i = 0; i < w->count; i++)
        if (!copied_from(s, w->weight, i))
            return false;
    return true;
}

/* The first of w's tensors with a NaN or infinity that no input had. */
static bool stays_finite(Put *p, const Planned *w, const char *at, Err *err)
{
    for (int i = 0; i < w->count; i++) {
        const TensorInfo *t = &p->plan->tensor.at[w->first + i];
        int64_t n = t->bytes / type_bytes(t->dtype, 1);
        int64_t bad = type_unfinite(t->dtype, at, n);
        if (bad >= 0 && w->weight->value &&
            values_inputs_finite(p->values, w->weight))
            return no_number(t->name, named(type_load(t->dtype, at, bad)),
                             "though all that it is made of is finite", err);
        at += t->bytes;
    }
    return true;
}

static bool put_computed(Put *p, const Planned *w, Err *err)
{
    int64_t bytes = 0;
    for (int i = 0; i < w->count; i++)
        bytes += p->plan->tensor.at[w->first + i].bytes;
    char *buf = buffer(p, bytes);
    bool fine = values_compute(p->values, w->weight, w->dtype, buf, err) &&
                stays_finite(p, w, buf, err);
    for (int i = w->first; fine && i < w->first + w->count; i++) {
        fine = file_plan_put(p->plan, p->writer, i, buf, err);
        buf += p->plan->tensor.at[i].bytes;
    }
    return fine;
}

static bool put_weight(Put *p, const Planned *w, Progress *bar, Err *err)
{
    bool fine = true;
    if (!all_copies(p->sources, w)) {
        fine = put_computed(p, w, err);
        progress_at(bar, writer_written(p->writer));
        return fine;
    }
    for (int k = 0; fine && k < w->count; k++) {
        fine = put_copy(p, copied_from(p->sources, w->weight, k),
                        &p->plan->tensor.at[w->first + k], err);
        progress_at(bar, writer_written(p->writer));
    }
    return fine;
}

bool weights_put(Sources *s, const FilePlan *plan, const Common *common,
                 Writer *w, Err *err)
{
    Put p = {.sources = s, .plan = plan, .writer = w,
             .values = values_new(s, common->threads)};
    Progress bar = progress_begin(common, "apply", "B", plan->bytes);
    bool fine = true;
    for (int i = 0; fine && i < plan->weight.n; i++)
        fine = put_weight(&p, &plan->weight.at[i], &bar, err);
    if (fine)
        progress_end(&bar);
    values_free(p.values);
    free(p.buffer);
    return fine;
}
