/* Which attributes each op reads: what is printed of a node, and what must be
 * there or must not. */
#include "compiler/graph/ir.h"

const IrAttrs ir_attrs[OP_COUNT] = {
    [OP_input] = {HAS_name, 0, 0},
    [OP_weight] = {HAS_weight, 0, 0},
    [OP_learned] = {HAS_weight, 0, 0},
    [OP_number] = {HAS_num, 0, 0},
    [OP_scalar] = {HAS_size, 0, 0},
    [OP_flag] = {HAS_name, 0, 0},
    [OP_iota] = {0, 1, 1},
    [OP_position] = {0, 1, 1},
    [OP_shuffle] = {HAS_num | HAS_title, 1, 1},
    [OP_uniform] = {HAS_num | HAS_name, 0, 0},
    [OP_gaussian] = {HAS_num | HAS_name, 0, 0},
    [OP_cast] = {HAS_num, 0, 0},
    [OP_sum] = {0, 0, MAX_RANK},
    [OP_max] = {0, 0, MAX_RANK},
    [OP_softmax] = {0, 0, MAX_RANK},
    [OP_logsumexp] = {0, 0, MAX_RANK},
    [OP_topk] = {0, 2, 2},
    [OP_largest] = {0, 0, MAX_RANK},
    [OP_cumsum] = {0, 1, 1},
    [OP_rank] = {0, 0, MAX_RANK},
    [OP_onehot] = {0, 1, 1},
    [OP_contract] = {0, 0, MAX_RANK},
    [OP_gather] = {0, 1, 1},
    [OP_scatter] = {0, 1, 1},
    [OP_expand] = {0, 0, MAX_RANK},
    [OP_order] = {0, 0, MAX_RANK},
    [OP_flatten] = {0, 2, MAX_RANK},
    [OP_split] = {0, 2, MAX_RANK},
    [OP_slice] = {HAS_num, 1, 1},
    [OP_cut] = {HAS_size, 2, 2},
    [OP_join] = {0, 3, 3},
    [OP_rename] = {0, 2, 2},
    [OP_attend] = {HAS_window | HAS_cap | HAS_title, 0, 0},
    [OP_attend_sink] = {HAS_window | HAS_cap | HAS_title, 0, 0},
    [OP_attend_slope] = {HAS_window | HAS_cap | HAS_title, 0, 0},
    [OP_attend_bias] = {HAS_window | HAS_cap | HAS_title, 0, 0},
    [OP_rope] = {HAS_rope, 0, 0},
    [OP_repeat] = {HAS_repeat, 0, 0},
};

const RopeField rope_field[ROPE_FIELDS] = {
    {"theta", offsetof(Rope, theta)},
    {"pairs", offsetof(Rope, pairs)},
    {"factor", offsetof(Rope, factor)},
    {"low", offsetof(Rope, low)},
    {"high", offsetof(Rope, high)},
    {"original", offsetof(Rope, original)},
    {"beta_fast", offsetof(Rope, beta_fast)},
    {"beta_slow", offsetof(Rope, beta_slow)},
    {"attention", offsetof(Rope, attention)},
};

const char *const rope_kind[4] = {"default", "linear", "llama3", "yarn"};

const char *ir_node_name(const Node *n)
{
    return n->label ? n->label : intern_printf("%%%d", n->id);
}

bool same_type(const Type *a, const Type *b)
{
    if (a->dtype != b->dtype || a->index_of != b->index_of ||
        a->rank != b->rank)
        return false;
    for (int i = 0; i < a->rank; i++)
        if (a->dim[i] != b->dim[i])
            return false;
    return true;
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
    for (int i = 0; i < op_info[value->op].nargs; i++)
        formula_of(a, value->arg[i], out);
}
