/* What printing, reading and verifying share: a rope's fields by name, types
 * that are the same, the nodes of a formula. */
#include "compiler/graph/ir.h"

const RopeField rope_field[ROPE_FIELDS] = {
    {"theta", offsetof(Rope, theta)},
    {"pairs", offsetof(Rope, pairs)},
    {"back", offsetof(Rope, back)},
    {"factor", offsetof(Rope, factor)},
    {"low", offsetof(Rope, low)},
    {"high", offsetof(Rope, high)},
    {"original", offsetof(Rope, original)},
    {"beta_fast", offsetof(Rope, beta_fast)},
    {"beta_slow", offsetof(Rope, beta_slow)},
    {"attention", offsetof(Rope, attention)},
    {"uncut", offsetof(Rope, uncut)},
    {"length", offsetof(Rope, length)},
};

const char *const rope_kind[6] = {"default", "linear",  "llama3",
                                  "yarn",    "dynamic", "longrope"};

const char *ir_node_name(const Node *n)
{
    return n->label ? n->label : intern_printf("%%%d", n->id);
}

bool same_shape(const Type *a, const Type *b)
{
    if (a->dtype != b->dtype || a->rank != b->rank)
        return false;
    for (int i = 0; i < a->rank; i++)
        if (a->dim[i]->size != b->dim[i]->size)
            return false;
    return true;
}

/* Arguments have smaller ids, so this sorts as it inserts. */
void formula_of(Arena *a, const Node *value, Formula *out)
{
    int at = 0;
    while (at < out->n && out->at[at]->id < value->id)
        at++;
    if (at < out->n && out->at[at] == value)
        return;
    list_push(a, out, value);
    for (int i = out->n - 1; i > at; i--)
        out->at[i] = out->at[i - 1];
    out->at[at] = value;
    for (int i = 0; i < node_args(value); i++)
        formula_of(a, value->arg[i], out);
}
