/* What a stage trains and what its graph reads. What trains is a leaf: made
 * weights get their values before the stage begins, and only formulas over
 * coefficients that train stay formulas. */
#include "cli/train/params.h"
#include <string.h>

/* ---- paths ---- */

/* The next word of a path, without its index; returns what follows it. */
static const char *word(const char *path, size_t *len)
{
    *len = strcspn(path, ".[");
    const char *rest = path + *len;
    while (*rest == '[')
        rest += strcspn(rest, "]") + 1;
    return *rest == '.' ? rest + 1 : rest;
}

static bool begins(const char *path, const char *name)
{
    while (*name) {
        size_t a, b;
        if (!*path)
            return false;
        const char *path_rest = word(path, &a), *name_rest = word(name, &b);
        if (a != b || strncmp(path, name, a))
            return false;
        path = path_rest, name = name_rest;
    }
    return true;
}

bool path_has(const char *path, const char *name)
{
    size_t len;
    for (; *path; path = word(path, &len))
        if (begins(path, name))
            return true;
    return false;
}

/* ---- what is there ---- */

typedef struct {
    Params *p;
    const Action *act;
    LIST(const Weight *) learned; /* coefficients of formulas */
    LIST(const Weight *) used;    /* read by the graph */
    bool found[64];               /* by path of the action */
} Find;

static bool is_in(const Weight *const *at, int n, const Weight *w)
{
    for (int i = 0; i < n; i++)
        if (at[i] == w)
            return true;
    return false;
}

static bool trains(Find *f, const Weight *w)
{
    bool any = f->act->path.n == 0;
    for (int i = 0; i < f->act->path.n && i < 64; i++)
        if (path_has(w->path, f->act->path.at[i]))
            f->found[i] = any = true;
    return any;
}

/* Does the formula have a coefficient that trains? Notes those that do. */
static bool has_learned(Find *f, const Node *n, bool *seen)
{
    if (seen[n->id])
        return false;
    seen[n->id] = true;
    bool has = false;
    if (n->op == OP_learned && n->weight && trains(f, n->weight)) {
        has = true;
        if (!is_in(f->learned.at, f->learned.n, n->weight))
            list_push(&f->p->arena, &f->learned, n->weight);
    }
    for (int i = 0; i < node_args(n); i++)
        has |= has_learned(f, n->arg[i], seen);
    return has;
}

static bool stays_formula(Find *f, const Weight *w)
{
    if (!w->value)
        return false;
    bool *seen = xmalloc((size_t)w->value->id + 1);
    memset(seen, 0, (size_t)w->value->id + 1);
    bool stays = has_learned(f, w->value, seen);
    free(seen);
    return stays;
}

/* The graph with all other made weights as leaves. */
static Graph *lower(Find *f, const Model *m)
{
    const Weight *const *w;
    int n = model_weights(m, &w);
    Node **value = xmalloc((size_t)(n + 1) * sizeof *value);
    for (int i = 0; i < n; i++) {
        value[i] = w[i]->value;
        if (!stays_formula(f, w[i]))
            ((Weight *)w[i])->value = NULL;
    }
    Graph *g = model_graph_whole(m, &f->p->arena);
    for (int i = 0; i < n; i++)
        ((Weight *)w[i])->value = value[i];
    free(value);
    return g;
}

static void note_used(Find *f, const Graph *g, const Iteration *pass)
{
    for (int i = 0; i < g->node.n; i++) {
        const Node *n = g->node.at[i];
        const Weight *w = n->op == OP_weight || n->op == OP_learned
                              ? node_weight(n, pass)
                              : NULL;
        if (w && !is_in(f->used.at, f->used.n, w))
            list_push(&f->p->arena, &f->used, w);
        for (int k = 0; n->op == OP_repeat && k < n->repeat->n; k++)
            note_used(f, n->repeat->at[k].body, &n->repeat->at[k]);
    }
}

/* ---- parameters ---- */

static int rank_of(const Opened *o, const Weight *w)
{
    for (int i = 0; i < o->plan.weight.n; i++)
        if (o->plan.weight.at[i].weight == w)
            return o->plan.tensor.at[o->plan.weight.at[i].first].rank;
    return w->type.rank - w->stacked;
}

static void add(Find *f, const Weight *w)
{
    Params *p = f->p;
    bool learned = is_in(f->learned.at, f->learned.n, w);
    Param one = {.weight = w, .learned = learned,
                 .name = learned ? w->path : w->file,
                 .made = w->value != NULL, .trained = trains(f, w),
                 .rank = rank_of(p->opened, w),
                 .count = type_count(&w->type, 0), .dtype = w->type.dtype};
    one.dtype = p->exact ? TYPE_f64 : one.dtype;
    list_push(&p->arena, &p->param, one);
}

static const Params *sorting;
static int by_weight(const void *a, const void *b)
{
    const Weight *x = sorting->param.at[*(const int *)a].weight,
                 *y = sorting->param.at[*(const int *)b].weight;
    return x < y ? -1 : x > y;
}

static void sort(Params *p)
{
    p->sorted = arena_alloc(&p->arena, (size_t)p->param.n *
                                               sizeof *p->sorted + 1);
    for (int i = 0; i < p->param.n; i++)
        p->sorted[i] = i;
    sorting = p;
    qsort(p->sorted, (size_t)p->param.n, sizeof *p->sorted, by_weight);
}

static bool all_found(const Find *f, Err *err)
{
    for (int i = 0; i < f->act->path.n && i < 64; i++)
        if (!f->found[i])
            return err_set(err, "train: the model has no part or weight `%s`",
                           f->act->path.at[i]);
    for (int i = 0; i < f->p->param.n; i++)
        if (f->p->param.at[i].trained)
            return true;
    return err_set(err, "train: nothing that it names is read by the model");
}

bool params_find(Params *p, Opened *o, const Action *act, bool exact, Err *err)
{
    *p = (Params){.opened = o, .exact = exact};
    Find f = {.p = p, .act = act};
    const Weight *const *w;
    int n = model_weights(o->model, &w);
    for (int i = 0; i < n; i++)
        trains(&f, w[i]);
    p->graph = lower(&f, o->model);
    if (!p->graph)
        return err_set(err, "the model cannot be lowered");
    note_used(&f, p->graph, NULL);
    for (int i = 0; i < f.used.n; i++)
        add(&f, f.used.at[i]);
    sort(p);
    return all_found(&f, err);
}

Param *params_of(const Params *p, const Weight *w)
{
    int low = 0, high = p->param.n;
    while (low < high) {
        int mid = (low + high) / 2;
        Param *q = &p->param.at[p->sorted[mid]];
        if (q->weight == w)
            return q;
        if (q->weight < w)
            low = mid + 1;
        else
            high = mid;
    }
    return NULL;
}

/* ---- values ---- */

static void *values_alloc(Dtype t, int64_t count)
{
    return exec_alloc(type_bytes(t, count) + 64);
}

/* All of w as the type: of its file, or made. */
static bool value_as(Params *p, const Weight *w, Values *v, Dtype t, void *out,
                     Err *err)
{
    if (w->value)
        return values_compute(v, w, t, out, err);
    int64_t n = weight_stacked(w), each = type_count(&w->type, 0) / n;
    for (int64_t i = 0; i < n; i++) {
        const FileTensor *from = sources_tensor(&p->opened->sources, w, i);
        if (!from)
            return err_set(err, "%s: no tensor of a file", w->path);
        tensor_read_all(from, t, (char *)out + type_bytes(t, each) * i);
        tensor_release(from);
    }
    return true;
}

static bool load_one(Params *p, Param *q, Values *v, bool masters, Err *err)
{
    q->at = values_alloc(q->dtype, q->count);
    if (!value_as(p, q->weight, v, q->dtype, q->at, err))
        return false;
    if (!q->trained || !masters || q->dtype == TYPE_f32 ||
        q->dtype == TYPE_f64)
        return true;
    q->master = values_alloc(TYPE_f32, q->count);
    return value_as(p, q->weight, v, TYPE_f32, q->master, err);
}

bool params_load(Params *p, const Common *common, bool masters, Err *err)
{
    Sources *s = &p->opened->sources;
    s->exact = p->exact;
    Values *v = values_new(s, common->threads);
    bool fine = true;
    for (int i = 0; fine && i < p->param.n; i++) {
        Param *q = &p->param.at[i];
        /* stacked tensors are read as one, which in files they are not */
        if (q->trained || q->made || p->exact || q->weight->stacked)
            fine = load_one(p, q, v, masters, err);
    }
    values_free(v);
    return fine;
}

bool params_read(Params *p, const Weight *w, double *out)
{
    const Param *q = params_of(p, w);
    if (!q || !q->at)
        return loaded_weight(&p->opened->sources.at[0], w, out);
    if (q->dtype == TYPE_f64)
        memcpy(out, q->at, (size_t)q->count * sizeof *out);
    else
        for (int64_t i = 0; i < q->count; i++)
            out[i] = type_load(q->dtype, q->at, i);
    return true;
}

const void *params_given(void *params, const Weight *w, Dtype *type)
{
    const Param *q = params_of(params, w);
    if (!q || !q->at || !(q->trained || q->made))
        return NULL;
    *type = q->master ? TYPE_f32 : q->dtype;
    return q->master ? (const void *)q->master : q->at;
}

void params_free(Params *p)
{
    for (int i = 0; i < p->param.n; i++) {
        Param *q = &p->param.at[i];
        free(q->at);
        free(q->master);
        for (int j = 0; j < q->states; j++)
            free(q->state[j]);
    }
    arena_free(&p->arena);
}
