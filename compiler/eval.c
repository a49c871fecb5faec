/* Expressions and statements: values of a scope, nodes of its graph. */
#include "compiler/elab.h"
#include <math.h>
#include <string.h>

const char *dims_text(const Type *t)
{
    Type plain = *t;
    const char *text = type_text(&plain), *open = strchr(text, '[');
    return open ? open : "a number";
}

bool is_lifted(const Scope *s, const Dim *d)
{
    for (int i = 0; i < s->nlifted; i++)
        if (s->lifted[i] == d)
            return true;
    return false;
}

Node *as_node(Scope *s, Val v, Dtype t, const Ast *at)
{
    if (v.kind == V_node)
        return v.node;
    if (v.kind == V_size)
        return g_scalar(s->g, type_is_float(t) ? t : TYPE_f32, v.size);
    if (v.kind == V_bool)
        return graph_add(s->g, (Node){.op = OP_number, .type.dtype = TYPE_bool,
                                      .num = v.truth});
    if (v.kind != V_error)
        error_at(at->src, at->loc, "a tensor or a number is needed, this is %s",
                 val_text(&v));
    return NULL;
}

Node *eval_node(Scope *s, const Ast *e)
{
    return as_node(s, eval(s, e), TYPE_f32, e);
}

bool eval_size(Scope *s, const Ast *e, const Size **out)
{
    Val v = eval(s, e);
    if (v.kind == V_size) {
        *out = v.size;
        return true;
    }
    if (v.kind != V_error)
        error_at(e->src, e->loc, "a size is needed, this is %s", val_text(&v));
    return false;
}

/* ---- names ---- */

static Val part_value(Part *p)
{
    if (p->array)
        return (Val){.kind = V_part, .part = p};
    return (Val){.kind = V_inst, .inst = p->inst[0]};
}

static Val member_of(Scope *s, Inst *inst, const char *name)
{
    Slot *slot = inst_slot(inst, name);
    if (slot)
        return val_node(weight_node(s, slot));
    Part *part = inst_part(inst, name);
    if (part)
        return part_value(part);
    Val *param = names_find(&inst->param, name);
    return param ? *param : (Val){.kind = V_list, .nlist = -1};
}

static bool found(const Val *v)
{
    return v->kind != V_list || v->nlist >= 0;
}

/* `input cluster[T]: C` of the module: a further column of the data. */
static bool input_column(Scope *s, const char *name, Val *out)
{
    for (int i = 0; i < s->inst->def->nkid; i++) {
        const Ast *in = s->inst->def->kid[i];
        if (!in || in->kind != AST_input || strcmp(in->text, name))
            continue;
        Node n = {.op = OP_input, .name = name, .label = name};
        const Dim *of = in->kid[1] ? find_dim(s, in->kid[1]->text) : NULL;
        n.type.dtype = in->kid[1] ? TYPE_i32 : TYPE_f32;
        n.type.index_of = of;
        *out = val_error;
        if (in->kid[1] && !of)
            error_at(in->src, in->kid[1]->loc, "no dim `%s` here",
                     in->kid[1]->text);
        else if (read_dims(s, in->kid[0], &n.type))
            *out = val_node(graph_add(s->g, n));
        return true;
    }
    return false;
}

static Val flag(Scope *s, const char *name)
{
    Node n = {.op = OP_flag, .type.dtype = TYPE_bool, .name = intern(name)};
    return val_node(graph_add(s->g, n));
}

static bool constant(const char *name, Val *v)
{
    if (!strcmp(name, "true") || !strcmp(name, "false"))
        *v = val_bool(*name == 't');
    else if (!strcmp(name, "none"))
        *v = (Val){.kind = V_none};
    else if (!strcmp(name, "pi"))
        *v = val_size(size_num(M_PI));
    else if (!strcmp(name, "zeros") || !strcmp(name, "ones"))
        *v = val_size(size_num(*name == 'o'));
    else
        return false;
    return true;
}

static const char *name_near(Scope *s, const char *name)
{
    const char *names[256];
    int n = 0;
    for (int i = 0; i < s->local.n && n < 100; i++)
        names[n++] = s->local.at[i].name;
    for (int i = 0; s->inst && i < s->inst->param.n && n < 150; i++)
        names[n++] = s->inst->param.at[i].name;
    for (int i = 0; s->inst && i < s->inst->slot.n && n < 200; i++)
        names[n++] = s->inst->slot.at[i].name;
    for (int i = 0; s->inst && i < s->inst->part.n && n < 250; i++)
        names[n++] = s->inst->part.at[i].name;
    return nearest(name, names, n);
}

static Val unknown_name(Scope *s, const Ast *e)
{
    const char *near = name_near(s, e->text);
    if (is_builtin(e->text))
        error_at(e->src, e->loc, "`%s` is a function: it wants arguments",
                 e->text);
    else
        error_at(e->src, e->loc, "nothing is called `%s` here%s%s%s", e->text,
                 near ? " (did you mean `" : "", near ? near : "",
                 near ? "`?)" : "");
    return val_error;
}

static Val eval_name(Scope *s, const Ast *e)
{
    Val *v = names_find(&s->local, e->text), c;
    if (!v)
        v = names_find(&s->dims, e->text);
    if (v)
        return *v;
    if (s->each && !strcmp(e->text, s->each_name))
        return s->each_from ? val_node(weight_node(s, s->each))
                            : val_error;
    if (s->inst) {
        c = member_of(s, s->inst, e->text);
        if (found(&c) || input_column(s, e->text, &c))
            return c;
    }
    if (!strcmp(e->text, "T"))
        return (Val){.kind = V_size, .size = dim_T()->size, .dim = dim_T()};
    if (!strcmp(e->text, "training"))
        return flag(s, "training");
    return constant(e->text, &c) ? c : unknown_name(s, e);
}

static bool has_stat(const Ast *a, const char *name)
{
    if (!a)
        return false;
    if (a->kind == AST_stat && !strcmp(a->text, name))
        return true;
    for (int i = 0; i < a->nkid; i++)
        if (has_stat(a->kid[i], name))
            return true;
    return false;
}

/* `moe.usage`: what `stat usage` of the module came to when it was observed. */
static bool observed(Scope *s, const Ast *e, Inst *inst, Val *out)
{
    if (!has_stat(inst_forward(inst), e->text))
        return false;
    Graph *g = graph_new(s->model->arena, "stat");
    const char *name = intern_printf("stat.%s", e->text);
    forward_node(s->model, g, inst, NULL, true);
    Node *stat = graph_find_output(g, name);
    *out = val_error;
    if (!stat)
        return true;
    Weight *w = arena_alloc(s->model->arena, sizeof *w);
    w->path = join_path(inst->path, e->text);
    w->file = w->path;
    w->type = stat->type;
    w->type.dtype = TYPE_f32;
    w->other = intern("observe");
    Node n = {.op = OP_weight, .type = w->type, .weight = others_same(s, w)};
    *out = val_node(graph_add(s->g, n));
    return true;
}

static Val no_member(Scope *s, const Ast *e, const Inst *inst)
{
    (void)s;
    const char *near = inst_nearest(inst, e->text);
    error_at(e->src, e->name_loc, "`%s` has no part or weight `%s`%s%s%s",
             inst->def->text, e->text, near ? " (did you mean `" : "",
             near ? near : "", near ? "`?)" : "");
    return val_error;
}

static Val eval_dot(Scope *s, const Ast *e)
{
    Val base = eval(s, e->kid[0]);
    Inst *inst = base.kind == V_inst   ? base.inst
                 : base.kind == V_part ? base.part->inst[0]
                                       : NULL;
    if (base.kind == V_models)
        return others_member(s, base, e);
    if (!inst) {
        if (base.kind != V_error)
            error_at(e->src, e->name_loc, "`.%s` of %s: only modules have parts",
                     e->text, val_text(&base));
        return val_error;
    }
    Val v = member_of(s, inst, e->text);
    if (!found(&v) && s->each && !strcmp(e->text, s->each_name)) {
        Slot *slot = inst_slot(inst, s->each->name);
        if (slot)
            return val_node(weight_node(s, slot));
        error_at(e->src, e->name_loc, "`%s` has no weight `%s`",
                 inst->def->text, s->each->name);
        return val_error;
    }
    return found(&v) || observed(s, e, inst, &v) ? v
                                                  : no_member(s, e, inst);
}

/* ---- operators ---- */

static Val size_op(const char *op, const Size *a, const Size *b)
{
    switch (*op) {
    case '+': return val_size(size_add(a, b));
    case '-': return val_size(size_sub(a, b));
    case '*': return val_size(size_mul(a, b));
    case '/': return val_size(size_div(a, b));
    case '%': return val_size(size_mod(a, b));
    default:  return val_size(size_pow(a, b));
    }
}

static bool compare(const char *op, double a, double b)
{
    if (!strcmp(op, "=="))
        return a == b;
    if (!strcmp(op, "!="))
        return a != b;
    if (!strcmp(op, "<"))
        return a < b;
    if (!strcmp(op, "<="))
        return a <= b;
    return !strcmp(op, ">") ? a > b : a >= b;
}

/* All dims of `a`, but those that the module does not see, are b's too. */
static bool within(const Scope *s, const Type *a, const Type *b)
{
    for (int i = 0; i < a->rank; i++)
        if (type_dim(b, a->dim[i]) < 0 && !is_lifted(s, a->dim[i]))
            return false;
    return true;
}

/* Two dims of one name that are not the same: their sizes for a message. */
static const char *clash(const Type *a, const Type *b)
{
    for (int i = 0; i < a->rank; i++)
        for (int j = 0; j < b->rank; j++)
            if (a->dim[i] != b->dim[j] && type_dim(b, a->dim[i]) < 0 &&
                !strcmp(a->dim[i]->name, b->dim[j]->name))
                return intern_printf("\ntheir `%s` are two dims: one is %s, "
                                     "the other %s",
                                     a->dim[i]->name,
                                     size_text(a->dim[i]->size),
                                     size_text(b->dim[j]->size));
    return "";
}

Node *elementwise(Scope *s, Op op, Node *a, Node *b, const Ast *at)
{
    if (!a || !b)
        return NULL;
    const Type *x = &a->type, *y = &b->type;
    if (!within(s, x, y) && !within(s, y, x)) {
        error_at(at->src, at->loc,
                 "one side must have all dims of the other, these are %s and "
                 "%s%s",
                 dims_text(x), dims_text(y), clash(x, y));
        return NULL;
    }
    return g_map2(s->g, op, a, b);
}

static Node *matmul(Scope *s, Node *a, Node *b, const Ast *at)
{
    const Type *x = &a->type, *y = &b->type;
    const Dim *dim[MAX_RANK];
    int n = 0;
    while (n < x->rank && n < y->rank &&
           x->dim[x->rank - 1 - n] == y->dim[y->rank - 1 - n] &&
           !is_lifted(s, x->dim[x->rank - 1 - n]))
        n++;
    for (int i = 0; i < n; i++)
        dim[i] = x->dim[x->rank - n + i];
    if (!n) {
        error_at(at->src, at->loc,
                 "`@` sums over the dims that both sides end with, and %s and "
                 "%s share none there%s",
                 dims_text(x), dims_text(y), clash(x, y));
        return NULL;
    }
    return g_contract(s->g, a, b, n, dim);
}

static const struct {
    const char *text;
    Op op;
} operators[] = {{"+", OP_add}, {"-", OP_sub},  {"*", OP_mul}, {"/", OP_div},
                 {"^", OP_pow}, {"==", OP_eq},  {"!=", OP_ne}, {"<", OP_lt},
                 {"<=", OP_le}, {">", OP_gt},   {">=", OP_ge}, {"and", OP_and},
                 {"or", OP_or}};

static Val node_op(Scope *s, const Ast *e, Val l, Val r)
{
    Dtype t = l.kind == V_node   ? l.node->type.dtype
              : r.kind == V_node ? r.node->type.dtype
                                 : TYPE_f32;
    Node *a = as_node(s, l, t, e->kid[0]), *b = as_node(s, r, t, e->kid[1]);
    double two;
    if (!a || !b)
        return val_error;
    if (!strcmp(e->text, "@"))
        return val_node(matmul(s, a, b, e));
    if (!strcmp(e->text, "^") && r.kind == V_size &&
        size_is_num(r.size, &two) && two == 2)
        return val_node(g_map2(s->g, OP_mul, a, a));
    for (size_t i = 0; i < COUNT(operators); i++)
        if (!strcmp(operators[i].text, e->text))
            return val_node(elementwise(s, operators[i].op, a, b, e));
    error_at(e->src, e->loc, "`%s` works on sizes, not on tensors", e->text);
    return val_error;
}

/* == and != of what is no number: "silu", none, true. */
static bool plain_equal(const Val *a, const Val *b)
{
    if (a->kind != b->kind)
        return false;
    if (a->kind == V_string)
        return !strcmp(a->string, b->string);
    return a->kind == V_bool ? a->truth == b->truth : a->kind == V_none;
}

static bool is_plain(const Val *v)
{
    return v->kind == V_string || v->kind == V_none || v->kind == V_bool ||
           v->kind == V_json;
}

static Val eval_logic(Scope *s, const Ast *e)
{
    bool is_and = !strcmp(e->text, "and");
    Val l = eval(s, e->kid[0]);
    if (l.kind == V_bool && l.truth != is_and)
        return l;
    Val r = eval(s, e->kid[1]);
    if (l.kind == V_error || r.kind == V_error)
        return val_error;
    if (l.kind == V_bool)
        return r;
    if (r.kind == V_bool)
        return r.truth == is_and ? l : r;
    return node_op(s, e, l, r);
}

static bool is_equality(const char *op)
{
    return !strcmp(op, "==") || !strcmp(op, "!=");
}

static Val eval_binary(Scope *s, const Ast *e)
{
    if (!strcmp(e->text, "and") || !strcmp(e->text, "or"))
        return eval_logic(s, e);
    Val l = eval(s, e->kid[0]), r = eval(s, e->kid[1]);
    double a, b;
    if (l.kind == V_error || r.kind == V_error)
        return val_error;
    if (is_equality(e->text) && (is_plain(&l) || is_plain(&r)) &&
        l.kind != V_node && r.kind != V_node &&
        !(s->model->symbolic && (l.kind == V_size || r.kind == V_size)))
        return val_bool(plain_equal(&l, &r) == (*e->text == '='));
    if (l.kind != V_size || r.kind != V_size || *e->text == '@')
        return node_op(s, e, l, r);
    if (strchr("+-*/%^", *e->text))
        return size_op(e->text, l.size, r.size);
    if (size_is_num(size_sub(l.size, r.size), &a))
        b = 0;
    else if (!size_is_num(l.size, &a) || !size_is_num(r.size, &b))
        return node_op(s, e, l, r);
    return val_bool(compare(e->text, a, b));
}

static Val eval_not(Scope *s, const Ast *e)
{
    Val v = eval(s, e->kid[0]);
    if (v.kind == V_bool)
        return val_bool(!v.truth);
    Node *n = as_node(s, v, TYPE_f32, e->kid[0]);
    return n ? val_node(g_map1(s->g, OP_not, n)) : val_error;
}

static Val eval_neg(Scope *s, const Ast *e)
{
    Val v = eval(s, e->kid[0]);
    if (v.kind == V_size)
        return val_size(size_mul(size_num(-1), v.size));
    Node *n = as_node(s, v, TYPE_f32, e->kid[0]);
    return n ? val_node(g_map1(s->g, OP_neg, n)) : val_error;
}

static Val eval_cond(Scope *s, const Ast *e)
{
    Val c = eval(s, e->kid[0]);
    if (c.kind == V_bool)
        return eval(s, e->kid[c.truth ? 1 : 2]);
    Val a = eval(s, e->kid[1]), b = eval(s, e->kid[2]);
    if (c.kind == V_error || a.kind == V_error || b.kind == V_error)
        return val_error;
    if (c.kind == V_size) /* a parameter that is true or false */
        c = flag(s, size_text(c.size));
    Dtype t = a.kind == V_node   ? a.node->type.dtype
              : b.kind == V_node ? b.node->type.dtype
                                 : TYPE_f32;
    Node *x = as_node(s, a, t, e->kid[1]), *y = as_node(s, b, t, e->kid[2]),
         *test = as_node(s, c, TYPE_bool, e->kid[0]);
    if (!x || !y || !test)
        return val_error;
    const Type *p = &x->type, *q = &y->type;
    if (!within(s, p, q) && !within(s, q, p)) {
        error_at(e->src, e->loc,
                 "both sides of `:` must have the same dims, these are %s and "
                 "%s",
                 dims_text(p), dims_text(q));
        return val_error;
    }
    return val_node(g_select(s->g, test, x, y));
}

/* ---- indexing ---- */

static const char *index_near(const Scope *s, const Dim *d)
{
    for (int i = 0; i < s->local.n; i++) {
        const Val *v = &s->local.at[i].value;
        if (v->kind == V_node && v->node->type.index_of == d)
            return s->local.at[i].name;
    }
    return NULL;
}

static Val bad_pick(Scope *s, const Ast *e, const Part *p, const Val *v)
{
    const Ast *item = e->kid[1];
    const char *near = index_near(s, p->array);
    const char *what = v->kind == V_node && !v->node->type.index_of
                           ? "a number"
                       : v->kind == V_node
                           ? intern_printf("an index of %s",
                                           v->node->type.index_of->name)
                           : val_text(v);
    error_at(item->src, item->loc,
             "`%s` is chosen by an index of %s; `%s` is %s%s%s%s", p->name,
             p->array->name, item->text ? item->text : "this", what,
             near ? " (did you mean `" : "", near ? near : "",
             near ? "`?)" : "");
    return val_error;
}

static Val pick(Scope *s, const Ast *e, Part *p)
{
    Val v = eval(s, e->kid[1]);
    double i;
    if (e->nkid != 2 || e->kid[1]->kind == AST_named) {
        error_at(e->src, e->loc, "`%s` takes one index", p->name);
        return val_error;
    }
    if (v.kind == V_error)
        return v;
    if (v.kind == V_node && v.node->type.index_of == p->array)
        return (Val){.kind = V_pick, .part = p, .node = v.node};
    if (v.kind != V_size || !p->unrolled)
        return bad_pick(s, e, p, &v);
    if (!size_is_num(v.size, &i) || p->n == 1)
        return (Val){.kind = V_inst, .inst = p->inst[0]};
    if (i < 0 || i >= p->n || i != floor(i)) {
        error_at(e->kid[1]->src, e->kid[1]->loc, "`%s` has 0 to %d, not %s",
                 p->name, p->n - 1, size_text(v.size));
        return val_error;
    }
    return (Val){.kind = V_inst, .inst = p->inst[(int)i]};
}

static Node *take(Scope *s, Node *x, const Ast *item)
{
    const Dim *d = find_dim(s, item->text);
    if (!d || type_dim(&x->type, d) < 0) {
        error_at(item->src, item->name_loc, "no dim `%s` in %s", item->text,
                 dims_text(&x->type));
        return NULL;
    }
    Val v = eval(s, item->kid[0]);
    if (v.kind == V_place)
        return take_place(s, x, d, v, item);
    if (v.kind == V_size) { /* x[T: 0], v[n: K - 1]: a scalar index */
        Node at = {.op = OP_scalar, .type = {TYPE_i32, d, 0, {0}},
                   .size = v.size};
        double n;
        if (size_is_num(v.size, &n))
            at.op = OP_number, at.num = n, at.size = NULL;
        return g_gather(s->g, x, d, graph_add(s->g, at));
    }
    Node *i = as_node(s, v, TYPE_i32, item->kid[0]);
    if (i && i->type.index_of != d) {
        const char *near = index_near(s, d);
        error_at(item->kid[0]->src, item->kid[0]->loc,
                 "`%s:` wants an index of %s, this is %s%s%s%s", d->name,
                 d->name, type_text(&i->type), near ? " (did you mean `" : "",
                 near ? near : "", near ? "`?)" : "");
        return NULL;
    }
    return i ? g_gather(s->g, x, d, i) : NULL;
}

static Val eval_index(Scope *s, const Ast *e)
{
    Val base = eval(s, e->kid[0]);
    if (base.kind == V_error)
        return base;
    if (base.kind == V_part)
        return pick(s, e, base.part);
    if (base.kind == V_models)
        return others_index(s, base, e);
    Node *x = as_node(s, base, TYPE_f32, e->kid[0]);
    for (int i = 1; x && i < e->nkid; i++) {
        if (e->kid[i]->kind != AST_named) {
            error_at(e->kid[i]->src, e->kid[i]->loc,
                     "an index names its dim, as in x[T: t]");
            return val_error;
        }
        x = take(s, x, e->kid[i]);
    }
    return val_node(x);
}

/* ---- calls ---- */

static Val call_value(Scope *s, const Ast *e, Val f)
{
    switch (f.kind) {
    case V_inst:  return call_inst(s, e, f.inst);
    case V_part:  return call_part(s, e, f.part, NULL);
    case V_pick:  return call_part(s, e, f.part, f.node);
    case V_error: return f;
    default:
        error_at(e->src, e->kid[0]->loc, "%s cannot be called", val_text(&f));
        return val_error;
    }
}

static Val eval_call(Scope *s, const Ast *e)
{
    const Ast *f = e->kid[0];
    if (f->kind != AST_name)
        return call_value(s, e, eval(s, f));
    Val *local = names_find(&s->local, f->text);
    if (local && local->kind != V_size && local->kind != V_node)
        return call_value(s, e, *local);
    if (s->inst && inst_part(s->inst, f->text))
        return call_value(s, e, part_value(inst_part(s->inst, f->text)));
    if (is_builtin(f->text))
        return call_builtin(s, e, f->text);
    const char *near = s->inst ? inst_nearest(s->inst, f->text) : NULL;
    if (!near)
        near = builtin_nearest(f->text);
    error_at(f->src, f->loc, "no part or function is called `%s`%s%s%s",
             f->text, near ? " (did you mean `" : "", near ? near : "",
             near ? "`?)" : "");
    return val_error;
}

Val eval(Scope *s, const Ast *e)
{
    switch (e->kind) {
    case AST_name:   return eval_name(s, e);
    case AST_number: return val_size(size_num(e->num));
    case AST_string: return val_string(e->text);
    case AST_dots:   return (Val){.kind = V_dots};
    case AST_neg:    return eval_neg(s, e);
    case AST_not:    return eval_not(s, e);
    case AST_binary: return eval_binary(s, e);
    case AST_cond:   return eval_cond(s, e);
    case AST_call:   return eval_call(s, e);
    case AST_index:  return eval_index(s, e);
    case AST_dot:    return eval_dot(s, e);
    case AST_block:  return run_block(s, e);
    case AST_named:  return eval(s, e->kid[0]);
    default:
        error_at(e->src, e->loc, "this cannot stand in an expression");
        return val_error;
    }
}
