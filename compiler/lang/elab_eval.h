/* Private to the room: expressions, names, calls. Through elab.h. */
#pragma once
#include "compiler/lang/elab.h"

/* eval.c */
Val eval(Scope *s, const Ast *e);
Node *eval_node(Scope *s, const Ast *e); /* NULL: a mistake was reported */
bool eval_size(Scope *s, const Ast *e, const Size **out);
Node *as_node(Scope *s, Val v, Dtype t, const Ast *at); /* or NULL */
const Dim *find_dim(Scope *s, const char *name);
const Dim *want_dim(Scope *s, const Ast *at); /* NULL: it was reported */
/* Where a definition that is not here may be: a library file that is not used,
 * or a name close to it. */
const char *spec_hint(const Spec *s, AstKind kind, const char *name);
const char *near_text(const char *near); /* " (did you mean `x`?)", or "" */
const char *val_text(const Val *v);
const char *val_found(const Val *v); /* for messages: with its field */
/* An elementwise op of nodes, one of which must have all dims of the others.
 * NULL: an argument is, or a mistake was reported. */
Node *elementwise(Scope *s, Op op, Node *a, Node *b, const Ast *at);
Node *elementwise_of(Scope *s, Op op, Node *const *arg, const Ast *at);
Val run_block(Scope *s, const Ast *block); /* the value it returns */
bool is_quantity(const Node *n, const Ast *at); /* no index; or reported */
Val eval_binary(Scope *s, const Ast *e); /* eval_op.c */
Val eval_not(Scope *s, const Ast *e);
Val eval_neg(Scope *s, const Ast *e);
Val eval_cond(Scope *s, const Ast *e);
Val eval_index(Scope *s, const Ast *e); /* eval_index.c */
Val list_written(Scope *s, const Ast *e); /* list.c: [0.3, 0.5] */
Val list_at(Scope *s, const Ast *e, const Val *list); /* t[l], t[N] */
bool list_argument(const char *text, Val *out); /* false: it is no list */
Val flag_value(Scope *s, const char *name);
#define val_error ((Val){.kind = V_error})
static inline Val val_node(Node *n)
{
    return n ? (Val){.kind = V_node, .node = n} : val_error;
}
static inline Val val_size(const Size *z)
{
    return (Val){.kind = V_size, .size = z};
}
static inline Val val_bool(bool b)
{
    return (Val){.kind = V_bool, .truth = b};
}
static inline Val val_string(const char *t)
{
    return (Val){.kind = V_string, .string = t};
}

void run_statement(Scope *s, const Ast *a);
/* Outputs: losses of one name are added up, stats of one get a number. */
void add_loss(Graph *g, const char *name, Node *n);
void add_stat(Graph *g, const char *name, Node *n);
const char *type_shape(const Type *t); /* "[128, 48]" */
const char *dims_text(const Type *t); /* "[T, D]" */
bool is_lifted(const Scope *s, const Dim *d);

/* names.c */
Val *names_find(const Names *n, const char *name);
void names_set(Arena *a, Names *n, const char *name, Val v);
Names names_copy(Arena *a, const Names *old);
const Dim *val_dim(Val *v, const char *name); /* made when first asked */
bool size_fits(const Size *s); /* a whole number >= 1, where known */
const Dim *dim_T(void);

/* builtin.c */
bool is_builtin(const char *name);
Val call_builtin(Scope *s, const Ast *call, const char *name);
const char *builtin_nearest(const char *name);
/* x[d: a .. b], of item `d: a .. b` */
Node *take_range(Scope *s, Node *x, const Dim *d, const Ast *item);
/* x[d: part(..)] */
Node *take_place(Scope *s, Node *x, const Dim *d, Val place, const Ast *at);

/* call.c: modules called */
/* n as its forward promises it: its dims, in their order; NULL: reported. */
Node *as_promised(Scope *s, const Ast *forward, Node *n);
Dtype returned_type(const Model *m, const Ast *forward);
Val call_inst(Scope *s, const Ast *call, Inst *inst);
Val call_part(Scope *s, const Ast *call, Part *part, Node *index);
Node *weight_node(Scope *s, const Slot *slot);
/* The node with exactly the dims wanted, in their order: copies along those
 * that it lacks. */
Node *arrange(Graph *g, Node *n, int rank, const Dim *const *want);
