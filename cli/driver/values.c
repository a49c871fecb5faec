/* Weights that transforms make, computed: formulas over other weights are
 * compiled, one program for all that are alike; what reads no weight, or what
 * no kernel can do, the interpreter computes. */
#include "compiler/interp/interp.h"
#include "cli/driver/apply.h"
#include <string.h>

/* A formula as a graph of its own: output "value", its weights in order. */
typedef struct {
    Graph *graph;
    LIST(const Weight *) weight;
    uint64_t key; /* equal for formulas that differ in their weights alone */
} ValueFormula;

typedef struct {
    ValueFormula formula;
    Program *program; /* NULL: no kernel can do it */
} Kept;

struct Values {
    Sources *sources;
    int threads;
    Arena arena; /* of what is kept */
    LIST(Kept) kept;
};

Values *values_new(Sources *s, int threads)
{
    Values *v = xmalloc(sizeof *v);
    *v = (Values){.sources = s, .threads = threads};
    return v;
}

void values_free(Values *v)
{
    for (int i = 0; i < v->kept.n; i++)
        if (v->kept.at[i].program)
            program_free(v->kept.at[i].program);
    arena_free(&v->arena);
    free(v);
}

/* ---- formulas ---- */

typedef struct {
    const Sources *sources;
    Arena *arena;
    Graph *to;
    LIST(struct Moved {
        const Node *from;
        Node *now;
    }) moved;
} Mover;

/* The node in m->to; a learned coefficient as a weight where it has values,
 * else as the value it starts with. */
static Node *move(Mover *m, const Node *n)
{
    for (int i = 0; i < m->moved.n; i++)
        if (m->moved.at[i].from == n)
            return m->moved.at[i].now;
    Node copy = *n, *now;
    Dtype type;
    if (n->op == OP_learned && sources_given(m->sources, n->weight, &type)) {
        copy.op = OP_weight;
        now = graph_add(m->to, copy);
    } else if (n->op == OP_learned && n->weight && n->weight->value) {
        now = move(m, n->weight->value);
    } else {
        for (int i = 0; i < node_args(n); i++)
            copy.arg[i] = move(m, n->arg[i]);
        now = graph_add(m->to, copy);
    }
    list_push(m->arena, &m->moved, (struct Moved){n, now});
    return now;
}

static int weight_place(const ValueFormula *f, const Weight *w)
{
    for (int i = 0; i < f->weight.n; i++)
        if (f->weight.at[i] == w)
            return i;
    return -1;
}

/* The formula with slots for its weights, whose hash leaves them aside. */
static Node *with_slots(Graph *to, Node n, const Node *old, void *user)
{
    (void)old;
    if (n.op == OP_weight && n.weight) {
        n.slot = weight_place(user, n.weight) + 1;
        n.weight = NULL;
    }
    return graph_add(to, n);
}

/* Its value is rounded as it is stored, where it is computed. */
static ValueFormula formula_of(const Sources *s, Arena *a, const Weight *w,
                          Dtype stored)
{
    ValueFormula f = {.graph = graph_new(a, "value")};
    Mover m = {s, a, f.graph, {0}};
    Node *value = move(&m, w->value);
    if (type_is_float(stored) && type_is_float(value->type.dtype))
        value = g_cast(f.graph, stored, value);
    graph_output(f.graph, "value", value);
    for (int i = 0; i < f.graph->node.n; i++) {
        const Node *n = f.graph->node.at[i];
        if (n->op == OP_weight && n->weight && weight_place(&f, n->weight) < 0)
            list_push(a, &f.weight, n->weight);
    }
    Graph *slots = graph_map(f.graph, a, with_slots, &f);
    slots->nslots = f.weight.n;
    f.key = graph_hash(slots);
    return f;
}

/* ---- compiled ---- */

static const FileTensor *tensor(Values *v, const Weight *w, int64_t index)
{
    const FileTensor *t = sources_tensor(v->sources, w, index);
    if (!t)
        BUG("apply: %s is of no model at hand", w->path);
    return t;
}

/* Where a given weight's tensor begins; NULL: it is none. */
static const char *given(const Values *v, const Weight *w, int64_t index,
                         Dtype *type)
{
    const char *at = sources_given(v->sources, w, type);
    int64_t each = type_count(&w->type, 0) / weight_stacked(w);
    return at ? at + type_bytes(*type, each) * index : NULL;
}

static const void *in_place(void *user, const Weight *w, int64_t index,
                            Dtype want)
{
    Dtype type;
    const void *at = given(user, w, index, &type);
    if (at)
        return type == want ? at : NULL;
    return tensor_in_place(tensor(user, w, index), want);
}

static bool read(void *user, const Weight *w, int64_t index, int64_t first,
                 int64_t count, Dtype to, void *out, Err *err)
{
    Dtype type;
    const void *at = given(user, w, index, &type);
    (void)err;
    for (int64_t i = 0; at && i < count; i++)
        type_store(to, out, i, type_load(type, at, first + i));
    if (!at)
        tensor_read(tensor(user, w, index), first, count, to, out);
    return true;
}

/* What a formula read goes out of memory again. */
static void release(Values *v, const ValueFormula *f)
{
    Dtype type;
    for (int i = 0; i < f->weight.n; i++)
        for (int64_t j = 0; j < weight_stacked(f->weight.at[i]) &&
                            !given(v, f->weight.at[i], j, &type);
             j++)
            tensor_release(tensor(v, f->weight.at[i], j));
}

static Kept *kept(Values *v, const Weight *w, Dtype stored, uint64_t key)
{
    for (int i = 0; i < v->kept.n; i++)
        if (v->kept.at[i].formula.key == key)
            return &v->kept.at[i];
    Err err;
    Kept k = {.formula = formula_of(v->sources, &v->arena, w, stored)};
    const CpuOptions options = {.threads = v->threads};
    k.program = cpu_compile(k.formula.graph, &options, &err);
    list_push(&v->arena, &v->kept, k);
    return &v->kept.at[v->kept.n - 1];
}

static bool run_compiled(Values *v, const Kept *k, const ValueFormula *f,
                         Dtype dtype, void *out, Err *err)
{
    const WeightSource source = {v, in_place, read, NULL};
    const Column column = {"value", dtype, out};
    const int32_t pos = 0;
    for (int i = 0; i < f->weight.n; i++)
        program_swap(k->program, k->formula.weight.at[i], f->weight.at[i]);
    bool fine = program_load(k->program, &source, err) &&
                program_run(k->program, NULL, 1, &pos, NULL, 0, &column, 1,
                            err);
    release(v, f);
    return fine;
}

/* ---- interpreted ---- */

static bool weight_of(void *user, const Weight *w, double *out)
{
    int64_t n = weight_stacked(w), each = type_count(&w->type, 0) / n;
    Dtype type;
    const void *at = given(user, w, 0, &type);
    for (int64_t i = 0; at && i < n * each; i++)
        out[i] = type_load(type, at, i);
    for (int64_t i = 0; !at && i < n; i++)
        tensor_read_all(tensor(user, w, i), TYPE_f64, out + i * each);
    return true;
}

static bool no_input(void *user, const char *name, const Type *t, double *out)
{
    (void)user, (void)name, (void)t, (void)out;
    return false;
}

static bool run_interpreted(Values *v, const ValueFormula *f, Dtype dtype,
                            void *out, Err *err)
{
    Arena arena = {0};
    Tensor *value;
    const int32_t pos = 0;
    const InterpEnv env = {.T = 1, .pos = &pos, .user = v,
                           .exact = v->sources->exact, .input = no_input,
                           .weight = weight_of};
    bool fine = interp_run(f->graph, &env, &arena, &value, err);
    for (int64_t i = 0; fine && i < value->count; i++)
        type_store(dtype, out, i, value->at[i]);
    arena_free(&arena);
    release(v, f);
    return fine;
}

/* What `observe` counts is known to a recipe only. */
static bool all_at_hand(const Values *v, const ValueFormula *f, Err *err)
{
    Dtype type;
    for (int i = 0; i < f->weight.n; i++)
        if (!given(v, f->weight.at[i], 0, &type) &&
            !sources_tensor(v->sources, f->weight.at[i], 0))
            return err_set(err, "%s is counted by `observe` in a recipe; there "
                                "are no counts here",
                           f->weight.at[i]->path);
    return true;
}

static bool tensor_finite(const FileTensor *t)
{
    enum { PIECE = 1 << 16 };
    int64_t count = 1;
    for (int i = 0; i < t->info.rank; i++)
        count *= t->info.shape[i];
    int64_t cols = t->info.rank ? t->info.shape[t->info.rank - 1] : 1;
    int64_t piece = cols > 0 && cols < PIECE ? PIECE / cols * cols : cols;
    float *x = xmalloc((size_t)(piece > 0 ? piece : 1) * sizeof *x);
    bool fine = true;
    for (int64_t at = 0; fine && at < count; at += piece) {
        int64_t n = count - at < piece ? count - at : piece;
        tensor_read(t, at, n, TYPE_f32, x);
        fine = type_unfinite(TYPE_f32, x, n) < 0;
    }
    free(x);
    tensor_release(t);
    return fine;
}

bool values_inputs_finite(Values *v, const Weight *w)
{
    Arena arena = {0};
    ValueFormula f = formula_of(v->sources, &arena, w, TYPE_f32);
    bool fine = true;
    Dtype type;
    for (int i = 0; fine && i < f.weight.n; i++)
        for (int64_t j = 0; fine && j < weight_stacked(f.weight.at[i]) &&
                            !given(v, f.weight.at[i], j, &type);
             j++)
            fine = tensor_finite(tensor(v, f.weight.at[i], j));
    arena_free(&arena);
    return fine;
}

bool values_compute(Values *v, const Weight *w, Dtype dtype, void *out,
                    Err *err)
{
    Arena arena = {0};
    Dtype type;
    const void *own = given(v, w, 0, &type);
    if (own) {
        for (int64_t i = 0, n = type_count(&w->type, 0); i < n; i++)
            type_store(dtype, out, i, type_load(type, own, i));
        return true;
    }
    ValueFormula f = formula_of(v->sources, &arena, w, dtype);
    if (!all_at_hand(v, &f, err)) {
        arena_free(&arena);
        return false;
    }
    const Kept *k = f.weight.n > 0 && !v->sources->exact
                        ? kept(v, w, dtype, f.key)
                        : NULL;
    Err why;
    bool fine = k && k->program ? run_compiled(v, k, &f, dtype, out, &why)
                                : run_interpreted(v, &f, dtype, out, &why);
    arena_free(&arena);
    return fine || err_set(err, "%s: %.900s", w->path, why.text);
}
