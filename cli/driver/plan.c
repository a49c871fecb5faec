/* Which tensors a new model has, of what type and shape, and which of them are
 * copies of others. */
#include "cli/driver/apply.h"
#include <string.h>

/* ---- whose a weight is ---- */

static int by_pointer(const void *a, const void *b)
{
    const Weight *const *x = a, *const *y = b;
    return *x < *y ? -1 : *x > *y;
}

void sources_index(Sources *s)
{
    s->nweight = model_weights(s->at[0].model, &s->weight);
    size_t bytes = (size_t)s->nweight * sizeof *s->sorted;
    s->sorted = xmalloc(bytes + 1);
    memcpy(s->sorted, s->weight, bytes);
    qsort(s->sorted, (size_t)s->nweight, sizeof *s->sorted, by_pointer);
}

void sources_close(Sources *s)
{
    for (int i = 0; i < s->n; i++)
        loaded_close(&s->at[i]);
    free(s->at);
    free(s->sorted);
}

const void *sources_given(const Sources *s, const Weight *w, Dtype *type)
{
    return s->given ? s->given(s->user, w, type) : NULL;
}

/* The first model's weight that stands where w, "other.layer[0].ffn.up", does
 * in another. */
static const Weight *counterpart(const Sources *s, const Weight *w)
{
    size_t name = strlen(w->other);
    if (strncmp(w->path, w->other, name) || w->path[name] != '.')
        return NULL; /* counted by `observe` */
    const char *path = w->path + name + 1;
    for (int i = 0; i < s->nweight; i++)
        if (!strcmp(s->weight[i]->path, path))
            return s->weight[i];
    return NULL;
}

/* The nth of the models given under a name. */
static const Loaded *source_named(const Sources *s, const char *name,
                                  int64_t nth)
{
    for (int i = 0; i < s->with->n; i++)
        if (!strcmp(s->with->at[i].name, name) && nth-- == 0)
            return &s->at[1 + i];
    return NULL;
}

const FileTensor *sources_tensor(const Sources *s, const Weight *w,
                                 int64_t index)
{
    if (!w->other)
        return bsearch(&w, s->sorted, (size_t)s->nweight, sizeof w,
                       by_pointer)
                   ? loaded_tensor(&s->at[0], w, index)
                   : NULL;
    const Weight *own = counterpart(s, w);
    if (!own)
        return NULL;
    int64_t each = weight_stacked(own);
    const Loaded *l = source_named(s, w->other, index / each);
    return l ? loaded_tensor(l, own, index % each) : NULL;
}

/* ---- copies ---- */

/* Positions that dims are fixed at, innermost last. */
typedef struct {
    const Dim *dim[2 * MAX_RANK];
    int64_t at[2 * MAX_RANK];
    int n;
} Fixed;

static bool fixed_at(const Fixed *f, const Dim *d, int64_t *at)
{
    for (int i = f->n - 1; i >= 0; i--)
        if (f->dim[i] == d) {
            *at = f->at[i];
            return true;
        }
    return false;
}

static bool fix(Fixed *f, const Dim *d, int64_t at)
{
    if (f->n == COUNT(f->dim))
        return false;
    f->dim[f->n] = d;
    f->at[f->n++] = at;
    return true;
}

/* Are the dims of t that are not fixed the same, in the same order, as u's? */
static bool same_rest(const Fixed *f, const Type *t, const Type *u)
{
    int64_t at;
    int j = 0;
    for (int i = 0; i < t->rank; i++) {
        if (fixed_at(f, t->dim[i], &at))
            continue;
        while (j < u->rank && fixed_at(f, u->dim[j], &at))
            j++;
        if (j == u->rank || u->dim[j++] != t->dim[i])
            return false;
    }
    return true;
}

static const FileTensor *tensor_of(const Sources *s, const Weight *w,
                                   const Fixed *f)
{
    int64_t index = 0, at;
    Dtype type;
    if (sources_given(s, w, &type))
        return NULL;
    for (int i = 0; i < w->stacked; i++) {
        if (!fixed_at(f, w->type.dim[i], &at))
            return NULL;
        index = index * size_at(w->type.dim[i]->size, 0) + at;
    }
    for (int i = w->stacked; i < w->type.rank; i++)
        if (fixed_at(f, w->type.dim[i], &at))
            return NULL; /* a part of a tensor */
    return sources_tensor(s, w, index);
}

/* Is n its argument's tensors moved whole? f then fixes that one's dims. */
static bool moves_whole(const Node *n, Fixed *f)
{
    Dtype t = n->type.dtype;
    int64_t at;
    if (n->op == OP_cast)
        return type_is_float(t) && t != TYPE_bf16 && t != TYPE_f16;
    if (n->op == OP_expand || n->op == OP_order)
        return same_rest(f, &n->type, &n->arg[0]->type);
    if (n->op == OP_slice)
        return fix(f, n->dim[0], (int64_t)n->num);
    return n->op == OP_rename &&
           (!fixed_at(f, n->dim[1], &at) || fix(f, n->dim[0], at));
}

static const FileTensor *follow(const Sources *s, const Node *n, Fixed *f)
{
    for (; n->op != OP_weight; n = n->arg[0])
        if (!moves_whole(n, f))
            return NULL;
    return n->weight ? tensor_of(s, n->weight, f) : NULL;
}

const FileTensor *copied_from(const Sources *s, const Weight *w, int64_t index)
{
    Fixed f = {0};
    for (int i = w->stacked - 1; i >= 0; i--) {
        int64_t n = size_at(w->type.dim[i]->size, 0);
        fix(&f, w->type.dim[i], index % n);
        index /= n;
    }
    return w->value ? follow(s, w->value, &f) : tensor_of(s, w, &f);
}

/* ---- the plan ---- */

static Dtype plain(Dtype t)
{
    return type_is_float(t) && t != TYPE_f64 ? t : TYPE_f32;
}

/* A type that holds the values of both. */
static Dtype wider(Dtype a, Dtype b)
{
    return a == b ? a : TYPE_f32;
}

typedef struct {
    Dtype dtype;
    bool any;
    bool *seen; /* by Node.id */
} Read;

static void read_weight(Read *r, const Sources *s, const Weight *w)
{
    for (int64_t i = 0; i < weight_stacked(w); i++) {
        const FileTensor *t = sources_tensor(s, w, i);
        if (!t)
            return; /* counted by `observe` */
        Dtype d = plain(t->info.dtype);
        r->dtype = r->any ? wider(r->dtype, d) : d;
        r->any = true;
    }
}

/* All that a formula reads. */
static void read_formula(Read *r, const Sources *s, const Node *n)
{
    if (r->seen[n->id])
        return;
    r->seen[n->id] = true;
    if (n->op == OP_weight && n->weight)
        read_weight(r, s, n->weight);
    for (int i = 0; i < node_args(n); i++)
        read_formula(r, s, n->arg[i]);
}

/* Tensors keep their source's type, and are of one that holds all where there
 * are several; what has none takes the checkpoint's. */
static Dtype dtype_of(const Sources *s, const Weight *w, const Common *common)
{
    if (common->has_dtype)
        return common->dtype;
    Read r = {0};
    if (w->value) {
        r.seen = xmalloc((size_t)w->value->id + 1);
        memset(r.seen, 0, (size_t)w->value->id + 1);
        read_formula(&r, s, w->value);
        free(r.seen);
    } else {
        read_weight(&r, s, w);
    }
    return r.any ? r.dtype : plain(s->at[0].checkpoint->dtype);
}

/* As the source has it where it is a copy or stands for one of that name (a
 * file's tensor may have flattened dims), else the weight's own dims. */
static void shape_of(const Sources *s, const Weight *w, int64_t index,
                     TensorInfo *t)
{
    int64_t count = 1, want = type_count(&w->type, 0) / weight_stacked(w);
    const FileTensor *like = copied_from(s, w, index);
    if (!like)
        like = checkpoint_find(s->at[0].checkpoint, t->name);
    for (int i = 0; like && i < like->info.rank; i++)
        count *= like->info.shape[i];
    if (like && count == want) {
        t->rank = like->info.rank;
        memcpy(t->shape, like->info.shape, sizeof t->shape);
        return;
    }
    t->rank = w->type.rank - w->stacked;
    for (int i = 0; i < t->rank; i++)
        t->shape[i] = size_at(w->type.dim[w->stacked + i]->size, 0);
}

static void plan_weight(FilePlan *p, Arena *a, const Sources *s,
                        const Weight *w, const Common *common)
{
    int64_t n = weight_stacked(w), at[MAX_RANK];
    int64_t each = type_count(&w->type, 0) / n;
    Planned planned = {w, p->tensor.n, (int)n, dtype_of(s, w, common)};
    for (int64_t index = 0; index < n; index++) {
        int64_t rest = index;
        for (int i = w->stacked - 1; i >= 0; i--) {
            at[i] = rest % size_at(w->type.dim[i]->size, 0);
            rest /= size_at(w->type.dim[i]->size, 0);
        }
        TensorInfo t = {.name = intern(weight_tensor(w, at)),
                        .dtype = planned.dtype,
                        .bytes = type_bytes(planned.dtype, each)};
        shape_of(s, w, index, &t);
        p->bytes += t.bytes;
        list_push(a, &p->tensor, t);
    }
    list_push(a, &p->weight, planned);
}

void file_plan_make(FilePlan *p, Arena *a, const Sources *s, const Model *made,
               const Common *common)
{
    const Weight *const *w;
    int n = model_weights(made, &w);
    for (int i = 0; i < n; i++)
        plan_weight(p, a, s, w[i], common);
    file_plan_join(p, a, s);
}
