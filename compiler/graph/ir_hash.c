/* A graph's hash: of its structure alone. Dims are numbered as they are met,
 * so that their identities and names make no odds; nor do labels, places and
 * the weights of repeat tables. The same in every process. */
#include "compiler/graph/ir.h"
#include <string.h>

typedef struct {
    Arena arena;
    LIST(const Dim *) dim;
    uint64_t hash;
} Hasher;

static void add_bytes(Hasher *h, const void *p, size_t n)
{
    h->hash = hash_bytes(h->hash, p, n);
}

static void add_int(Hasher *h, int64_t v)
{
    add_bytes(h, &v, sizeof v);
}

static void add_text(Hasher *h, const char *s)
{
    add_bytes(h, s ? s : "", s ? strlen(s) + 1 : 0);
}

static void add_double(Hasher *h, double v)
{
    add_bytes(h, &v, sizeof v);
}

static void add_dim(Hasher *h, const Dim *d)
{
    int at = 0;
    while (at < h->dim.n && h->dim.at[at] != d)
        at++;
    if (at == h->dim.n) {
        list_push(&h->arena, &h->dim, d);
        add_text(h, size_text(d->size));
    }
    add_int(h, at);
}

static void add_type(Hasher *h, const Type *t)
{
    add_text(h, type_info[t->dtype].name);
    add_int(h, t->rank);
    for (int i = 0; i < t->rank; i++)
        add_dim(h, t->dim[i]);
    add_int(h, t->index_of != NULL);
    if (t->index_of)
        add_dim(h, t->index_of);
}

static void add_rope(Hasher *h, const Rope *r)
{
    add_int(h, r->kind);
    add_int(h, r->rotary);
    for (int i = 0; i < ROPE_FIELDS; i++)
        add_bytes(h, (const char *)r + rope_field[i].at, sizeof(double));
    add_text(h, r->divisor);
}

static void add_table(Hasher *h, const Repeat *r)
{
    for (int i = 0; i < r->n; i++)
        add_int(h, (int64_t)graph_hash(r->at[i].body));
    for (int i = 0; i < r->nin; i++) {
        add_text(h, r->in[i].name);
        add_text(h, r->in[i].next);
        if (r->in[i].each)
            add_dim(h, r->in[i].each);
        for (int j = 0; j < r->in[i].nparts; j++)
            add_int(h, r->in[i].part[j]);
    }
    for (int i = 0; i < r->nout; i++) {
        add_text(h, r->out[i].name);
        add_dim(h, r->out[i].dim);
    }
}

static void add_node(Hasher *h, const Node *n)
{
    add_text(h, op_info[n->op].name);
    add_type(h, &n->type);
    for (int i = 0; i < node_args(n); i++)
        add_int(h, n->arg[i]->id);
    add_int(h, n->ndim);
    for (int i = 0; i < n->ndim; i++)
        add_dim(h, n->dim[i]);
    add_double(h, n->num);
    add_text(h, n->size ? size_text(n->size) : NULL);
    add_text(h, n->name);
    add_int(h, n->slot);
    add_text(h, n->weight ? n->weight->path : NULL);
    if (n->rope)
        add_rope(h, n->rope);
    if (n->repeat)
        add_table(h, n->repeat);
}

uint64_t graph_hash(const Graph *g)
{
    Hasher h = {.hash = 1};
    add_int(&h, g->nslots);
    for (int i = 0; i < g->node.n; i++)
        add_node(&h, g->node.at[i]);
    for (int i = 0; i < g->output.n; i++) {
        add_text(&h, g->output.at[i].name);
        add_int(&h, g->output.at[i].node->id);
    }
    arena_free(&h.arena);
    return h.hash;
}
