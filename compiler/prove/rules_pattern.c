/* Rules as patterns: what of a rule's text the prover can match. */
#include "compiler/prove/pattern.h"
#include <math.h>
#include <string.h>

typedef struct {
    Arena *arena;
    const char *name[RULE_NAMES]; /* of terms, met on the left */
    const char *dim[RULE_NAMES];
    int nname, ndim;
    bool left, bad;
} Compiler;

static RulePat *compile(Compiler *c, const Ast *e);

static RulePat *refuse(Compiler *c, const Ast *e, const char *what)
{
    if (!c->bad)
        error_at(e->src, e->loc, "a rule cannot use this: %s", what);
    c->bad = true;
    return NULL;
}

static RulePat *pat(Compiler *c, PatKind kind)
{
    RulePat *p = arena_alloc(c->arena, sizeof *p);
    p->kind = kind;
    p->scale = 1;
    return p;
}

static int find(const char *const *list, int n, const char *name)
{
    for (int i = 0; i < n; i++)
        if (list[i] == name)
            return i;
    return -1;
}

/* The number of a name; on the left it may be new. */
static int number_of(Compiler *c, const char **list, int *n, const Ast *e,
                     const char *what)
{
    const char *name = intern(e->text);
    int i = find(list, *n, name);
    if (i >= 0)
        return i;
    if (!c->left || *n == RULE_NAMES) {
        refuse(c, e, what);
        return 0;
    }
    list[*n] = name;
    return (*n)++;
}

static RulePat *compile_name(Compiler *c, const Ast *e)
{
    RulePat *p = pat(c, strcmp(e->text, "c") ? PAT_any : PAT_constant);
    p->num = number_of(c, c->name, &c->nname, e,
                       "the right side has a name that the left has not");
    return p;
}

/* Adds e, times or to the power of `by`, to a sum or product. */
static void gather_kids(Compiler *c, RulePat *p, const Ast *e, double by)
{
    bool sum = p->kind == PAT_sum;
    const char *op = e->kind == AST_binary ? e->text : "";
    if (sum ? !strcmp(op, "+") || !strcmp(op, "-")
            : !strcmp(op, "*") || !strcmp(op, "/")) {
        bool minus = *op == '-' || *op == '/';
        gather_kids(c, p, e->kid[0], by);
        gather_kids(c, p, e->kid[1], minus ? -by : by);
    } else if (e->kind == AST_neg) {
        if (sum)
            by = -by;
        else
            p->scale = -p->scale;
        gather_kids(c, p, e->kid[0], by);
    } else if (!sum && !strcmp(op, "^") && e->kid[1]->kind == AST_number) {
        gather_kids(c, p, e->kid[0], by * e->kid[1]->num);
    } else if (!sum && e->kind == AST_number) {
        p->scale *= pow(e->num, by);
    } else if (p->n == RULE_KIDS) {
        refuse(c, e, "too many parts");
    } else {
        p->by[p->n] = by;
        p->kid[p->n++] = compile(c, e);
    }
}

static RulePat *compile_along(Compiler *c, const Ast *e, Op op)
{
    if (e->nkid != 3 || e->kid[2]->kind != AST_name)
        return refuse(c, e, "needs a term and the name of a dim");
    RulePat *p = pat(c, PAT_along);
    p->op = op;
    p->num = number_of(c, c->dim, &c->ndim, e->kid[2],
                       "the right side has a dim that the left has not");
    p->n = 1;
    p->kid[0] = compile(c, e->kid[1]);
    return p;
}

static RulePat *compile_call(Compiler *c, const Ast *e)
{
    const char *f = e->kid[0]->kind == AST_name ? e->kid[0]->text : "";
    Op op;
    if (!strcmp(f, "size") && e->nkid == 2 && e->kid[1]->kind == AST_name) {
        RulePat *p = pat(c, PAT_size);
        p->num = number_of(c, c->dim, &c->ndim, e->kid[1],
                           "the right side has a dim that the left has not");
        return p;
    }
    if (!strcmp(f, "mean") && !c->left) {
        RulePat *p = pat(c, PAT_product), *size = pat(c, PAT_size);
        p->kid[0] = compile_along(c, e, OP_sum);
        if (c->bad)
            return NULL;
        size->num = p->kid[0]->num;
        p->kid[1] = size;
        p->by[0] = 1;
        p->by[1] = -1;
        p->n = 2;
        return p;
    }
    if (!op_find(f, &op))
        return refuse(c, e, "the prover knows no such function");
    if (op_info[op].class == CLASS_reduce || op == OP_softmax)
        return compile_along(c, e, op);
    if (!op_is_map(op) || op_info[op].nargs != e->nkid - 1)
        return refuse(c, e, "neither elementwise nor over a dim");
    RulePat *p = pat(c, PAT_fun);
    p->op = op;
    for (p->n = 0; p->n < op_info[op].nargs && !c->bad; p->n++)
        p->kid[p->n] = compile(c, e->kid[p->n + 1]);
    return p;
}

static RulePat *compile(Compiler *c, const Ast *e)
{
    if (c->bad)
        return NULL;
    RulePat *p;
    switch (e->kind) {
    case AST_name:
        return compile_name(c, e);
    case AST_number:
        p = pat(c, PAT_number);
        p->scale = e->num;
        return p;
    case AST_call:
        return compile_call(c, e);
    case AST_neg:
    case AST_binary:
        if (e->kind == AST_binary && !strchr("+-*/^", *e->text))
            return refuse(c, e, "an operator that is not + - * / ^");
        p = pat(c, e->kind == AST_binary && strchr("+-", *e->text)
                       ? PAT_sum : PAT_product);
        gather_kids(c, p, e, 1);
        return p;
    default:
        return refuse(c, e, "neither a name, a number, a call nor algebra");
    }
}

/* `where x > 0` */
static bool compile_where(Compiler *c, Rule *r, const Ast *where)
{
    if (!where)
        return true;
    if (where->kind != AST_binary || strcmp(where->text, ">") ||
        where->kid[0]->kind != AST_name ||
        where->kid[1]->kind != AST_number || where->kid[1]->num != 0)
        return refuse(c, where, "a condition here is `x > 0`");
    r->positive = find(c->name, c->nname, intern(where->kid[0]->text));
    if (r->positive < 0)
        return refuse(c, where, "the left side has no such name");
    return true;
}

bool rule_compile(Arena *a, Rule *r)
{
    Compiler c = {.arena = a, .left = true};
    r->positive = -1;
    r->left = compile(&c, r->ast->kid[0]);
    c.left = false;
    if (c.bad)
        return false;
    if (r->left->kind != PAT_along && r->left->kind != PAT_fun) {
        error_at(r->ast->src, r->ast->kid[0]->loc,
                 "the left side of a rule must be a function or a sum, max, "
                 "softmax or logsumexp over a dim");
        return false;
    }
    r->right = compile(&c, r->ast->kid[1]);
    return !c.bad && compile_where(&c, r, r->ast->kid[2]) && !c.bad;
}

bool rule_of_constant(const Rule *r, Op op)
{
    return r->step == STEP_match && r->left->kind == PAT_along &&
           r->left->op == op && r->left->kid[0]->kind == PAT_constant;
}
