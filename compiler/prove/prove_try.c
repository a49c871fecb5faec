/* Two nodes side by side on the interpreter: sizes, weights and inputs drawn
 * at random. */
#include "compiler/prove/term.h"
#include <math.h>
#include <string.h>

enum { MAX_SYMS = 32, TRIES = 300 };

typedef struct {
    const ProveEnv *env;
    Arena arena;
    uint64_t seed, drawn;
    int nsym;
    const char *sym[MAX_SYMS];
    bool whole[MAX_SYMS]; /* it is in the size of a dim */
    bool flag[MAX_SYMS];
    int kind; /* of what is in the leaves */
    double value[MAX_SYMS];
    int64_t T;
    bool many; /* many tokens, all else small */
    double small;     /* what all sizes are; 0: they differ */
    const Size *zero; /* this is to be 0; or NULL */
    Graph *g;
} Try;

/* ---- the unknowns ---- */

static void add_sym(Try *t, const char *name, bool whole)
{
    if (!strcmp(name, "T"))
        return;
    for (int i = 0; i < t->nsym; i++)
        if (t->sym[i] == name) {
            t->whole[i] |= whole;
            return;
        }
    if (t->nsym == MAX_SYMS)
        return;
    t->sym[t->nsym] = name;
    t->whole[t->nsym++] = whole;
}

static void add_flag(Try *t, const char *name)
{
    add_sym(t, name, false);
    for (int i = 0; i < t->nsym; i++)
        if (t->sym[i] == name)
            t->flag[i] = true;
}

static void add_whole(void *t, const char *sym)
{
    add_sym(t, sym, true);
}

static void add_number(void *t, const char *sym)
{
    add_sym(t, sym, false);
}

static void add_syms(Try *t, const Size *s, bool whole)
{
    if (s)
        size_symbols(s, whole ? add_whole : add_number, t);
}

/* The unknowns of dims are whole numbers, so are positions and windows. */
static void find_syms(Try *t, const Node *n, bool *seen)
{
    if (seen[n->id])
        return;
    seen[n->id] = true;
    if (n->op == OP_gather)
        add_syms(t, n->arg[1]->size, true);
    for (int i = 0; i < n->type.rank; i++)
        add_syms(t, n->type.dim[i]->size, true);
    for (int i = 0; i < n->ndim; i++)
        add_syms(t, n->dim[i]->size, true);
    add_syms(t, n->size, n->op == OP_attend);
    if (n->op == OP_flag && strcmp(n->name, "training"))
        add_flag(t, n->name);
    for (int i = 0; i < MAX_ARGS && n->arg[i]; i++)
        find_syms(t, n->arg[i], seen);
}

static double draw(Try *t)
{
    return random_uniform(t->seed, t->drawn++);
}

static const ProveEqual *equal_of(const ProveEnv *env, const char *sym)
{
    for (int i = 0; i < env->nequal; i++)
        if (!strcmp(env->equal[i].sym, sym))
            return &env->equal[i];
    return NULL;
}

static double default_of(const ProveEnv *env, const char *sym)
{
    for (int i = 0; i < env->nparam; i++)
        if (!strcmp(env->param[i].sym, sym))
            return env->param[i].value;
    return NAN;
}

static bool is_index(const ProveEnv *env, const char *sym)
{
    for (int i = 0; i < env->nparam; i++)
        if (env->param[i].index && !strcmp(env->param[i].sym, sym))
            return true;
    return false;
}

static double value_of(const Try *t, const Size *s)
{
    for (int i = 0; i < t->nsym; i++)
        s = size_subst(s, t->sym[i], size_num(t->value[i]));
    double v = NAN;
    size_is_num(s, &v);
    return v;
}

/* Numbers that are no sizes: of any sign, and 0. */
static double draw_number(Try *t)
{
    static const double some[] = {0, 1, -1, 2, -0.5, 3};
    double u = draw(t);
    return u < 0.4 ? some[(int)(u / 0.4 * (double)COUNT(some))]
                   : floor(16 * (0.1 + draw(t) * 0.8)) / 16;
}

static double draw_value(Try *t, int i, bool defaults)
{
    double d = default_of(t->env, t->sym[i]);
    if (t->flag[i])
        return draw(t) < 0.5;
    if (defaults && !isnan(d) && d <= 32)
        return d;
    if (is_index(t->env, t->sym[i]))
        return floor(6 * draw(t));
    if (t->small && t->whole[i])
        return t->small;
    if (t->whole[i] || (!isnan(d) && d == floor(d) && d > 1))
        return t->many ? floor(1 + draw(t) * 4) : floor(2 + draw(t) * 7);
    return defaults ? floor(16 * (0.1 + draw(t) * 0.8)) / 16 : draw_number(t);
}

static double zero_at(Try *t, int i, double v)
{
    t->value[i] = v;
    return value_of(t, t->zero);
}

/* Makes t->zero 0 by one of its unknowns; false if that is not found. */
static bool solve(Try *t)
{
    for (int n = 0, i = (int)(draw(t) * t->nsym); n < t->nsym; n++) {
        i = (i + 1) % t->nsym;
        if (!size_has(t->zero, t->sym[i]))
            continue;
        double was = t->value[i], b = zero_at(t, i, 0),
               a = zero_at(t, i, 1) - b;
        if (a != 0 && fabs(zero_at(t, i, 0 - b / a)) < 1e-12)
            return true;
        for (double v = 0; v < 9; v += 0.5)
            if (zero_at(t, i, v) == 0 || zero_at(t, i, -v) == 0)
                return true;
        t->value[i] = was;
    }
    return false;
}

static void draw_values(Try *t, bool defaults)
{
    const ProveEnv *env = t->env;
    for (int i = 0; i < t->nsym; i++)
        t->value[i] = draw_value(t, i, defaults);
    for (int round = 0; round < 2; round++)
        for (int i = 0; i < t->nsym; i++) {
            const ProveEqual *e = equal_of(env, t->sym[i]);
            double v = e ? value_of(t, e->is) : NAN;
            if (!isnan(v))
                t->value[i] = v;
        }
    t->T = (t->many ? 8 : 2) + (int64_t)(draw(t) * (t->many ? 8 : 4));
    if (t->small == 1)
        t->T = 1;
}

/* ---- are they values that the graph can run at? ---- */

static bool dim_fits(const Dim *d, int64_t T)
{
    double v = size_value(d->size, T);
    return v >= 1 && v == floor(v) && v < 4096;
}

static bool fits(const Graph *g, int64_t T)
{
    for (int i = 0; i < g->node.n; i++) {
        const Node *n = g->node.at[i];
        for (int j = 0; j < n->type.rank; j++)
            if (!dim_fits(n->type.dim[j], T))
                return false;
        if (n->op == OP_topk && size_value(n->dim[1]->size, T) >
                                    size_value(n->dim[0]->size, T))
            return false;
        if (type_count(&n->type, T) > 200000)
            return false;
    }
    return true;
}

static bool allowed(const Try *t)
{
    const ProveEnv *env = t->env;
    for (int i = 0; i < t->nsym; i++)
        if (is_index(env, t->sym[i]) &&
            (t->value[i] < 0 || t->value[i] != floor(t->value[i])))
            return false;
    for (int i = 0; i < env->nfact; i++) {
        double v = value_of(t, env->fact[i].size);
        SizeLow low = env->fact[i].low;
        if (v < low.at || (low.strict && v == low.at))
            return false;
    }
    return !env->allowed ||
           env->allowed(env->user, t->nsym, t->sym, t->value);
}

/* Sizes at which both can run. */
static bool find_instance(Try *t, Node *const *pair, bool defaults)
{
    for (int i = 0; i < TRIES; i++) {
        draw_values(t, defaults && i < TRIES / 3);
        if (i == TRIES / 10)
            t->small = 0;
        if ((t->zero && !solve(t)) || !allowed(t))
            continue;
        t->g = graph_at(&t->arena, 2, pair, t->nsym, t->sym, t->value,
                        TYPE_f32);
        if (t->g && fits(t->g, t->T))
            return true;
    }
    return false;
}

/* ---- leaves ---- */

/* Numbers of all sizes; often equal ones; weights that are 0. */
static double element(const Try *t, uint64_t key, uint64_t at, bool weight)
{
    switch (t->kind % 6) {
    case 2:  return floor(3 * random_uniform(key, at)) - 1;
    case 3:  return 30 * random_gaussian(key, at);
    case 4:  return weight ? 0 : random_gaussian(key, at);
    default: return random_gaussian(key, at);
    }
}

static void fill(const Try *t, const char *name, const Type *type, bool weight,
                 double *out)
{
    uint64_t key = random_key(t->seed, name);
    int64_t n = type_count(type, t->T);
    for (int64_t i = 0; i < n; i++) {
        uint64_t at = (uint64_t)i;
        if (type->index_of)
            out[i] = floor(random_uniform(key, at) *
                           size_value(type->index_of->size, t->T));
        else if (type->dtype == TYPE_bool)
            out[i] = random_uniform(key, at) < 0.5;
        else
            out[i] = element(t, key, at, weight);
    }
}

static bool give_input(void *user, const char *name, const Type *type,
                       double *out)
{
    fill(user, name, type, false, out);
    return true;
}

static bool give_weight(void *user, const Weight *w, double *out)
{
    fill(user, w->path ? w->path : "w", &w->type, true, out);
    return true;
}

/* ---- comparing ---- */

typedef struct {
    int rank;
    const Dim *dim[2 * MAX_RANK];
    int64_t size[2 * MAX_RANK], step[2][2 * MAX_RANK];
} Space;

static void add_type(Space *s, const Type *type, const Tensor *t, int which)
{
    int64_t step = 1;
    for (int i = type->rank - 1; i >= 0; i--) {
        int at = 0;
        while (at < s->rank && s->dim[at] != type->dim[i])
            at++;
        if (at == s->rank)
            s->rank++;
        s->dim[at] = type->dim[i];
        s->size[at] = t->shape[i];
        s->step[which][at] = step;
        step *= t->shape[i];
    }
}

bool types_align(const Type *a, const Type *b)
{
    bool foreign = false;
    if (a->rank != b->rank)
        return false;
    for (int i = 0; i < a->rank; i++) {
        if (a->dim[i] == b->dim[i])
            continue;
        if (a->dim[i]->size != b->dim[i]->size ||
            type_dim(b, a->dim[i]) >= 0 || type_dim(a, b->dim[i]) >= 0)
            return false;
        foreign = true;
    }
    return foreign;
}

static double largest_of(const Tensor *t)
{
    double m = 0;
    for (int64_t i = 0; i < t->count; i++)
        m = fmax(m, fabs(t->at[i]));
    return m;
}

typedef struct {
    double diff, scale, low, high;
    double worst[2]; /* where they differ most */
} Compared;

static void compare_at(double a, double b, Compared *c)
{
    if (isnan(a) && isnan(b))
        return;
    double d = a == b ? 0 : fabs(a - b) / c->scale;
    if (!(d <= c->diff)) {
        c->diff = isnan(d) ? INFINITY : d;
        c->worst[0] = a;
        c->worst[1] = b;
    }
    if (fabs(b) > 1e-3 * c->scale) {
        c->low = fmin(c->low, a / b);
        c->high = fmax(c->high, a / b);
    }
}

static Compared compare(const Tensor *a, const Tensor *b)
{
    Space s = {0};
    add_type(&s, &a->type, a, 0);
    add_type(&s, types_align(&a->type, &b->type) ? &a->type : &b->type, b, 1);
    int64_t total = 1;
    Compared c = {.scale = largest_of(b), .low = INFINITY, .high = -INFINITY};
    c.scale = c.scale > 0 ? c.scale : 1;
    for (int i = 0; i < s.rank; i++)
        total *= s.size[i];
    for (int64_t at = 0; at < total; at++) {
        int64_t rest = at, ia = 0, ib = 0;
        for (int i = 0; i < s.rank; i++) {
            ia += rest % s.size[i] * s.step[0][i];
            ib += rest % s.size[i] * s.step[1][i];
            rest /= s.size[i];
        }
        compare_at(a->at[ia], b->at[ib], &c);
    }
    return c;
}

double tensors_differ(const Tensor *a, const Tensor *b, double *worst)
{
    Compared c = compare(a, b);
    memcpy(worst, c.worst, sizeof c.worst);
    return c.diff;
}

static bool run(Try *t, Graph *g, bool exact, Tensor **out)
{
    int32_t pos[16];
    Err err;
    for (int i = 0; i < 16; i++)
        pos[i] = i;
    InterpEnv env = {.T = t->T, .pos = pos, .exact = exact,
                     .training = t->seed & 1, .seed = t->seed, .user = t,
                     .input = give_input, .weight = give_weight};
    return interp_run(g, &env, &t->arena, out, &err);
}

/* The same instance with bf16 leaves and results. */
static Graph *in_bf16(Try *t, Node *const *pair)
{
    Graph *g = graph_at(&t->arena, 2, pair, t->nsym, t->sym, t->value,
                        TYPE_bf16);
    for (int i = 0; g && i < 2; i++)
        if (type_is_float(g->output.at[i].node->type.dtype))
            g->output.at[i].node =
                g_cast(g, TYPE_bf16, g->output.at[i].node);
    return g;
}

static const char *describe(const Try *t, Arena *a)
{
    const char *text = arena_printf(a, "T = %d", (int)t->T);
    for (int i = t->nsym - 1; i >= 0; i--)
        text = arena_printf(a, "%s = %g, %s", t->sym[i], t->value[i], text);
    return text;
}

Trial prove_trial(const ProveEnv *env, Node *a, Node *b, const Size *zero,
                  uint64_t seed)
{
    Try t = {.env = env, .seed = random_key(seed, "proof") & ~1ull};
    Trial out = {.diff = {NAN, NAN, NAN}, .low = INFINITY, .high = -INFINITY};
    Node *pair[] = {a, b};
    Tensor *value[2];
    t.seed |= seed & 1;
    t.many = seed >= 4;
    t.kind = (int)seed;
    t.small = seed == 2 ? 1 : seed == 3 ? 2 : 0;
    t.zero = zero;
    int top = a->id > b->id ? a->id : b->id;
    bool *seen = arena_alloc(&t.arena, (size_t)top + 1);
    find_syms(&t, a, seen);
    find_syms(&t, b, seen);
    if (find_instance(&t, pair, seed < 2 && !zero) &&
        run(&t, t.g, true, value)) {
        out.ran = true;
        Compared c = compare(value[0], value[1]);
        out.ran = !(isinf(c.diff) && t.kind % 6 == 3); /* too large to say */
        out.diff[0] = c.diff;
        out.low = c.low;
        out.high = c.high;
        out.instance = describe(&t, env->arena);
        bool measure = seed < 2 || out.diff[0] > 1e-7;
        if (measure && run(&t, t.g, false, value))
            out.diff[1] = compare(value[0], value[1]).diff;
        Graph *half = measure ? in_bf16(&t, pair) : NULL;
        if (half && run(&t, half, false, value))
            out.diff[2] = compare(value[0], value[1]).diff;
    }
    arena_free(&t.arena);
    return out;
}
