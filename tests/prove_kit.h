/* Graphs of layers and their upcycled forms, built by hand for the tests of
 * proofs: as the elaborator hands them over, but small to read. */
#pragma once
#include "compiler/prove/prove.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

typedef struct {
    Arena arena;
    Diags diags;
    Rules *rules;
    Graph *g;
    const Dim *T, *D, *F, *E, *k;
    Node *x;
} Kit;

static inline Rules *kit_rules(Kit *k, const char *path)
{
    Err err;
    size_t len;
    char *text = read_file(path, &len, &err);
    if (!text)
        fail_msg("%s", err.text);
    Source *src = arena_alloc(&k->arena, sizeof *src);
    *src = (Source){"rules.graft", arena_strn(&k->arena, text, len), (int)len,
                    &k->diags};
    free(text);
    Rules *r = rules_new(&k->arena);
    assert_true(rules_add(r, dsl_parse(&k->arena, src), NULL));
    return r;
}

static inline const Dim *kit_dim(const char *name)
{
    return dim_new(name, size_sym(name));
}

static inline Kit *kit_new(void)
{
    Kit *k = xmalloc(sizeof *k);
    memset(k, 0, sizeof *k);
    k->rules = kit_rules(k, RULES);
    k->g = graph_new(&k->arena, "claim");
    k->T = kit_dim("T");
    k->D = kit_dim("D");
    k->F = kit_dim("F");
    k->E = kit_dim("E");
    k->k = dim_new("k", size_sym("K"));
    return k;
}

static inline void kit_free(Kit *k)
{
    arena_free(&k->arena);
    diags_free(&k->diags);
    free(k);
}

static inline Type kit_type(int rank, const Dim *const *dim)
{
    Type t = {.dtype = TYPE_f32, .rank = rank};
    for (int i = 0; i < rank; i++)
        t.dim[i] = dim[i];
    return t;
}
#define DIMS(...) \
    (int)(sizeof((const Dim *[]){__VA_ARGS__}) / sizeof(const Dim *)), \
        (const Dim *const[]){__VA_ARGS__}

static inline Node *weight(Kit *k, const char *name, int rank,
                           const Dim *const *dim)
{
    Weight *w = arena_alloc(&k->arena, sizeof *w);
    *w = (Weight){.path = intern(name), .type = kit_type(rank, dim)};
    return g_weight(k->g, w);
}

static inline Node *input(Kit *k, const char *name, int rank,
                          const Dim *const *dim)
{
    return graph_add(k->g, (Node){.op = OP_input, .name = intern(name),
                                  .type = kit_type(rank, dim)});
}

static inline Node *drawn(Kit *k, const char *name, int rank,
                          const Dim *const *dim)
{
    return graph_add(k->g, (Node){.op = OP_gaussian, .name = intern(name),
                                  .type = kit_type(rank, dim)});
}

static inline Node *learned(Kit *k, const char *name, int rank,
                     const Dim *const *dim)
{
    Weight *w = arena_alloc(&k->arena, sizeof *w);
    *w = (Weight){.path = intern(name), .type = kit_type(rank, dim)};
    return graph_add(k->g, (Node){.op = OP_learned, .weight = w,
                                  .type = w->type});
}

static inline Node *named(Node *n, const char *label)
{
    n->label = intern(label);
    return n;
}

static inline Node *num(Kit *k, double v)
{
    return g_num(k->g, TYPE_f32, v);
}

static inline Node *scalar(Kit *k, const char *sym)
{
    return g_scalar(k->g, TYPE_f32, size_sym(sym));
}

#define along(k, op, a, ...) g_along((k)->g, op, a, DIMS(__VA_ARGS__))
#define dot(k, a, b, ...) g_contract((k)->g, a, b, DIMS(__VA_ARGS__))
#define add(k, a, b) g_map2((k)->g, OP_add, a, b)
#define sub(k, a, b) g_map2((k)->g, OP_sub, a, b)
#define mul(k, a, b) g_map2((k)->g, OP_mul, a, b)
#define quo(k, a, b) g_map2((k)->g, OP_div, a, b)

static inline Node *topk(Kit *k, Node *a, const Dim *over, const Dim *as)
{
    return along(k, OP_topk, a, over, as);
}

typedef struct {
    Node *gate, *up, *down;
} Ffn;

static inline Ffn ffn_weights(Kit *k)
{
    return (Ffn){weight(k, "ffn.gate", DIMS(k->F, k->D)),
                 weight(k, "ffn.up", DIMS(k->F, k->D)),
                 weight(k, "ffn.down", DIMS(k->D, k->F))};
}

static inline Node *ffn_over(Kit *k, Ffn w, Node *x, const Dim *F)
{
    Node *h = mul(k, g_map1(k->g, OP_silu, dot(k, x, w.gate, k->D)),
                  dot(k, x, w.up, k->D));
    return dot(k, h, w.down, F);
}

static inline Node *ffn(Kit *k, Ffn w, Node *x)
{
    return ffn_over(k, w, x, k->F);
}

/* expert[i] of E copies: each weight repeated along E, then gathered. */
static inline Ffn copied(Kit *k, Ffn w, Node *i)
{
    Node **at[] = {&w.gate, &w.up, &w.down};
    for (int j = 0; j < 3; j++)
        *at[j] = g_gather(k->g, along(k, OP_expand, *at[j], k->E), k->E, i);
    return w;
}

/* Scores of the experts, [T, E]. */
static inline Node *scores(Kit *k, Node *x)
{
    Node *router = mul(k, num(k, 0.02),
                       drawn(k, "router", DIMS(k->E, k->D)));
    return dot(k, g_cast(k->g, TYPE_f32, x), router, k->D);
}

static inline Proof prove(Kit *k, ProveEnv env, Node *a, Node *b)
{
    env.arena = &k->arena;
    env.rules = k->rules;
    env.name = "ffn(x)";
    Proof p = prove_equal(&env, a, b);
    if (getenv("PROVE_SHOW"))
        print_message("%s\n%s  diff %g %g %g, factor %s, at uniform %s\n",
                      p.why, p.derivation, p.diff_exact, p.diff_f32,
                      p.diff_bf16, p.factor ? p.factor : "-",
                      p.uniform ? p.uniform : "-");
    return p;
}

static inline bool used(const Proof *p, const char *rule)
{
    for (int i = 0; i < p->nrule; i++)
        if (!strcmp(p->rule[i], rule))
            return true;
    return false;
}
