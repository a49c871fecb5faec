/* Private to the room: models bound, transforms applied, what is unknown.
 * Through elab.h. */
#pragma once
#include "compiler/lang/elab.h"

/* lower.c */
typedef struct Body Body; /* of a repeated layer, being built */
int body_slot(Body *b, const Weight *w); /* from 1 */
void run_for(Scope *s, const Ast *a);
/* What forward returns for inputs named as its arguments, or as `names`; NULL:
 * mistakes were reported. */
Node *forward_node(Model *m, Graph *g, Inst *inst, const char *const *names,
                   bool effects);

/* others.c: parameters that are models */
Val others_member(Scope *s, Val base, const Ast *e);
Val others_index(Scope *s, Val base, const Ast *e);
Node *others_weight(Scope *s, const Val *from, Inst *inst, const Slot *slot);
const Weight *others_same(Scope *s, const Weight *w);
Inst *inst_at(Inst *inst, const char *path);
/* Adds how many other models there are, for who reads the result. */
void others_count(Scope *s, const Ast *def, Names *param);
bool bind_others(Scope *s, const Ast *def, const With *with, int nwith,
                 Err *err);

/* bind.c, model.c */
Model *model_new(Arena *arena, const Spec *spec, const Ast *def, Dtype dtype);
bool model_fill(Model *m, Err *err); /* config, weights, parts */
/* Bound by the architecture that the config names. */
Model *model_named(Arena *arena, Spec *spec, const cJSON *config, Dtype dtype,
                   Err *err);
const Ast *config_of(const Ast *def); /* its config { }, or NULL */
/* The config before transforms: fields that they set get their old values. It
 * lives in `a`. (bind_base.c) */
cJSON *base_config(Arena *a, const cJSON *config);
/* The same of a folder that only names the architecture t makes of `def`: as
 * the `graft` of its config as it was read (`raw`) has it, or without the
 * fields that t sets. */
cJSON *made_base(Arena *a, const Ast *def, const Ast *t, const cJSON *config,
                 const cJSON *raw);
/* What model_bind makes of a config with these texts, before its last look at
 * the forward pass. */
Model *model_read(Arena *arena, Spec *spec, const cJSON *config, Dtype dtype,
                  Err *err);
bool model_lowers(const Model *m, Err *err);
/* The model that a definition's file is about: its own first, else the first
 * of a file that it uses; NULL: none. (spec.c) */
const Ast *spec_model_of(const Spec *s, const Ast *def);
cJSON *json_of_val(const Val *v);
Val json_value(const cJSON *v); /* null: V_json */
void json_set(cJSON *o, const char *name, cJSON *v);
/* The field that a dim of the model's text was read from, or NULL. */
const char *field_of_dim(const Model *m, const Dim *d);
/* Its weights come from files from here on, not from formulas. */
void model_forget(Model *m);
bool model_has(const Model *m, const char *module); /* anywhere in it */
bool applied_alive(const Model *m, const struct Applied *a);
bool replaces(const Ast *transform);
/* Equal but for numbers that names end in, as in `moe__2` (written_text.c). */
bool def_alike(const Ast *a, const Ast *b);
const char *weight_origin(const Weight *w); /* "file NAME", "copy of PATH" */

/* bind_left.c, bind_value.c, bind_each.c: `left = right` of transforms */
typedef struct {
    Inst *inst;       /* a part, or */
    Slot *slot;       /* a weight */
    const Ast *dims;  /* as written: gate[E, f, D] */
    const Dim *index; /* expert[e]: the array's dim */
    const char *name; /* e */
    bool fresh;       /* of the new module: one value each, and for some */
    bool with_part;   /* of a part another before that, by its whole */
} Left;
/* `fresh`: the new module, whose parts a left side names; NULL: the match. */
bool resolve_left(Scope *s, Inst *fresh, const Ast *e, Left *out);
Scope right_scope(const Scope *s, const Left *left);
void give(Scope *s, const Left *left, Node *n, const Ast *at);
void excuse(Inst *inst); /* its weights need no value: a mistake was told */
void bind_item(Scope *s, Inst *fresh, const Ast *item);
void bind_each(Scope *s, Inst *fresh, Inst *whole, const Ast *item);

/* transform.c */
const char *fill_message(Scope *s, const char *text);
bool require_holds(Scope *s, const Ast *item);
Inst *transform_match(Scope *s, const Ast *def, Inst *match,
                      struct Applied *applied);
bool apply_to(Scope *s, const Ast *def, struct Applied *applied, Err *err);

/* transform_args.c: name=value of a command */
bool bind_params(Scope *s, const Ast *def, const Arg *arg, int narg,
                 bool symbolic, struct Applied *applied, Err *err);
Val arg_value(const char *text);
/* Are all args parameters of the definition's, each once? */
bool args_known(const Ast *def, const Arg *arg, int narg, Err *err);

/* rope_config.c: fills r but for theta and rotary; why it cannot, or NULL. */
const char *rope_of_config(const cJSON *o, Rope *r);

/* symbols.c */
struct Symbols *symbols_new(Arena *a);
/* What the owner (any pointer; messages call it `of`) has under a name and
 * does not know: one symbol, the same each time. */
const Size *model_symbol(Model *m, const void *owner, const char *of,
                          const char *name);
/* Which element of an unrolled array: l of layer[l]. */
const Size *index_unknown(Model *m, const Part *part, const char *name);
const char *model_index(const Model *m); /* the symbol of such a one, or NULL */
/* What is made of unknowns and is no size: a number (a truth value) of its own,
 * the same for the same key. Instances drawn for it may be none that there
 * are: model_guesses says so. */
const Size *made_unknown(Model *m, const char *key, const char *name);
bool model_guesses(const Model *m);
/* A condition of unknowns that holds, for who proves with it; what the text
 * divides by. */
void model_holds(Scope *s, const Ast *condition);
void model_divides(Model *m, const Size *by);
int model_facts(const Model *m, const SizeFact **out);
int model_divisors(const Model *m, const Size *const **out);
/* A `where` of unknowns holds or not, as bit i of `truth` says of the i-th
 * that is met; those that were met, and how many. */
void model_decide(Model *m, unsigned truth);
bool model_decided(Model *m, Node *condition);
int model_conditions(const Model *m, Node *const **out);
/* The truth of `text` is not known. */
Val unknown_truth(Scope *s, const char *text);
