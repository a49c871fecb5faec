/* For the tests of the language: expressions of a small module, run by the
 * interpreter, held against each other or against numbers; texts, held
 * against what is said of them. */
#pragma once
#include "compiler/lang/lang.h"
#include "compiler/check/check.h"
#include "compiler/interp/interp.h"
#include "compiler/lang/elab.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

typedef struct {
    Arena arena;
    Diags diags;
    Spec *spec;
    Model *m;
    Graph *g;
} Text;

static inline Text *text_new(const char *text)
{
    Text *t = xmalloc(sizeof *t);
    memset(t, 0, sizeof *t);
    t->diags.quiet = true;
    t->spec = spec_new(&t->arena, &t->diags);
    spec_text(t->spec, "text", text);
    return t;
}

static inline void text_free(Text *t)
{
    arena_free(&t->arena);
    diags_free(&t->diags);
    free(t);
}

static inline void text_told(const Text *t, const char *text)
{
    for (int i = 0; i < t->diags.said.n; i++)
        print_error("%s\n", t->diags.said.at[i].text);
    fail_msg("in: %s", text);
}

/* No mistake is found in the text. */
static inline void fine(const char *text)
{
    Text *t = text_new(text);
    Claims claims = {0};
    if (!spec_check(t->spec, &claims))
        text_told(t, text);
    text_free(t);
}

/* The first mistake found says this. */
static inline void wrong(const char *text, const char *says)
{
    Text *t = text_new(text);
    Claims claims = {0};
    spec_check(t->spec, &claims);
    if (!t->diags.errors)
        fail_msg("no mistake in: %s", text);
    if (!strstr(t->diags.said.at[0].text, says))
        text_told(t, text);
    text_free(t);
}

/* Weights and inputs: small numbers, the same for one name. */
static inline void some(const char *name, const Type *type, int64_t T,
                        double *out)
{
    int64_t n = type_count(type, T);
    uint64_t key = random_key(3, name);
    for (int64_t i = 0; i < n; i++)
        out[i] = type->index_of
                     ? (double)(i * 3 % size_at(type->index_of->size, T))
                     : floor(random_uniform(key, (uint64_t)i) * 16) / 4 - 2;
}

enum { TOKENS = 4 };

static inline bool text_input(void *user, const char *name, const Type *t,
                              double *out)
{
    (void)user;
    some(name, t, TOKENS, out);
    return true;
}

static inline bool text_weight(void *user, const Weight *w, double *out)
{
    (void)user;
    some(w->path, &w->type, TOKENS, out);
    return true;
}

static inline Inst *text_module(Text *t, const char *name)
{
    const Ast *def = spec_find(t->spec, AST_module, name);
    assert_non_null(def);
    t->m = model_new(&t->arena, t->spec, def, TYPE_f32);
    Inst *inst = inst_new(t->m, t->spec, def, NULL, "", "");
    const Ast *params = def->kid[0];
    Scope own = {.spec = t->spec, .model = t->m, .g = t->m->weights,
                 .inst = inst};
    for (int i = 0; i < params->nkid; i++) {
        Val v = eval(&own, params->kid[i]->kid[0]);
        v.dim = NULL;
        names_set(&t->arena, &inst->param, params->kid[i]->text, v);
    }
    inst_build(t->m, inst, &own);
    return inst;
}

static inline Tensor *text_run(Text *t, Node *n, bool training)
{
    Graph one = *t->g;
    Tensor *out[1];
    Err err = {""};
    InterpEnv env = {.T = TOKENS, .exact = true, .training = training,
                     .input = text_input, .weight = text_weight};
    one.output.at = NULL, one.output.n = one.output.room = 0;
    graph_output(&one, "y", n);
    if (!interp_run(&one, &env, &t->arena, out, &err))
        fail_msg("%s", err.text);
    return out[0];
}

/* What the module `m` of the text gives. */
static inline Tensor *given(Text *t, const char *text)
{
    Inst *inst = t->diags.errors ? NULL : text_module(t, "m");
    t->g = graph_new(&t->arena, "m");
    Node *y = inst ? forward_node(t->m, t->g, inst, NULL, true) : NULL;
    if (!y || t->diags.errors)
        text_told(t, text);
    return text_run(t, y, false);
}

/* A module of T = 4, D 3, F 2, E 4, K 2, H 2, hd 3, V 5 with some weights
 * and parts; body is its forward's. */
static inline char *module_of(const char *type, const char *body)
{
    char *text = NULL;
    size_t len;
    FILE *f = open_memstream(&text, &len);
    fprintf(f,
            "module net(D, F) {\n"
            "  weight gate[F, D], down[D, F]\n"
            "  forward(x[.., D]) -> [.., D] { return silu(x @ gate) @ down }\n"
            "}\n"
            "module m(D = 3, F = 2, E = 4, K = 2, H = 2, hd = 3, V = 5) {\n"
            "  weight gate[F, D], a[D], f[F], router[E, D], table[V, D]\n"
            "  weight q[H, hd, D], o[D, H, hd], stack[E, F, D]\n"
            "  net: net(D, F)\n"
            "  expert[E]: net(D, F)\n"
            "  input word[T]: V\n"
            "  input pick[T]: E\n"
            "  forward(x[T, D]) -> %s {\n"
            "    s    = x @ router\n"
            "    v, i = topk(s, k: K)\n"
            "    b, t = topk(s, over: T, c: 3)\n"
            "    %s%s\n"
            "  }\n"
            "}\n",
            type, strstr(body, "return") ? "" : "return ", body);
    fclose(f);
    return text;
}

static inline void numbers(const char *type, const char *body, int n,
                           const double *want)
{
    char *text = module_of(type, body);
    Text *t = text_new(text);
    Tensor *y = given(t, text);
    assert_int_equal(y->count, n);
    for (int i = 0; i < n; i++)
        if (fabs(y->at[i] - want[i]) > 1e-12)
            fail_msg("%s: %g, not %g, at %d", body, y->at[i], want[i], i);
    text_free(t);
    free(text);
}
/* A scalar of the module. */
#define is(body, value) numbers("[]", body, 1, (const double[]){value})

/* Two bodies give the same. */
static inline void same(const char *type, const char *a, const char *b)
{
    char *one = module_of(type, a), *two = module_of(type, b);
    Text *s = text_new(one), *t = text_new(two);
    Tensor *x = given(s, one), *y = given(t, two);
    assert_int_equal(x->count, y->count);
    for (int64_t i = 0; i < x->count; i++)
        if (fabs(x->at[i] - y->at[i]) > 1e-12)
            fail_msg("%s: %g, %s: %g, at %d", a, x->at[i], b, y->at[i],
                     (int)i);
    text_free(s);
    text_free(t);
    free(one);
    free(two);
}

static inline void bad(const char *type, const char *body, const char *says)
{
    char *text = module_of(type, body);
    wrong(text, says);
    free(text);
}
