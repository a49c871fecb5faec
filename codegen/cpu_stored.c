/* Weights that stay as the file has them: matmuls take quantised blocks where
 * every weight that a packed buffer ever holds lies in the same kind, and the
 * graph reads it as f32. */
#include "codegen/cpu.h"

static const Dtype kinds[] = {TYPE_q4_0, TYPE_q4_1, TYPE_q8_0, TYPE_q4_k,
                              TYPE_q6_k};

typedef struct {
    const WeightSource *source;
    const Plan *top;
    Dtype kind; /* TYPE_COUNT: not yet known */
} Asked;

static bool lies_as(const Asked *a, const Weight *w, Dtype kind)
{
    const WeightSource *s = a->source;
    int64_t n = 1;
    for (int i = 0; i < w->stacked; i++)
        n *= size_at(w->type.dim[i]->size, 1);
    if (w->value)
        return false;
    for (int64_t i = 0; i < n; i++)
        if (!s->in_place(s->user, w, i, kind))
            return false;
    return true;
}

static bool ask(Asked *a, const Weight *w)
{
    if (a->kind != TYPE_COUNT)
        return lies_as(a, w, a->kind);
    for (size_t i = 0; i < COUNT(kinds); i++)
        if (lies_as(a, w, kinds[i])) {
            a->kind = kinds[i];
            return true;
        }
    return false;
}

/* Every weight that a slot of body `to` is ever given. */
static bool ask_slot(Asked *a, const Plan *in, const Plan *to, int slot)
{
    for (int i = 0; i < in->kernel.n; i++) {
        const Kernel *k = in->kernel.at[i];
        for (int j = 0; k->skeleton == SKEL_repeat && j < k->repeat.n; j++) {
            const Iteration *pass = &k->repeat.node->repeat->at[j];
            if (k->repeat.body[j] == to && !ask(a, pass->weight[slot - 1]))
                return false;
        }
    }
    for (int i = 0; i < in->body.n; i++)
        if (!ask_slot(a, in->body.at[i], to, slot))
            return false;
    return true;
}

static void keep_in(Asked *a, Plan *plan)
{
    for (int i = 0; i < plan->buffer.n; i++) {
        Buffer *b = plan->buffer.at[i];
        bool good = b->kind == BUF_packed && b->pack.dtype == TYPE_f32;
        a->kind = TYPE_COUNT;
        for (int j = 0; good && j < b->pack.parts; j++) {
            const Node *n = b->pack.part[j];
            good = n->slot ? ask_slot(a, a->top, plan, n->slot)
                           : ask(a, n->weight);
        }
        if (good && a->kind != TYPE_COUNT && pack_keeps(&b->pack, a->kind))
            b->pack.dtype = a->kind;
    }
    for (int i = 0; i < plan->body.n; i++)
        keep_in(a, plan->body.at[i]);
}

void program_keep(Program *p)
{
    const WeightSource *s = p->o.source;
    Asked a = {.source = s, .top = p->plan};
    if (s && s->in_place)
        keep_in(&a, p->plan);
}
