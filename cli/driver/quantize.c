/* --quantize: float weights of matmuls are packed as blocks of 32 elements of
 * K, tensor by tensor as they are read: q8_0, or q4_1 for 4 bits. The rest
 * stays as it is: what is looked up by row, norms, sums that are not made of
 * whole blocks, what a file has quantised already, and what picks experts,
 * where a small difference sends a token elsewhere. A model's head has 8 bits
 * at least, as llama.cpp's files have it: 4 for SmolLM2's head alone cost 0.05
 * nats a token. */
#include "cli/driver/quantize.h"
#include "runtime/runtime.h"
#include <stdatomic.h>

typedef LIST(const Weight *) Weights;

typedef struct {
    Arena arena;
    Dtype to; /* q8_0 or q4_1 */
    const CpuOptions *options; /* as they were */
    const WeightSource *source;
    Weights route, head; /* what picks experts; a model's head */
    atomic_bool used;
} Quantize;

/* ---- what picks experts: a softmax or topk takes its values ---- */

static bool picks(Op op)
{
    return op == OP_topk || op == OP_largest || op == OP_softmax;
}

/* The weight of body `g` in all passes of the repeats of `top` that run it. */
static void add_route(Quantize *q, const Graph *top, const Graph *g,
                      const Node *w)
{
    if (!w->slot) {
        list_push(&q->arena, &q->route, w->weight);
        return;
    }
    for (int i = 0; i < top->node.n; i++) {
        const Node *n = top->node.at[i];
        for (int j = 0; n->op == OP_repeat && j < n->repeat->n; j++)
            if (n->repeat->at[j].body == g)
                list_push(&q->arena, &q->route,
                          n->repeat->at[j].weight[w->slot - 1]);
    }
}

/* The weights of contracts that lead to nodes marked in `leads`. */
static void follow(Quantize *q, const Graph *top, const Graph *g, bool *leads)
{
    for (int i = g->node.n - 1; i >= 0; i--) {
        const Node *n = g->node.at[i];
        bool product = n->op == OP_contract;
        bool end = product || n->op == OP_attend || n->op == OP_repeat;
        for (int a = 0; a < MAX_ARGS && n->arg[a] && leads[i]; a++) {
            leads[n->arg[a]->id] |= !end;
            if (product && n->arg[a]->op == OP_weight)
                add_route(q, top, g, n->arg[a]);
        }
    }
}

static void find_routes(Quantize *q, const Graph *top, const Graph *g)
{
    bool *leads = arena_alloc(&q->arena, (size_t)g->node.n + 1);
    for (int i = 0; i < g->node.n; i++) {
        const Node *n = g->node.at[i];
        for (int a = 0; a < MAX_ARGS && n->arg[a]; a++)
            leads[n->arg[a]->id] |= picks(n->op);
        for (int j = 0; n->op == OP_repeat && j < n->repeat->n; j++)
            if (!j || n->repeat->at[j].body != n->repeat->at[j - 1].body)
                find_routes(q, top, n->repeat->at[j].body);
    }
    follow(q, top, g, leads);
}

/* Rows for what the model's ids point into. */
static void find_head(Quantize *q, const Graph *g)
{
    for (int i = 0; i < g->node.n; i++)
        for (int j = 0; g->node.at[i]->op == OP_weight && j < g->node.n; j++) {
            const Node *w = g->node.at[i], *in = g->node.at[j];
            if (in->op == OP_input && in->type.index_of &&
                in->type.index_of == w->type.dim[0])
                list_push(&q->arena, &q->head, w->weight);
        }
}

static bool among(const Weights *list, const Weight *w)
{
    for (int i = 0; i < list->n; i++)
        if (list->at[i] == w)
            return true;
    return false;
}

/* ---- in place of the program's own options and source ---- */

static Dtype stored_before(const Quantize *q, const Weight *w)
{
    const CpuOptions *o = q->options;
    return o->stored ? o->stored(o->user, w) : w->type.dtype;
}

static Dtype stored(void *user, const Weight *w)
{
    const Quantize *q = user;
    Dtype t = stored_before(q, w);
    if (!type_is_float(t) || among(&q->route, w))
        return t;
    return among(&q->head, w) ? TYPE_q8_0 : q->to;
}

static const void *in_place(void *user, const Weight *w, int64_t index,
                            Dtype want)
{
    const WeightSource *s = ((Quantize *)user)->source;
    return s->in_place ? s->in_place(s->user, w, index, want) : NULL;
}

static bool read(void *user, const Weight *w, int64_t index, int64_t first,
                 int64_t count, Dtype to, void *out, Err *err)
{
    enum { PIECE = 4096 };
    Quantize *q = user;
    const WeightSource *s = q->source;
    if (type_is_float(to) || stored_before(q, w) == to)
        return s->read(s->user, w, index, first, count, to, out, err);
    float x[PIECE];
    q->used = true;
    for (int64_t n; count; count -= n, first += n) {
        n = count < PIECE ? count : PIECE;
        if (!s->read(s->user, w, index, first, n, TYPE_f32, x, err))
            return false;
        quantise_f32(to, x, n, out);
        out = (char *)out + type_bytes(to, n);
    }
    return true;
}

static void done(void *user, const Weight *w, int64_t index)
{
    const WeightSource *s = ((Quantize *)user)->source;
    if (s->done)
        s->done(s->user, w, index);
}

/* ---- programs ---- */

static Program *compile_and_load(const Graph *g, const CpuOptions *o,
                                 const WeightSource *s, Err *err)
{
    Program *p = cpu_compile(g, o, err);
    if (p && program_load(p, s, err))
        return p;
    program_free(p);
    return NULL;
}

static Program *open_quantised(const Graph *g, Quantize *q, Err *err)
{
    CpuOptions o = *q->options;
    o.stored = stored;
    o.user = q;
    find_routes(q, g, g);
    find_head(q, g);
    Program *p = compile_and_load(
        g, &o, &(WeightSource){q, in_place, read, done}, err);
    if (!p || q->used)
        return p;
    program_free(p);
    err_set(err, "--quantize: no matmul here has a float weight whose rows are "
                 "whole blocks of 32");
    return NULL;
}

Program *program_open(const Graph *g, const Common *common,
                      const CpuOptions *o, const WeightSource *s, Err *err)
{
    if (!common->has_quantize)
        return compile_and_load(g, o, s, err);
    Quantize q = {.to = common->quantize, .options = o, .source = s};
    Program *p = open_quantised(g, &q, err);
    arena_free(&q.arena);
    return p;
}
