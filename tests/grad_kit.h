/* For tests of gradients: values that move, and central differences in the
 * exact interpreter: of the sum of r y for fixed r, element by element. */
#pragma once
#include "compiler/grad/rules.h"
#include "tests/graph_kit.h"

enum { MOST = 6 };

/* An op under test: y made of inputs; those that move are listed. */
typedef struct {
    Kit *k;
    int n;
    Node *of[MOST];
    double *at[MOST];
    int64_t count[MOST];
} Under;

static inline Node *moving_at(Under *u, Type t, double *at)
{
    static const char *const name[] = {"m0", "m1", "m2", "m3", "m4", "m5"};
    u->at[u->n] = at;
    u->count[u->n] = type_count(&t, u->k->env.T);
    u->of[u->n] = given_type(u->k, name[u->n], t, at);
    return u->of[u->n++];
}

/* An f32 input of noise in (-1, 1). */
static inline Node *moving(Under *u, int rank, const Dim *const *dims)
{
    Type t = type_of(TYPE_f32, rank, dims);
    return moving_at(u, t, noise(u->k, type_count(&t, u->k->env.T)));
}

static inline bool is_moving(const Back *b, const Node *n)
{
    const Under *u = b->user;
    for (int i = 0; i < u->n; i++)
        if (u->of[i] == n)
            return true;
    return false;
}

static inline double loss_at(Under *u, Node *loss)
{
    return value_of(u->k, loss)->at[0];
}

static inline double slope_at(Under *u, Node *loss, double *at)
{
    const double h = 1e-5, was = *at;
    *at = was + h;
    double up = loss_at(u, loss);
    *at = was - h;
    double down = loss_at(u, loss);
    *at = was;
    return (up - down) / (2 * h);
}

/* r y summed: a loss that sees each element of y in its own way. */
static inline Node *loss_of(Under *u, Node *y)
{
    Node *r = given(u->k, "r", y->type.rank, y->type.dim,
                    noise(u->k, type_count(&y->type, u->k->env.T)));
    Node *each = g_map2(u->k->g, OP_mul, y, r);
    return g_along(u->k->g, OP_sum, each, each->type.rank, each->type.dim);
}

/* flows: which of the moving inputs a gradient must come to. */
static inline void check(Under *u, const char *name, Node *y, const char *flows)
{
    Graph *g = u->k->g;
    Node *loss = loss_of(u, y);
    Back b = {.g = g, .trained = is_moving, .user = u};
    back_begin(&b);
    if (b.wants[loss->id])
        back_give(&b, loss, g_num(g, TYPE_f32, 1));
    back_run(&b);
    for (int i = 0; i < u->n; i++) {
        Node *d = b.sum[u->of[i]->id];
        if (!d != !strchr(flows, 'a' + i))
            fail_msg("%s: a gradient to %d: %s", name, i, d ? "yes" : "no");
        if (!d)
            continue;
        assert_true(type_same(&d->type, &u->of[i]->type));
        const double *got = value_of(u->k, d)->at;
        for (int64_t j = 0; j < u->count[i]; j++) {
            double want = slope_at(u, loss, &u->at[i][j]);
            if (!(fabs(got[j] - want) <= 1e-8 * (1 + fabs(want))))
                fail_msg("%s: to %d, element %d: %.12g, by differences %.12g",
                         name, i, (int)j, got[j], want);
        }
    }
}

static inline Under under(int64_t T)
{
    return (Under){.k = kit_new(T)};
}
