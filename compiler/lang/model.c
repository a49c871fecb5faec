/* A model as it stands: its weights, their tensors, its config, its text. */
#include "compiler/lang/config.h"
#include <math.h>
#include <string.h>

/* ---- weights ---- */

typedef struct {
    const Model *m;
    LIST(const Weight *) list;
} Gather;

static void gather(Inst *inst, void *user)
{
    Gather *g = user;
    for (int i = 0; i < inst->slot.n; i++)
        if (!inst->slot.at[i].absent)
            list_push(g->m->arena, &g->list,
                      (const Weight *)inst->slot.at[i].w);
}

int model_weights(const Model *m, const Weight *const **out)
{
    Gather g = {.m = m};
    inst_walk(m->root, gather, &g);
    *out = g.list.at;
    return g.list.n;
}

const char *weight_tensor(const Weight *w, const int64_t *index)
{
    const char *text = w->file, *out = "";
    for (int i = 0; i < w->stacked; i++) {
        const char *hole = strstr(text, "{}");
        if (!hole)
            break;
        out = intern_printf("%s%.*s%lld", out, (int)(hole - text), text,
                            (long long)index[i]);
        text = hole + 2;
    }
    return intern_printf("%s%s", out, text);
}

/* ---- against the files' headers ---- */

static int by_name(const void *a, const void *b)
{
    return strcmp(((const TensorInfo *)a)->name,
                  ((const TensorInfo *)b)->name);
}

static const char *shape_text(int rank, const int64_t *shape)
{
    const char *text = "[";
    for (int i = 0; i < rank; i++)
        text = intern_printf("%s%s%lld", text, i ? ", " : "",
                             (long long)shape[i]);
    return intern_printf("%s]", text);
}

/* The weight's own dims (after the stacked ones) flatten to the tensor's. */
static bool flattens(const Weight *w, const TensorInfo *t)
{
    int at = w->stacked;
    for (int i = 0; i < t->rank; i++) {
        int64_t n = 1;
        while (at < w->type.rank && n < t->shape[i])
            n *= size_at(w->type.dim[at++]->size, 0);
        if (n != t->shape[i])
            return false;
    }
    while (at < w->type.rank && size_at(w->type.dim[at]->size, 0) == 1)
        at++;
    return at == w->type.rank;
}

static bool fits(const Weight *w, const TensorInfo *t, Err *err)
{
    int64_t shape[MAX_RANK];
    if (flattens(w, t))
        return true;
    for (int i = w->stacked; i < w->type.rank; i++)
        shape[i - w->stacked] = size_at(w->type.dim[i]->size, 0);
    return err_set(err, "tensor %s is %s, `%s` %s needs %s", t->name,
                   shape_text(t->rank, t->shape), w->path,
                   dims_text(&w->type),
                   shape_text(w->type.rank - w->stacked, shape));
}

typedef struct {
    TensorInfo *tensor; /* by name */
    bool *read;
    int n;
} Files;

static bool find_one(Files *f, const Weight *w, const int64_t *index, Err *err)
{
    TensorInfo key = {.name = weight_tensor(w, index)};
    TensorInfo *t = bsearch(&key, f->tensor, (size_t)f->n, sizeof key, by_name);
    if (!t)
        return err_set(err, "the files have no tensor %s, which `%s` reads",
                       key.name, w->path);
    f->read[t - f->tensor] = true;
    return fits(w, t, err);
}

bool weight_next(const Weight *w, int64_t *index)
{
    for (int i = w->stacked - 1; i >= 0; i--) {
        if (++index[i] < size_at(w->type.dim[i]->size, 0))
            return true;
        index[i] = 0;
    }
    return false;
}

static const ConfigArch *arch_of(const Model *m)
{
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(m->config,
                                                         "architectures");
    const cJSON *first = cJSON_GetArrayItem(list, 0);
    const ConfigArch *a = config_arch_of(
        cJSON_IsString(first) ? first->valuestring : NULL, NULL);
    return a ? a : &config_arch[0]; /* the habits of most */
}

bool model_tied(const Model *m, const char **embed, const char **head)
{
    const ConfigArch *a = arch_of(m);
    *embed = a->embed;
    *head = a->head;
    return cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(
        m->config, "tie_word_embeddings"));
}

static const TensorInfo *find(const Files *f, const char *name)
{
    TensorInfo key = {.name = name};
    return bsearch(&key, f->tensor, (size_t)f->n, sizeof key, by_name);
}

static bool same_values(const TensorInfo *a, const TensorInfo *b)
{
    return a && b && a->bytes == b->bytes && a->data && b->data &&
           !memcmp(a->data, b->data, (size_t)a->bytes);
}

/* No weight, though it is in files: a buffer, or the second of a tied pair. */
static bool habitual(const Model *m, const Files *f, const TensorInfo *t)
{
    const ConfigArch *a = arch_of(m);
    size_t len = strlen(t->name);
    for (size_t i = 0; i < COUNT(a->buffer) && a->buffer[i]; i++) {
        size_t end = strlen(a->buffer[i]);
        if (len >= end && !strcmp(t->name + len - end, a->buffer[i]))
            return true;
    }
    return !strcmp(t->name, a->head) && same_values(find(f, a->embed), t);
}

static bool all_read(const Model *m, const Files *f, Err *err)
{
    for (int i = 0; i < f->n; i++)
        if (!f->read[i] && !habitual(m, f, &f->tensor[i]))
            return err_set(err, "no weight of the model reads tensor %s",
                           f->tensor[i].name);
    return true;
}

bool model_check_tensors(const Model *m, const TensorInfo *tensor, int n,
                         Err *err)
{
    const Weight *const *w;
    int count = model_weights(m, &w);
    Files f = {xmalloc((size_t)(n + 1) * sizeof *f.tensor),
               xmalloc((size_t)n + 1), n};
    bool ok = true;
    memcpy(f.tensor, tensor, (size_t)n * sizeof *tensor);
    memset(f.read, 0, (size_t)n + 1);
    qsort(f.tensor, (size_t)n, sizeof *f.tensor, by_name);
    for (int i = 0; ok && i < count; i++) {
        int64_t index[MAX_RANK] = {0};
        do
            ok = find_one(&f, w[i], index, err);
        while (ok && weight_next(w[i], index));
    }
    ok = ok && all_read(m, &f, err);
    if (!ok && m->filled) {
        Err why = *err;
        err_set(err, "%s; the config lacks fields, which are then %.200s",
                why.text, m->filled);
    }
    free(f.tensor);
    free(f.read);
    return ok;
}

/* ---- show --stage model ---- */

/* Weights that a formula reads, the first few; *drawn: it has random draws. */
typedef struct {
    const Weight *w[4];
    int n, steps;
    bool drawn;
} Reads;

static void reads(const Node *n, Reads *r)
{
    if (r->steps++ > 5000) /* shared parts are met again and again */
        return;
    r->drawn |= n->op == OP_gaussian || n->op == OP_uniform;
    bool known = n->op != OP_weight;
    for (int i = 0; i < r->n; i++)
        known |= r->w[i] == n->weight;
    if (!known && r->n < (int)COUNT(r->w))
        r->w[r->n++] = n->weight;
    for (int i = 0; i < node_args(n); i++)
        reads(n->arg[i], r);
}

static const char *formula_text(const Node *v)
{
    Reads r = {0};
    reads(v, &r);
    if (!r.n)
        return r.drawn ? "drawn at random" : "formula";
    const char *text = "formula of";
    for (int i = 0; i < r.n && i < 3; i++)
        text = intern_printf("%s%s %s", text, i ? "," : "", r.w[i]->path);
    return r.n > 3 ? intern_printf("%s, ...", text) : text;
}

const char *weight_origin(const Weight *w)
{
    const Node *v = w->value;
    if (!v)
        return intern_printf("file %s", w->file);
    while (v->op == OP_expand || v->op == OP_rename || v->op == OP_cast)
        v = v->arg[0];
    if (v->op == OP_weight)
        return intern_printf("copy of %s", v->weight->path);
    if (v->op == OP_number)
        return intern_printf("all %g", v->num);
    return formula_text(w->value);
}

const Spec *model_spec(const Model *m)
{
    return m->spec;
}
