/* What the nodes of a graph compute, as terms. */
#include "compiler/prove/term.h"
#include <math.h>
#include <string.h>

typedef struct {
    Prover *p;
    Term **memo;
} Reader;

static Term *read_node(Reader *r, Node *n);

static int vars_of(Prover *p, int n, const Dim *const *dim, Term **out)
{
    for (int i = 0; i < n; i++)
        out[i] = term_var(p, dim[i]);
    return n;
}

/* A tensor that stays what it is. */
static Term *leaf(Prover *p, const Node *n)
{
    Term *at[MAX_RANK];
    vars_of(p, n->type.rank, n->type.dim, at);
    return term_keep(p, (Term){.kind = TERM_leaf, .node = n,
                               .nat = n->type.rank, .at = at});
}

static Term *read_number(Prover *p, const Node *n)
{
    return isfinite(n->num) ? term_number(p, n->num) : leaf(p, n);
}

static Term *read_map(Reader *r, Node *n)
{
    Term *arg[MAX_ARGS];
    for (int i = 0; i < node_args(n); i++)
        arg[i] = read_node(r, n->arg[i]);
    return term_fun(r->p, n->op, node_args(n), arg);
}

/* sum, max, logsumexp: the dims go. */
static Term *read_reduce(Reader *r, Node *n)
{
    Term *var[MAX_RANK], *body = read_node(r, n->arg[0]);
    vars_of(r->p, n->ndim, n->dim, var);
    return term_bind(r->p, n->op, NULL, n->ndim, var, 1, &body, 0, NULL);
}

/* softmax, largest: they stay. */
static Term *read_along(Reader *r, Node *n)
{
    Term *var[MAX_RANK], *body[MAX_ARGS];
    int nbody = node_args(n);
    for (int i = 0; i < nbody; i++)
        body[i] = read_node(r, n->arg[i]);
    vars_of(r->p, n->ndim, n->dim, var);
    return term_bind(r->p, n->op, NULL, n->ndim, var, nbody, body, n->ndim,
                     var);
}

static Term *read_topk(Reader *r, Node *n)
{
    Term *over = term_var(r->p, n->dim[0]), *body = read_node(r, n->arg[0]),
         *at = term_var(r->p, n->dim[1]);
    return term_bind(r->p, OP_topk, NULL, 1, &over, 1, &body, 1, &at);
}

static Term *read_contract(Reader *r, Node *n)
{
    Term *var[MAX_RANK], *a = read_node(r, n->arg[0]),
                         *b = read_node(r, n->arg[1]);
    vars_of(r->p, n->ndim, n->dim, var);
    return term_sum(r->p, n->ndim, var, term_mul(r->p, a, b));
}

static bool topk_of_constant(const Term *i)
{
    return i->kind == TERM_bind && i->op == OP_topk &&
           !term_has(i->arg[0], i->bound[0]);
}

static Term *read_gather(Reader *r, Node *n)
{
    Prover *p = r->p;
    Term *a = read_node(r, n->arg[0]), *i = read_node(r, n->arg[1]),
         *var = term_var(p, n->dim[0]);
    if (term_has(a, var))
        return term_subst(p, a, 1, &var, &i);
    if (!p->step[STEP_gather_constant])
        return leaf(p, n);
    Step step = p->step[STEP_topk_constant] && topk_of_constant(i)
                    ? STEP_topk_constant
                    : STEP_gather_constant;
    if (!p->quiet)
        prover_step(p, p->step[step],
                    arena_printf(p->arena, "%s[%s: %s]", term_text(p, a),
                                 n->dim[0]->name, term_text(p, i)), a);
    return a;
}

static Term *read_scatter(Reader *r, Node *n)
{
    Term *a = read_node(r, n->arg[0]), *i = read_node(r, n->arg[1]),
         *var[MAX_RANK];
    vars_of(r->p, n->arg[1]->type.rank, n->arg[1]->type.dim, var);
    Term *d = term_delta(r->p, i, term_var(r->p, n->dim[0]));
    return term_sum(r->p, n->arg[1]->type.rank, var, term_mul(r->p, d, a));
}

static int sizes_of(Prover *p, const Node *n, const Size **size)
{
    for (int i = 1; i < n->ndim; i++)
        size[i - 1] = prover_size(p, n->dim[i]->size);
    return n->ndim - 1;
}

static Term *read_flatten(Reader *r, Node *n)
{
    Term *a = read_node(r, n->arg[0]), *from[MAX_RANK], *to[MAX_RANK];
    const Size *size[MAX_RANK];
    int m = sizes_of(r->p, n, size);
    vars_of(r->p, m, n->dim + 1, from);
    for (int i = 0; i < m; i++)
        to[i] = term_part(r->p, term_var(r->p, n->dim[0]), i, m, size,
                          n->dim[i + 1]);
    return term_subst(r->p, a, m, from, to);
}

static Term *read_split(Reader *r, Node *n)
{
    Term *a = read_node(r, n->arg[0]), *part[MAX_RANK],
         *var = term_var(r->p, n->dim[0]);
    const Size *size[MAX_RANK];
    int m = sizes_of(r->p, n, size);
    vars_of(r->p, m, n->dim + 1, part);
    Term *pair = term_pair(r->p, m, part, size, n->dim[0]);
    return term_subst(r->p, a, 1, &var, &pair);
}

static Term *read_at(Reader *r, Node *n, Term *by)
{
    Term *var = term_var(r->p, n->dim[0]);
    return term_subst(r->p, read_node(r, n->arg[0]), 1, &var, &by);
}

/* Nothing is known of it but that it takes its arguments whole. */
static Term *read_opaque(Reader *r, Node *n)
{
    Term *body[MAX_ARGS], *var[MAX_BOUND], *at[MAX_RANK];
    int nbody = node_args(n), nvar = 0;
    for (int i = 0; i < nbody; i++) {
        const Type *t = &n->arg[i]->type;
        body[i] = read_node(r, n->arg[i]);
        for (int j = 0; j < t->rank; j++) {
            Term *v = term_var(r->p, t->dim[j]);
            bool there = false;
            for (int k = 0; k < nvar; k++)
                there |= var[k] == v;
            if (!there && nvar == MAX_BOUND)
                return leaf(r->p, n);
            if (!there)
                var[nvar++] = v;
        }
    }
    vars_of(r->p, n->type.rank, n->type.dim, at);
    Term *by = r->p->deep ? deep_linear(r->p, n->op, body) : NULL;
    Term *t = term_bind(r->p, n->op, n, nvar, var, nbody, body, n->type.rank,
                        at);
    return by ? term_mul(r->p, by, t) : t;
}

static Term *read_new(Reader *r, Node *n)
{
    Prover *p = r->p;
    switch (n->op) {
    case OP_number:  return read_number(p, n);
    case OP_scalar:  return term_size(p, n->size);
    case OP_iota:    return term_var(p, n->dim[0]);
    case OP_sum:
    case OP_max:
    case OP_logsumexp: return read_reduce(r, n);
    case OP_softmax:
    case OP_largest: return read_along(r, n);
    case OP_topk:    return read_topk(r, n);
    case OP_onehot:  return term_delta(p, read_node(r, n->arg[0]),
                                       term_var(p, n->dim[0]));
    case OP_contract: return read_contract(r, n);
    case OP_gather:  return read_gather(r, n);
    case OP_scatter: return read_scatter(r, n);
    case OP_expand:
    case OP_order:   return read_node(r, n->arg[0]);
    case OP_flatten: return read_flatten(r, n);
    case OP_split:   return read_split(r, n);
    case OP_slice:   return read_at(r, n, term_number(p, n->num));
    case OP_rename:  return read_at(r, n, term_var(p, n->dim[1]));
    default:         break;
    }
    if (op_is_map(n->op))
        return read_map(r, n);
    return node_args(n) ? read_opaque(r, n) : leaf(p, n);
}

static Term *read_node(Reader *r, Node *n)
{
    if (r->memo[n->id])
        return r->memo[n->id];
    Term *t = r->p->fuel ? read_new(r, n) : leaf(r->p, n);
    r->memo[n->id] = t;
    double v;
    if (n->label && t->kind != TERM_var && !term_is_number(t, &v)) {
        Label l = {t, n->label};
        list_push(r->p->arena, &r->p->label, l);
    }
    return t;
}

Term *term_of_node(Prover *p, Node *n)
{
    Reader r = {.p = p};
    prover_dims(p, n);
    r.memo = arena_alloc(p->arena, (size_t)(n->id + 1) * sizeof *r.memo);
    return read_node(&r, n);
}
