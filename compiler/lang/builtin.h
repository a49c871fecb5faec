/* Private to the room: the built-in functions, by kind. */
#pragma once
#include "compiler/lang/elab.h"

/* Arguments of a call (builtin_dims.c). */
Node *arg_node(Scope *s, const Ast *call, int i);
const Ast *arg_named(const Ast *call, const char *name); /* or NULL */

typedef struct {
    int n;
    const Dim *at[MAX_RANK];
} Dims;
/* The dims that arguments from `from` on name; none: all that the module
 * sees. `t`: the type that must have them, or NULL. False after a message. */
bool dims_of(Scope *s, const Ast *call, int from, const Type *t, Dims *out);
/* "softmax over F, but this is [T, E]" */
void dim_not_there(const Ast *call, const Ast *arg, const Type *t,
                   const Dim *d);
/* The dim of that name that t has, else the one that the scope knows. */
const Dim *dim_in(Scope *s, const Type *t, const char *name);
/* The dim that a topk or such makes: one a name and size. */
const Dim *new_dim(Scope *s, const char *name, const Size *size);

/* One a row of the table; `arg` is what the row passes. */
Val built_map(Scope *s, const Ast *call, int arg);
Val built_cast(Scope *s, const Ast *call, int arg);
Val built_clamp(Scope *s, const Ast *call, int arg);
Val built_reduce(Scope *s, const Ast *call, int arg);
Val built_mean(Scope *s, const Ast *call, int arg);
Val built_norm(Scope *s, const Ast *call, int arg);
Val built_cv2(Scope *s, const Ast *call, int arg);
Val built_dot(Scope *s, const Ast *call, int arg);
Val built_size(Scope *s, const Ast *call, int arg);
Val built_topk(Scope *s, const Ast *call, int arg);
Val built_count(Scope *s, const Ast *call, int arg);
Val built_place(Scope *s, const Ast *call, int arg);
Val built_largest(Scope *s, const Ast *call, int arg);
Val built_scatter(Scope *s, const Ast *call, int arg);
Val built_draw(Scope *s, const Ast *call, int arg);
Val built_init(Scope *s, const Ast *call, int arg);
Val built_dropout(Scope *s, const Ast *call, int arg);
Val built_shuffle(Scope *s, const Ast *call, int arg);
Val built_part(Scope *s, const Ast *call, int arg);
Val built_expand(Scope *s, const Ast *call, int arg);
Val built_concat(Scope *s, const Ast *call, int arg);
Val built_rename(Scope *s, const Ast *call, int arg);
Val built_split(Scope *s, const Ast *call, int arg);
Val built_flatten(Scope *s, const Ast *call, int arg);
Val built_iota(Scope *s, const Ast *call, int arg);
Val built_position(Scope *s, const Ast *call, int arg);
Val built_order(Scope *s, const Ast *call, int arg);
Val built_attend(Scope *s, const Ast *call, int arg);
Val built_alibi(Scope *s, const Ast *call, int arg);
Val built_rope(Scope *s, const Ast *call, int arg);
Val built_has(Scope *s, const Ast *call, int arg);
