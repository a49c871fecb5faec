/* What always holds of a plan. No mark or list that the cut left behind is
 * believed: levels, reads and packs are held against the graph. */
#include "passes/kernels/verify.h"
#include <ctype.h>
#include <string.h>

bool verify_refuse(Verify *v, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(v->c->rule, sizeof v->c->rule, fmt, ap);
    va_end(ap);
    v->c->kernel = v->k;
    return false;
}

const char *verify_name(const Node *n)
{
    return n->label ? n->label : intern_printf("%%%d", n->id);
}

/* ---- names ---- */

/* gr_WORD_NUMBER: so no kernel is called as a part of another is. */
static bool name_fits(const char *s)
{
    size_t n = strlen(s);
    for (size_t i = 0; i < n; i++)
        if (!isalnum((unsigned char)s[i]) && s[i] != '_')
            return false;
    return n > 3 && n < 128 && !strncmp(s, "gr_", 3) &&
           isdigit((unsigned char)s[n - 1]);
}

static bool names_hold(Verify *v, const Plan *p)
{
    for (int i = 0; i < p->kernel.n; i++) {
        v->k = p->kernel.at[i];
        if (!name_fits(v->k->name))
            return verify_refuse(v, "a kernel's name is gr_WORD_NUMBER");
        for (int j = 0; j < v->name.n; j++)
            if (!strcmp(v->name.at[j], v->k->name))
                return verify_refuse(v, "two kernels have this name");
        list_push(&v->arena, &v->name, v->k->name);
    }
    return true;
}

/* ---- buffers ---- */

enum { MOST = 1 << 30 }; /* elements of a dim; and 2^40 of a buffer */

static bool size_fits(const Size *s, double *at_one)
{
    double x;
    return size_is_num(size_subst(s, "T", size_num(1)), at_one) &&
           size_is_num(size_subst(s, "T", size_num(1000)), &x) &&
           *at_one >= 0 && *at_one <= MOST && x >= 0 &&
           x <= 1000.0 * MOST && *at_one == (double)(int64_t)*at_one;
}

static bool buffer_fits(Verify *v, const Buffer *b)
{
    double count = 1, size;
    for (int i = 0; i < b->type.rank; i++) {
        const Dim *d = b->type.dim[i];
        if (!size_fits(d->size, &size) || (count *= size) > 1e12)
            return verify_refuse(v, "dim %s has %s elements: too many, or "
                                 "known too late", d->name,
                                 size_text(d->size));
    }
    return true;
}

/* The level that wrote b; -1: nobody has. */
static int written_at(const Verify *v, const Buffer *b)
{
    for (int i = 0; i < v->written.n; i++)
        if (v->written.at[i].b == b)
            return v->written.at[i].level;
    return -1;
}

static bool reads_hold(Verify *v)
{
    const Kernel *k = v->k;
    if (k->nin > KERNEL_ARGS && k->skeleton != SKEL_repeat)
        return verify_refuse(v, "reads %d buffers, of at most %d", k->nin,
                             KERNEL_ARGS);
    for (int i = 0; i < k->nin; i++) {
        const Buffer *b = k->in[i];
        bool made = b->kind == BUF_value || b->kind == BUF_output ||
                    b->kind == BUF_route || b->kind == BUF_panels;
        int at = made ? written_at(v, b) : -1;
        if (!buffer_fits(v, b))
            return false;
        if (made && at < 0)
            return verify_refuse(v, "reads %s%s, which no kernel before it "
                                 "writes", b->kind == BUF_route
                                               ? "the route of " : "",
                                 verify_name(b->node));
        if (made && at >= k->level)
            return verify_refuse(v, "reads %s, which is written at level %d",
                                 verify_name(b->node), at);
    }
    return true;
}

static bool writes_hold(Verify *v)
{
    const Kernel *k = v->k;
    if (k->nout < 1 ||
        (k->nout > KERNEL_ARGS && k->skeleton != SKEL_repeat))
        return verify_refuse(v, "writes %d buffers", k->nout);
    for (int i = 0; i < k->nout; i++) {
        Buffer *b = k->out[i];
        if (!b->node || (b->kind != BUF_value && b->kind != BUF_output &&
                         b->kind != BUF_route && b->kind != BUF_panels))
            return verify_refuse(v, "writes what no kernel may");
        if (!buffer_fits(v, b))
            return false;
        if (written_at(v, b) >= 0)
            return verify_refuse(v, "writes %s again", verify_name(b->node));
        list_push(&v->arena, &v->written, ((struct Written){b, k->level}));
    }
    return true;
}

static bool level_holds(Verify *v, const Kernel *last)
{
    const Kernel *k = v->k;
    if (k->level < (last ? last->level : 0))
        return verify_refuse(v, "stands at level %d, behind level %d",
                             k->level, last ? last->level : 0);
    if (last && k->level == last->level &&
        (k->skeleton == SKEL_repeat || last->skeleton == SKEL_repeat))
        return verify_refuse(v, "a repeat has a level of its own");
    return true;
}

/* ---- plans ---- */

static bool outputs_hold(Verify *v)
{
    v->k = NULL;
    for (int i = 0; i < v->plan->graph->output.n; i++) {
        const struct Output *o = &v->plan->graph->output.at[i];
        bool made = false;
        for (int j = 0; j < v->written.n; j++)
            made |= v->written.at[j].b->kind == BUF_output &&
                    v->written.at[j].b->node == o->node;
        if (!made)
            return verify_refuse(v, "%s: no kernel makes the output %s",
                                 v->plan->graph->name, o->name);
    }
    return true;
}

static bool plan_holds(Verify *v, const Plan *p, const Graph *top)
{
    for (int i = 0; i < p->body.n; i++)
        if (!plan_holds(v, p->body.at[i], p->graph))
            return false;
    if (!names_hold(v, p))
        return false;
    v->plan = p;
    v->top = top;
    v->written.n = 0;
    size_t n = (size_t)p->graph->node.n + 1;
    v->in = arena_alloc(&v->arena, n);
    v->turns = arena_alloc(&v->arena, n * sizeof *v->turns);
    v->moved = arena_alloc(&v->arena, n * sizeof *v->moved);
    for (int i = 0; i < p->kernel.n; i++) {
        v->k = p->kernel.at[i];
        if (!level_holds(v, i ? p->kernel.at[i - 1] : NULL) ||
            !reads_hold(v) || !writes_hold(v) || !verify_kernel(v))
            return false;
    }
    return outputs_hold(v);
}

bool kernels_hold(const Plan *p, PlanComplaint *c)
{
    Verify v = {.c = c};
    bool holds = plan_holds(&v, p, NULL);
    arena_free(&v.arena);
    return holds;
}

void kernels_verify(const Plan *p, const char *after)
{
    PlanComplaint c = {0};
    if (!kernels_hold(p, &c))
        BUG("after %s: %s: %s%s%s", after, p->name,
            c.kernel ? c.kernel->name : "", c.kernel ? ": " : "", c.rule);
}
