/* Pass stored: passes of a repeat whose weights are stored in different ways
 * (Q4_K_M files have some of v and down as Q6_K) run different bodies, so that
 * each has the kernels that read them as they are. */
#include "passes/private.h"

typedef struct {
    const Graph *from;
    const Weight **weight; /* of a pass that runs it */
    Graph *to;
} Body;

typedef struct {
    Arena *arena;
    const PassOptions *o;
    LIST(Body) body;
} Split;

Dtype kept_type(StoredType *stored, void *user, const Weight *w)
{
    Dtype t = stored ? stored(user, w) : w->type.dtype;
    bool half = t == TYPE_f16 || t == TYPE_bf16;
    bool kept = type_info[t].block_len > 1 ||
                (half && w->type.dtype == TYPE_f32);
    return kept ? t : w->type.dtype;
}

static bool stored_alike(const Split *s, const Weight *a, const Weight *b)
{
    return kept_type(s->o->stored, s->o->user, a) ==
           kept_type(s->o->stored, s->o->user, b);
}

static bool serves(const Split *s, const Body *b, const Iteration *pass)
{
    if (b->from != pass->body)
        return false;
    for (int i = 0; i < pass->body->nslots; i++)
        if (!stored_alike(s, b->weight[i], pass->weight[i]))
            return false;
    return true;
}

/* The first to need it gets the body as it was, each other kind a copy. */
static Graph *body_of(const Iteration *pass, void *user)
{
    Split *s = user;
    Body new = {pass->body, pass->weight, pass->body};
    for (int i = 0; i < s->body.n; i++) {
        if (serves(s, &s->body.at[i], pass))
            return s->body.at[i].to;
        if (s->body.at[i].from == pass->body)
            new.to = NULL;
    }
    if (!new.to)
        new.to = graph_map(pass->body, s->arena, NULL, NULL);
    list_push(s->arena, &s->body, new);
    return new.to;
}

Graph *pass_stored(const Graph *g, Arena *a, const PassOptions *o)
{
    Split s = {.arena = a, .o = o};
    return graph_rebody(g, a, body_of, &s);
}
