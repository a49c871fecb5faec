/* Trees of a kernel's text: read along the graph, so that every op, argument
 * and dim is held against the node it stands for. */
#include "passes/kernels/read.h"
#include <ctype.h>
#include <string.h>

char read_ahead(const PlanReader *r)
{
    const char *s = r->ir.src->text + r->ir.at;
    while (isspace((unsigned char)*s))
        s++;
    return *s;
}

Node *read_node(PlanReader *r)
{
    return ir_known(&r->ir, r->node, "node");
}

const char *read_name_of(const PlanReader *r, const Node *n)
{
    for (int i = 0; i < r->node->n; i++)
        if (r->node->at[i].is == n)
            return r->node->at[i].name;
    BUG("a node without a name");
}

int read_some_dims(PlanReader *r, const Dim **d)
{
    return ir_want(&r->ir, '[') ? ir_dims(&r->ir, d) : 0;
}

void read_these_dims(PlanReader *r, int n, const Dim *const *d)
{
    const Dim *got[MAX_RANK];
    Loc loc = r->ir.now.loc;
    bool same = read_some_dims(r, got) == n;
    char text[512] = "";
    for (int i = 0; i < n; i++) {
        same = same && got[i] == d[i];
        snprintf(text + strlen(text), sizeof text - strlen(text), "%s%.40s",
                 i ? ", " : "", d[i]->name);
    }
    if (!same && !r->ir.failed)
        ir_mistake(&r->ir, loc, "needs [%s], as the graph has it", text);
}

/* ---- the ways a node may stand in a tree ---- */

/* <n>; that the kernel has this product is checked at its end. */
static void read_hole(PlanReader *r, Node *n)
{
    Loc loc = r->ir.now.loc;
    Node *named = read_node(r);
    if (!ir_want(&r->ir, '>'))
        return;
    if (named != n)
        ir_mistake(&r->ir, loc, "needs <%s> here, as the graph has it",
                   read_name_of(r, n));
    r->seen[n->id] |= SEEN_hole;
    r->where[n->id] = loc;
}

static void read_named(PlanReader *r, Node *n, bool root)
{
    Loc loc = r->ir.now.loc;
    const char *name = ir_name(&r->ir, false, "a node or its tree");
    if (r->ir.failed)
        return;
    if (ir_find(r->node, name) != n)
        ir_mistake(&r->ir, loc, "needs %s here or its tree, found %s",
                   read_name_of(r, n), name);
    else if (root && node_kind(n) != NODE_leaf)
        ir_mistake(&r->ir, loc, "needs the tree of %s: what it is made of",
                   name);
    if (!(r->seen[n->id] & (SEEN_hole | SEEN_named)))
        r->where[n->id] = loc;
    r->seen[n->id] |= SEEN_named;
}

static void read_number(PlanReader *r, const Node *n)
{
    Loc loc = r->ir.now.loc;
    double v = ir_number(&r->ir);
    if (r->ir.failed || !memcmp(&v, &n->num, sizeof v) || v == n->num)
        return;
    char want[64] = "";
    FILE *out = fmemopen(want, sizeof want - 1, "w");
    ir_print_number(out, n->num);
    fclose(out);
    ir_mistake(&r->ir, loc, "needs %s, as the graph has it", want);
}

static void read_scalar(PlanReader *r, const Node *n)
{
    Loc loc = r->ir.now.loc;
    const Size *size = ir_size(&r->ir);
    if (!r->ir.failed && size != n->size)
        ir_mistake(&r->ir, loc, "needs %s, as the graph has it",
                   size_text(n->size));
}

/* op(arguments, [dims]) */
static void read_spelled(PlanReader *r, Node *n)
{
    IrReader *ir = &r->ir;
    Loc loc = ir->now.loc;
    const char *op = ir_name(ir, false, "an op"), *own = op_info[n->op].name;
    if (strcmp(op, own) || node_kind(n) == NODE_leaf) {
        ir_mistake(ir, loc, "needs %s here%s%s%s, found %s", read_name_of(r, n),
                   node_kind(n) == NODE_leaf ? "" : " or ",
                   node_kind(n) == NODE_leaf ? "" : own,
                   node_kind(n) == NODE_leaf ? "" : "(..)", op);
        return;
    }
    r->seen[n->id] |= SEEN_spelled;
    ir_want(ir, '(');
    bool more = false;
    for (int i = 0; i < node_args(n) && !ir->failed; i++) {
        if (more)
            ir_want(ir, ',');
        read_tree(r, n->arg[i], false);
        more = true;
    }
    if (n->op == OP_scalar)
        read_scalar(r, n);
    if (n->ndim) {
        if (more)
            ir_want(ir, ',');
        read_these_dims(r, n->ndim, n->dim);
    }
    ir_want(ir, ')');
}

void read_tree(PlanReader *r, Node *n, bool root)
{
    IrReader *ir = &r->ir;
    bool word = ir->now.kind == TOKEN_word;
    if (ir->failed)
        return;
    if (ir_sign(ir, '<'))
        read_hole(r, n);
    else if (word && read_ahead(r) == '(')
        read_spelled(r, n);
    else if (n->op == OP_number &&
             (!word || ir_at_word(ir, "inf") || ir_at_word(ir, "nan")))
        read_number(r, n);
    else
        read_named(r, n, root);
}
