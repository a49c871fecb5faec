/* For tests: graphs of a few nodes over given numbers, run and looked at. */
#pragma once
#include "compiler/interp/interp.h"
#include <math.h>
#include <setjmp.h>
#include <string.h>
/* cmocka wants the above first */
#include <cmocka.h>

#define DIMS(...) \
    (int)COUNT(((const Dim *[]){__VA_ARGS__})), (const Dim *[]){__VA_ARGS__}
#define NUMBERS(...) ((const double[]){__VA_ARGS__})
#define AT_MOST 1e-12

typedef struct {
    Arena arena;
    Graph *g;
    InterpEnv env;
    Err err;
    uint64_t drawn;
    int nin, fetched;
    struct {
        const char *name;
        const double *at;
    } in[16];
} Kit;

static inline const double *kit_data(const Kit *k, const char *name)
{
    for (int i = 0; i < k->nin; i++)
        if (!strcmp(k->in[i].name, name))
            return k->in[i].at;
    return NULL;
}

static inline bool kit_input(void *user, const char *name, const Type *t,
                             double *out)
{
    Kit *k = user;
    const double *at = kit_data(k, name);
    if (!at)
        return err_set(&k->err, "no input %s", name);
    memcpy(out, at, (size_t)type_count(t, k->env.T) * sizeof *out);
    return true;
}

static inline bool kit_weight(void *user, const Weight *w, double *out)
{
    ((Kit *)user)->fetched++;
    return kit_input(user, w->path, &w->type, out);
}

static inline Kit *kit_new(int64_t T)
{
    Kit *k = calloc(1, sizeof *k);
    k->g = graph_new(&k->arena, "test");
    k->env = (InterpEnv){.T = T, .exact = true, .user = k, .input = kit_input,
                         .weight = kit_weight};
    return k;
}

static inline void kit_free(Kit *k)
{
    arena_free(&k->arena);
    free(k);
}

static inline const Dim *dim(const char *name, int n)
{
    return dim_new(name, size_num(n));
}

static inline Type type_of(Dtype t, int rank, const Dim *const *dims)
{
    Type type = {.dtype = t, .rank = rank};
    for (int i = 0; i < rank; i++)
        type.dim[i] = dims[i];
    return type;
}

static inline Node *given_type(Kit *k, const char *name, Type type,
                               const double *at)
{
    Node n = {.op = OP_input, .type = type, .name = intern(name)};
    k->in[k->nin].name = n.name;
    k->in[k->nin++].at = at;
    return graph_add(k->g, n);
}

/* An input with these numbers, f32. */
static inline Node *given(Kit *k, const char *name, int rank,
                          const Dim *const *dims, const double *at)
{
    return given_type(k, name, type_of(TYPE_f32, rank, dims), at);
}

static inline Node *given_index(Kit *k, const char *name, const Dim *of,
                                int rank, const Dim *const *dims,
                                const double *at)
{
    Type t = type_of(TYPE_i32, rank, dims);
    t.index_of = of;
    return given_type(k, name, t, at);
}

/* n numbers in (-1, 1), and n indices below `of`; in the kit's arena. */
static inline double *noise(Kit *k, int64_t n)
{
    double *at = arena_alloc(&k->arena, (size_t)n * sizeof *at + 1);
    for (int64_t i = 0; i < n; i++)
        at[i] = (double)(float)(2 * random_uniform(7, k->drawn++) - 1);
    return at;
}

static inline double *indices(Kit *k, int64_t n, int of)
{
    double *at = arena_alloc(&k->arena, (size_t)n * sizeof *at + 1);
    for (int64_t i = 0; i < n; i++)
        at[i] = floor(random_uniform(9, k->drawn++) * of);
    return at;
}

/* The value of n, alone. */
static inline const Tensor *value_of(Kit *k, Node *n)
{
    Tensor *out = NULL;
    k->g->output.n = 0;
    graph_output(k->g, "y", n);
    if (!interp_run(k->g, &k->env, &k->arena, &out, &k->err))
        fail_msg("%s", k->err.text);
    return out;
}

/* Its run must fail, and say this. */
static inline void refuses(Kit *k, Node *n, const char *text)
{
    Tensor *out = NULL;
    k->g->output.n = 0;
    graph_output(k->g, "y", n);
    assert_false(interp_run(k->g, &k->env, &k->arena, &out, &k->err));
    assert_string_equal(k->err.text, text);
}

static inline void assert_near(const Tensor *t, const double *want, int64_t n)
{
    assert_int_equal(t->count, n);
    for (int64_t i = 0; i < n; i++)
        if (!(fabs(t->at[i] - want[i]) <= AT_MOST * (1 + fabs(want[i]))) &&
            !(isnan(t->at[i]) && isnan(want[i])) && t->at[i] != want[i])
            fail_msg("element %d: %.17g, should be %.17g", (int)i, t->at[i],
                     want[i]);
}
