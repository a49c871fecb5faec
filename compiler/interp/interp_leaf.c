/* The interpreter's leaves: what a graph is given, numbers, draws. */
#include "compiler/interp/interp_run.h"
#include <string.h>

bool run_input(Run *r, const Node *n, const Operand *in, Tensor *out)
{
    (void)in;
    for (int i = 0; i < r->ngiven; i++) {
        if (strcmp(n->name, r->given[i].name))
            continue;
        if (r->given[i].count != out->count)
            BUG("a body's %s has %lld elements, is given %lld", n->name,
                (long long)out->count, (long long)r->given[i].count);
        memcpy(out->at, r->given[i].at, (size_t)out->count * sizeof *out->at);
        return true;
    }
    if (!r->env->input)
        return err_set(r->err, "input %s is not given", n->name);
    return r->env->input(r->env->user, n->name, &n->type, out->at);
}

bool run_weight(Run *r, const Node *n, const Operand *in, Tensor *out)
{
    (void)in;
    const Weight *w = node_weight(n, r->pass);
    if (!r->env->weight)
        return err_set(r->err, "weight %s is not given", w->path);
    if (type_count(&w->type, r->env->T) != out->count)
        BUG("%s has %lld elements, its node %lld", w->path,
            (long long)type_count(&w->type, r->env->T), (long long)out->count);
    return r->env->weight(r->env->user, w, out->at);
}

bool run_number(Run *r, const Node *n, const Operand *in, Tensor *out)
{
    (void)r, (void)in;
    out->at[0] = n->num;
    return true;
}

bool run_scalar(Run *r, const Node *n, const Operand *in, Tensor *out)
{
    (void)in;
    out->at[0] = size_value(n->size, r->env->T);
    return true;
}

bool run_flag(Run *r, const Node *n, const Operand *in, Tensor *out)
{
    (void)in;
    if (strcmp(n->name, "training"))
        return err_set(r->err, "flag %s is not known", n->name);
    out->at[0] = r->env->training;
    return true;
}

bool run_iota(Run *r, const Node *n, const Operand *in, Tensor *out)
{
    (void)r, (void)n, (void)in;
    for (int64_t i = 0; i < out->count; i++)
        out->at[i] = (double)i;
    return true;
}

bool run_position(Run *r, const Node *n, const Operand *in, Tensor *out)
{
    (void)in;
    int64_t last = INT64_MAX;
    if (n->type.index_of)
        last = size_at(n->type.index_of->size, r->env->T) - 1;
    for (int64_t i = 0; i < out->count; i++) {
        int64_t at = sequence_position(r->env, i);
        out->at[i] = (double)(at < last ? at : last);
    }
    return true;
}

bool run_shuffle(Run *r, const Node *n, const Operand *in, Tensor *out)
{
    (void)in;
    int *p = xmalloc((size_t)out->count * sizeof *p + 1);
    random_shuffle(random_draw_key(n, r->env->seed, r->place), (int)out->count,
                   p);
    for (int64_t i = 0; i < out->count; i++)
        out->at[i] = p[i];
    free(p);
    return true;
}

bool run_draw(Run *r, const Node *n, const Operand *in, Tensor *out)
{
    (void)in;
    uint64_t key = random_draw_key(n, r->env->seed, r->place);
    RandomCount c = random_count(&n->type, r->env->T, r->env->before);
    for (int64_t i = 0; i < out->count; i++) {
        uint64_t at = random_counter(&c, i);
        out->at[i] = n->op == OP_uniform ? random_uniform(key, at)
                                         : random_gaussian(key, at);
    }
    return true;
}
