/* What of a file's tensor a weight is: `as "qkv.weight" transposed rows a .. b
 * step n`, and experts that are one tensor. */
#include "compiler/lang/elab.h"
#include <math.h>
#include <string.h>

static int holes(const char *text)
{
    int n = 0;
    while ((text = strstr(text, "{}")))
        n++, text += 2;
    return n;
}

/* A whole number known now; false: not known (symbolic), or *bad. */
static bool number(Scope *s, const Ast *e, double least, int64_t *out,
                   bool *bad)
{
    const Size *size;
    double n;
    if (!eval_size(s, e, &size)) {
        *bad = true;
        return false;
    }
    if (!size_is_num(size, &n))
        return false;
    if (!(n >= least) || n != floor(n) || n > 1e15) {
        error_at(e->src, e->loc,
                 "rows are counted by whole numbers from %g on, not %s", least,
                 size_text(size));
        *bad = true;
        return false;
    }
    *out = (int64_t)n;
    return true;
}

/* Rows of range; false: not known yet, or *bad. */
static bool rows_of(Scope *s, const Ast *range, FilePart *p, bool *bad)
{
    int64_t end;
    if (!number(s, range->kid[0], 0, &p->first, bad) ||
        !number(s, range->kid[1], 0, &end, bad) ||
        (range->kid[2] && !number(s, range->kid[2], 1, &p->step, bad)))
        return false;
    p->count = (end - p->first + p->step - 1) / p->step;
    if (p->count >= 1)
        return true;
    error_at(range->src, range->loc, "no row is in %lld .. %lld",
             (long long)p->first, (long long)end);
    *bad = true;
    return false;
}

static bool leads(const Weight *w, const FilePart *p)
{
    int64_t n = 1;
    for (int i = w->stacked; i < w->type.rank && n < p->count; i++)
        n *= size_at(w->type.dim[i]->size, 0);
    return n == p->count;
}

/* "qkv.weight[{}] transposed rows 0 .. 32 step 2" */
static const char *name_of(const FilePart *p)
{
    const char *text = p->tensor;
    for (int i = 0; i < p->packed; i++)
        text = intern_printf("%s[{}]", text);
    if (p->transposed)
        text = intern_printf("%s transposed", text);
    if (!p->count)
        return text;
    text = intern_printf("%s rows %lld .. %lld", text, (long long)p->first,
                         (long long)(p->first + (p->count - 1) * p->step + 1));
    return p->step == 1 ? text : intern_printf("%s step %lld", text,
                                               (long long)p->step);
}

bool file_part(Scope *s, Inst *inst, Weight *w, const Ast *as, bool outer)
{
    const Ast *range = as && as->nkid ? as->kid[0] : NULL;
    FilePart p = {.tensor = w->file, .step = 1,
                  .packed = w->stacked - holes(w->file),
                  .transposed = as && as->nkid && as->kid[1]};
    Scope o = *s;
    bool bad = false;
    if (!range && !p.transposed && p.packed <= 0)
        return true;
    if (outer)
        o.inst = inst->parent;
    if (s->model->symbolic) /* no tensor is named: its mistakes alone count */
        return !range || rows_of(&o, range, &p, &bad) || !bad;
    if (p.packed < 0) {
        error_at(as->src, as->loc, "%s has more {} than there are arrays",
                 w->file);
        return false;
    }
    if (range && !rows_of(&o, range, &p, &bad))
        return !bad;
    if (range && !leads(w, &p)) {
        error_at(range->src, range->loc, "%lld rows are not what `%s` %s "
                 "begins with", (long long)p.count, w->path,
                 dims_text(&w->type));
        return false;
    }
    FilePart *kept = arena_alloc(s->model->arena, sizeof *kept);
    *kept = p;
    w->part = kept;
    w->file = name_of(kept);
    return true;
}
