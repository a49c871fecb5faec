/* Private to the room: instances of modules, their parts and weights. Through
 * elab.h. */
#pragma once
#include "compiler/lang/elab.h"

/* file_part.c: sets w->part, and w->file to a name of that part, where `as`
 * asks for rows or a matrix turned, or where an array's tensors are one.
 * `outer`: it stands in the block behind the part. False after a message. */
bool file_part(Scope *s, Inst *inst, Weight *w, const Ast *as, bool outer);

/* budget.c: may there be one more instance, statement? False after a message,
 * which comes once. */
bool budget_part(Scope *s, const Ast *at);
bool budget_step(Scope *s, const Ast *at);
bool budget_spent(const Model *m);

/* inst.c */
Inst *inst_new(Model *m, const Spec *spec, const Ast *def, Inst *parent,
               const char *path, const char *file);
/* Binds a call's arguments to the module's parameters; false after messages.*/
bool inst_bind_args(Scope *s, Inst *inst, const Ast *call);
/* Weights and parts; `own` sees the instance's parameters. False: given up at
 * a mistake. */
bool inst_build(Model *m, Inst *inst, Scope *own);
Slot *inst_slot(const Inst *inst, const char *name);
Part *inst_part(const Inst *inst, const char *name);
const Ast *inst_forward(const Inst *inst);
const char *inst_nearest(const Inst *inst, const char *name);
void inst_walk(Inst *inst, void (*visit)(Inst *, void *), void *user);
const char *call_name(const Ast *call);
/* The module that a call names: of the spec, or what a parameter or a match of
 * that name is, which *like is then (else NULL). NULL after a message. */
const Ast *module_called(Scope *s, const Ast *call, const Inst **like);
/* A module by its name as a value; an argument for a parameter that is one;
 * what stands for one that is unknown. Mistakes are reported.
 * (module_param.c) */
Val module_value(Scope *s, const Ast *name);
Val module_argument(Scope *s, const Ast *arg);
Val unknown_module(Scope *s);
/* Modules that a pattern matches: the one it names, or of `module(D, F)` all
 * whose first parameters have these names and that take x[.., D] to [.., D]. */
bool pattern_fits(const Spec *s, const Ast *call, const Ast *module);
const char *params_text(const Ast *params);
const char *join_path(const char *a, const char *b);
bool read_dims(Scope *s, const Ast *dims, Type *t);
/* How much of a module's defaults is taken for granted. */
typedef enum { FOLLOW_none, FOLLOW_formulas, FOLLOW_all, FOLLOW_COUNT } Follow;
/* A module on its own, every parameter unknown but for those defaults;
 * `pattern`: how a transform calls them, or NULL. */
Inst *inst_unknown(Model *m, const Spec *spec, const Ast *def,
                   const char *name, const Ast *pattern, Follow follow);
/* The array that a `for` of the module's forward runs through, or NULL. */
const Part *looped_part(const Inst *inst, const Ast *loop);
/* A tree of its own over the same weights. */
Inst *inst_copy(Model *m, const Inst *old, Inst *parent);
