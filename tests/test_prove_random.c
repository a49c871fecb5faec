/* Random graphs: nodes whose normal forms are one term must compute the same
 * on random tensors, whatever sizes the dims have; and so must the graph that
 * the rules make cheaper. */
#include "passes/passes.h"
#include "compiler/prove/term.h"
#include "tests/prove_kit.h"

enum { GRAPHS = 250, NODES = 70 };

typedef struct {
    Kit *k;
    uint64_t seed, drawn;
    const Dim *A, *K, *j, *P, *Q, *W; /* W = P * Q */
    Node *i;                          /* an index of K */
    Node *all[4 * NODES];
    int n;
} Pool;

static int roll(Pool *p, int n)
{
    return (int)(random_uniform(p->seed, p->drawn++) * n);
}

static Node *any(Pool *p)
{
    return p->all[roll(p, p->n)];
}

static bool has(const Node *n, const Dim *d)
{
    return type_dim(&n->type, d) >= 0;
}

static void put(Pool *p, Node *n)
{
    if (p->n < (int)COUNT(p->all) && n->type.rank <= 4 &&
        type_is_float(n->type.dtype))
        p->all[p->n++] = n;
}

static Node *index_leaf(Pool *p, const Dim *of, const Dim *by, bool shuffled)
{
    Node n = {.op = OP_input, .name = "i"};
    n.type = (Type){.dtype = TYPE_i32, .index_of = of, .rank = 1, .dim = {by}};
    if (shuffled) {
        n = (Node){.op = OP_shuffle, .num = roll(p, 3), .ndim = 1,
                   .dim = {of}};
        n.type = (Type){.dtype = TYPE_i32, .index_of = of, .rank = 1,
                        .dim = {of}};
    }
    return graph_add(p->k->g, n);
}

static void put_unary(Pool *p, Node *a)
{
    static const Op ops[] = {OP_neg, OP_exp, OP_silu, OP_relu, OP_sigmoid,
                             OP_tanh, OP_abs, OP_cast, OP_stop, OP_not};
    Op op = ops[roll(p, (int)COUNT(ops))];
    put(p, op == OP_cast ? g_cast(p->k->g, TYPE_f64, a)
                         : g_map1(p->k->g, op, a));
}

static void put_binary(Pool *p, Node *a)
{
    static const Op ops[] = {OP_add, OP_add, OP_sub, OP_mul, OP_mul, OP_div,
                             OP_maximum, OP_minimum, OP_lt, OP_eq, OP_pow};
    Op op = ops[roll(p, (int)COUNT(ops))];
    Node *b = op == OP_pow ? num(p->k, roll(p, 4) - 1) : any(p);
    Node *y = g_map2(p->k->g, op, a, b);
    put(p, op == OP_lt || op == OP_eq ? g_select(p->k->g, y, a, any(p)) : y);
}

static void put_along(Pool *p, Node *a)
{
    static const Op ops[] = {OP_sum, OP_sum, OP_sum, OP_max, OP_softmax,
                             OP_softmax, OP_logsumexp};
    if (!a->type.rank)
        return;
    const Dim *d[2] = {a->type.dim[roll(p, a->type.rank)],
                       a->type.dim[roll(p, a->type.rank)]};
    put(p, g_along(p->k->g, ops[roll(p, (int)COUNT(ops))], a,
                   d[0] == d[1] ? 1 : 2, d));
}

static void put_contract(Pool *p, Node *a)
{
    Node *b = any(p);
    for (int i = 0; i < a->type.rank; i++)
        if (has(b, a->type.dim[i])) {
            put(p, g_contract(p->k->g, a, b, 1, &a->type.dim[i]));
            return;
        }
}

/* At indices: given, of a topk, a permutation, a position. */
static void put_gather(Pool *p, Node *a)
{
    Kit *k = p->k;
    if (!has(a, p->K))
        return;
    Node *by = any(p);
    switch (roll(p, 5)) {
    case 0:
        if (!has(a, p->j))
            put(p, g_gather(k->g, a, p->K, p->i));
        break;
    case 1:
        put(p, g_gather(k->g, a, p->K, index_leaf(p, p->K, p->j, true)));
        break;
    case 2:
        put(p, graph_add(k->g, (Node){.op = OP_slice, .arg = {a}, .ndim = 1,
                                      .dim = {p->K}, .num = 0}));
        break;
    default:
        if (has(by, p->K) && !has(by, p->j) && !has(a, p->j) &&
            size_value(p->j->size, 1) <= size_value(p->K->size, 1))
            put(p, g_gather(k->g, a, p->K, topk(k, by, p->K, p->j)));
    }
}

static void put_move(Pool *p, Node *a)
{
    Kit *k = p->k;
    const Dim *all[] = {p->A, p->K, p->j, p->W};
    const Dim *d = all[roll(p, 4)];
    if (has(a, p->W) && !has(a, p->P) && !has(a, p->Q) && roll(p, 2)) {
        put(p, graph_add(k->g, (Node){.op = OP_split, .arg = {a}, .ndim = 3,
                                      .dim = {p->W, p->P, p->Q}}));
    } else if (has(a, p->P) && has(a, p->Q) && !has(a, p->W)) {
        int at = type_dim(&a->type, p->P);
        if (at + 1 < a->type.rank && a->type.dim[at + 1] == p->Q)
            put(p, graph_add(k->g, (Node){.op = OP_flatten, .arg = {a},
                                          .ndim = 3,
                                          .dim = {p->W, p->P, p->Q}}));
    } else if (has(a, p->j) && has(a, p->K) && roll(p, 2)) {
        put(p, graph_add(k->g, (Node){.op = OP_scatter, .ndim = 1,
                                      .arg = {g_along(k->g, OP_max, a, 1,
                                                      &p->K), p->i},
                                      .dim = {p->K}}));
    } else if (!has(a, d)) {
        put(p, g_along(k->g, OP_expand, a, 1, &d));
    }
}

static void grow(Pool *p)
{
    Node *a = any(p);
    switch (roll(p, 7)) {
    case 0: put_unary(p, a); break;
    case 1:
    case 2: put_binary(p, a); break;
    case 3: put_along(p, a); break;
    case 4: put_contract(p, a); break;
    case 5: put_gather(p, a); break;
    case 6: put_move(p, a); break;
    }
}

static const Dim *sized(Pool *p, const char *name, int most)
{
    return dim_new(name, size_num(1 + roll(p, most)));
}

static void start(Pool *p, Kit *k, uint64_t seed)
{
    *p = (Pool){.k = k, .seed = random_key(seed, "graph")};
    p->A = sized(p, "A", 2);
    p->K = sized(p, "K", 3);
    p->j = roll(p, 2) ? dim_new("j", p->K->size) : sized(p, "j", 3);
    p->P = sized(p, "P", 2);
    p->Q = sized(p, "Q", 3);
    p->W = dim_new("W", size_mul(p->P->size, p->Q->size));
    p->i = index_leaf(p, p->K, p->j, false);
    k->g = graph_new(&k->arena, "random");
    p->i = index_leaf(p, p->K, p->j, false);
    put(p, input(k, "x", DIMS(p->A, p->K)));
    put(p, weight(k, "w", DIMS(p->K, p->j)));
    put(p, input(k, "c", DIMS(p->A)));
    put(p, weight(k, "v", DIMS(p->W)));
    put(p, num(k, roll(p, 3) - 1));
    put(p, g_scalar(k->g, TYPE_f32, p->K->size));
    for (int i = 0; i < NODES; i++)
        grow(p);
}

static bool fill(Pool *p, const char *name, const Type *t, double *out)
{
    uint64_t key = random_key(p->seed, name);
    int64_t n = type_count(t, 1);
    for (int64_t i = 0; i < n; i++)
        out[i] = t->index_of ? floor(random_uniform(key, (uint64_t)i) *
                                     size_value(t->index_of->size, 1))
                             : random_gaussian(key, (uint64_t)i);
    return true;
}

static bool give_input(void *user, const char *name, const Type *t,
                       double *out)
{
    return fill(user, name, t, out);
}

static bool give_weight(void *user, const Weight *w, double *out)
{
    return fill(user, w->path, &w->type, out);
}

/* Defined, and not so large that rounding shows. */
static bool tame(const Tensor *t)
{
    for (int64_t i = 0; i < t->count; i++)
        if (!(fabs(t->at[i]) < 1e4) ||
            (t->at[i] != 0 && fabs(t->at[i]) < 1e-6))
            return false;
    return true;
}

/* Elements so near that rounding decides which is the larger. */
static bool nearly_tie(const Tensor *a, const Tensor *b)
{
    for (int64_t i = 0; i < a->count; i++)
        for (int64_t j = 0; j < b->count; j++) {
            double d = fabs(a->at[i] - b->at[j]);
            if (d > 0 && d < 1e-9)
                return true;
        }
    return false;
}

static bool decided_by_rounding(const Node *n, Tensor **value)
{
    const Tensor *a = n->arg[0] ? value[n->arg[0]->id] : NULL;
    if (n->op == OP_topk)
        return nearly_tie(a, a);
    return (n->op == OP_lt || n->op == OP_eq) &&
           nearly_tie(a, value[n->arg[1]->id]);
}

/* good[id]: what the node is made of is tame too. Equal in real numbers says
 * nothing where 0 / 0 or infinity come in. */
static bool *tame_nodes(Kit *k, Tensor **value)
{
    bool *good = arena_alloc(&k->arena, (size_t)k->g->node.n);
    for (int i = 0; i < k->g->node.n; i++) {
        const Node *n = k->g->node.at[i];
        good[i] = (n->type.dtype == TYPE_i32 || tame(value[i])) &&
                  !decided_by_rounding(n, value);
        for (int j = 0; j < node_args(n); j++)
            good[i] &= good[n->arg[j]->id];
    }
    return good;
}

static void check(Pool *p, const Prover *prover, Term **term, Tensor **value,
                  int *same, int *missed)
{
    bool *good = tame_nodes(p->k, value);
    for (int a = 0; a < p->n; a++)
        for (int b = 0; b < a; b++) {
            double worst[2];
            int x = p->all[a]->id, y = p->all[b]->id;
            if (!good[x] || !good[y] ||
                types_align(&p->all[a]->type, &p->all[b]->type))
                continue;
            bool equal = tensors_differ(value[x], value[y], worst) < 1e-7;
            if (term[a] == term[b] && !equal)
                fail_msg("seed %llx: %d and %d are both %s, but %g, %g",
                         (unsigned long long)p->seed, a, b,
                         term_text((Prover *)prover, term[a]), worst[0],
                         worst[1]);
            *same += term[a] == term[b] && p->all[a] != p->all[b];
            *missed += term[a] != term[b] && equal;
        }
}

/* The graph made cheaper gives what it gave. */
static void check_simplified(Pool *p, const InterpEnv *env, Tensor **value)
{
    Kit *k = p->k;
    Tensor *now[8 * NODES];
    Err err;
    Graph *g = passes_run_one("rules", k->g, &k->arena,
                              &(PassOptions){.rules = k->rules});
    ir_verify(g, "simplify");
    if (!interp_run(g, env, &k->arena, now, &err))
        fail_msg("%s", err.text);
    bool *good = tame_nodes(k, value);
    for (int i = 0; i < k->g->node.n; i++) {
        double worst[2];
        if (good[i] && tensors_differ(value[i], now[i], worst) > 1e-7)
            fail_msg("seed %llx: node %d, %s, gives %g, simplified %g",
                     (unsigned long long)p->seed, i,
                     op_info[k->g->node.at[i]->op].name, worst[0], worst[1]);
    }
}

static void equal_terms_are_equal(void **state)
{
    (void)state;
    int same = 0, missed = 0;
    for (uint64_t seed = 0; seed < GRAPHS; seed++) {
        Kit *k = kit_new();
        Pool p;
        start(&p, k, seed);
        ProveEnv env = {.arena = &k->arena, .rules = k->rules};
        Prover prover;
        prover_init(&prover, &k->arena, &env);
        prover.quiet = seed % 2;
        Term *term[COUNT(p.all)];
        Tensor *value[8 * NODES];
        for (int i = 0; i < p.n; i++)
            term[i] = term_of_node(&prover, p.all[i]);
        for (int i = 0; i < k->g->node.n; i++)
            graph_output(k->g, intern_printf("%d", i), k->g->node.at[i]);
        InterpEnv run = {.T = 1, .exact = true, .user = &p, .seed = seed,
                         .input = give_input, .weight = give_weight};
        Err err;
        if (!interp_run(k->g, &run, &k->arena, value, &err))
            fail_msg("%s", err.text);
        check(&p, &prover, term, value, &same, &missed);
        check_simplified(&p, &run, value);
        kit_free(k);
    }
    print_message("%d pairs are one term; %d more are equal in numbers\n",
                  same, missed);
    assert_true(same > 500);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equal_terms_are_equal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
