/* Gradients of elementwise ops: y = f(a, b, c), g that of y. What an argument
 * lacks of g's dims is summed when it is given. */
#include "compiler/grad/rules.h"
#include <math.h>

/* ---- small terms ---- */

static Node *plus(Graph *g, Node *a, Node *b)
{
    return g_map2(g, OP_add, a, b);
}

static Node *minus(Graph *g, Node *a, Node *b)
{
    return g_map2(g, OP_sub, a, b);
}

static Node *over(Graph *g, Node *a, Node *b)
{
    return g_map2(g, OP_div, a, b);
}

static Node *negative(Graph *g, Node *a)
{
    return g_map1(g, OP_neg, a);
}

static Node *square(Graph *g, Node *a)
{
    return times(g, a, a);
}

/* 1 - a^2 */
static Node *one_less_square(Graph *g, Node *a)
{
    return minus(g, num_like(g, a, 1), square(g, a));
}

/* g where c is true, else 0, and the other way. */
static Node *where(Graph *g, Node *c, Node *v)
{
    return g_select(g, c, v, num_like(g, v, 0));
}

static Node *unless(Graph *g, Node *c, Node *v)
{
    return g_select(g, c, num_like(g, v, 0), v);
}

static Node *above_0(Graph *g, Node *a)
{
    return g_map2(g, OP_gt, a, num_like(g, a, 0));
}

/* The normal density: e^(-a^2 / 2) / sqrt(2 pi). */
static Node *density(Graph *g, Node *a)
{
    Node *e = g_map1(g, OP_exp, scaled(g, square(g, a), -0.5));
    return scaled(g, e, M_SQRT1_2 * M_2_SQRTPI / 2);
}

/* y, the node itself: in the graph it is the argument of the rule. */
static Node *itself(const Back *b, const Node *n)
{
    return b->g->node.at[n->id];
}

/* ---- one argument ---- */

void grad_neg(Back *b, const Node *n, Node *g)
{
    back_give(b, n->arg[0], negative(b->g, g));
}

void grad_exp(Back *b, const Node *n, Node *g)
{
    back_give(b, n->arg[0], times(b->g, g, itself(b, n)));
}

void grad_log(Back *b, const Node *n, Node *g)
{
    back_give(b, n->arg[0], over(b->g, g, n->arg[0]));
}

void grad_sqrt(Back *b, const Node *n, Node *g)
{
    back_give(b, n->arg[0], over(b->g, g, scaled(b->g, itself(b, n), 2)));
}

/* -g y^3 / 2 */
void grad_rsqrt(Back *b, const Node *n, Node *g)
{
    Node *y = itself(b, n), *cube = times(b->g, square(b->g, y), y);
    back_give(b, n->arg[0], scaled(b->g, times(b->g, g, cube), -0.5));
}

void grad_tanh(Back *b, const Node *n, Node *g)
{
    back_give(b, n->arg[0],
              times(b->g, g, one_less_square(b->g, itself(b, n))));
}

void grad_sigmoid(Back *b, const Node *n, Node *g)
{
    Node *y = itself(b, n), *rest = minus(b->g, num_like(b->g, y, 1), y);
    back_give(b, n->arg[0], times(b->g, g, times(b->g, y, rest)));
}

/* s + y (1 - s), s = sigmoid(a) */
void grad_silu(Back *b, const Node *n, Node *g)
{
    Node *s = g_map1(b->g, OP_sigmoid, n->arg[0]);
    Node *rest = minus(b->g, num_like(b->g, s, 1), s);
    Node *slope = plus(b->g, s, times(b->g, itself(b, n), rest));
    back_give(b, n->arg[0], times(b->g, g, slope));
}

/* y = a cdf(a) */
void grad_gelu(Back *b, const Node *n, Node *g)
{
    Node *a = n->arg[0], *c = g_map1(b->g, OP_cdf, a);
    Node *slope = plus(b->g, c, times(b->g, a, density(b->g, a)));
    back_give(b, a, times(b->g, g, slope));
}

/* u = c (a + 0.044715 a^3), t = tanh u: (1 + t) / 2 + a (1 - t^2) u' / 2 */
void grad_gelu_tanh(Back *b, const Node *n, Node *g)
{
    Graph *to = b->g;
    const double c = 0.7978845608028654;
    Node *a = n->arg[0], *one = num_like(to, a, 1), *aa = square(to, a);
    Node *u = scaled(to, times(to, a, plus(to, one, scaled(to, aa, 0.044715))),
                     c);
    Node *du = scaled(to, plus(to, one, scaled(to, aa, 3 * 0.044715)), c);
    Node *t = g_map1(to, OP_tanh, u);
    Node *bend = times(to, times(to, a, one_less_square(to, t)), du);
    Node *slope = scaled(to, plus(to, plus(to, one, t), bend), 0.5);
    back_give(b, a, times(to, g, slope));
}

void grad_relu(Back *b, const Node *n, Node *g)
{
    back_give(b, n->arg[0], where(b->g, above_0(b->g, n->arg[0]), g));
}

void grad_softplus(Back *b, const Node *n, Node *g)
{
    back_give(b, n->arg[0],
              times(b->g, g, g_map1(b->g, OP_sigmoid, n->arg[0])));
}

void grad_cdf(Back *b, const Node *n, Node *g)
{
    back_give(b, n->arg[0], times(b->g, g, density(b->g, n->arg[0])));
}

void grad_abs(Back *b, const Node *n, Node *g)
{
    Node *a = n->arg[0], *zero = num_like(b->g, a, 0);
    Node *below = g_map2(b->g, OP_lt, a, zero);
    back_give(b, a, g_select(b->g, above_0(b->g, a), g,
                             where(b->g, below, negative(b->g, g))));
}

void grad_sin(Back *b, const Node *n, Node *g)
{
    back_give(b, n->arg[0],
              times(b->g, g, g_map1(b->g, OP_cos, n->arg[0])));
}

void grad_cos(Back *b, const Node *n, Node *g)
{
    Node *s = g_map1(b->g, OP_sin, n->arg[0]);
    back_give(b, n->arg[0], negative(b->g, times(b->g, g, s)));
}

void grad_acos(Back *b, const Node *n, Node *g)
{
    Node *r = g_map1(b->g, OP_rsqrt, one_less_square(b->g, n->arg[0]));
    back_give(b, n->arg[0], negative(b->g, times(b->g, g, r)));
}

/* Straight through: what rounding loses has no gradient. */
void grad_cast(Back *b, const Node *n, Node *g)
{
    back_give(b, n->arg[0], g);
}

/* ---- more arguments ---- */

void grad_add(Back *b, const Node *n, Node *g)
{
    back_give(b, n->arg[0], g);
    back_give(b, n->arg[1], g);
}

void grad_sub(Back *b, const Node *n, Node *g)
{
    back_give(b, n->arg[0], g);
    if (back_wants(b, n->arg[1]))
        back_give(b, n->arg[1], negative(b->g, g));
}

void grad_mul(Back *b, const Node *n, Node *g)
{
    for (int i = 0; i < 2; i++)
        if (back_wants(b, n->arg[i]))
            back_give(b, n->arg[i], times(b->g, g, n->arg[1 - i]));
}

void grad_div(Back *b, const Node *n, Node *g)
{
    Node *each = over(b->g, g, n->arg[1]);
    back_give(b, n->arg[0], each);
    if (back_wants(b, n->arg[1]))
        back_give(b, n->arg[1],
                  negative(b->g, times(b->g, each, itself(b, n))));
}

/* To a: g b a^(b - 1). To b: g y log a where a is above 0; the log's argument
 * is guarded too, for 0 times infinity is no number. */
void grad_pow(Back *b, const Node *n, Node *g)
{
    Graph *to = b->g;
    Node *x = n->arg[0], *p = n->arg[1];
    if (back_wants(b, x)) {
        Node *less = p->op == OP_number ? num_like(to, p, p->num - 1)
                                        : minus(to, p, num_like(to, p, 1));
        bool same = less->op == OP_number && less->num == 1;
        Node *rest = same ? x : g_map2(to, OP_pow, x, less);
        back_give(b, x, times(to, times(to, g, p), rest));
    }
    if (back_wants(b, p)) {
        Node *c = above_0(to, x);
        Node *safe = g_select(to, c, x, num_like(to, x, 1));
        Node *slope = times(to, itself(b, n), g_map1(to, OP_log, safe));
        back_give(b, p, where(to, c, times(to, g, slope)));
    }
}

/* To the one that the forward took; of equals b. */
static void one_of(Back *b, const Node *n, Node *g, Op takes_a)
{
    Node *c = g_map2(b->g, takes_a, n->arg[0], n->arg[1]);
    back_give(b, n->arg[0], where(b->g, c, g));
    back_give(b, n->arg[1], unless(b->g, c, g));
}

void grad_minimum(Back *b, const Node *n, Node *g)
{
    one_of(b, n, g, OP_lt);
}

void grad_maximum(Back *b, const Node *n, Node *g)
{
    one_of(b, n, g, OP_gt);
}

void grad_select(Back *b, const Node *n, Node *g)
{
    if (back_wants(b, n->arg[1]))
        back_give(b, n->arg[1], where(b->g, n->arg[0], g));
    if (back_wants(b, n->arg[2]))
        back_give(b, n->arg[2], unless(b->g, n->arg[0], g));
}
