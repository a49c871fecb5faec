/* Private to the room: instances of modules, values, scopes. */
#pragma once
#include "compiler/lang/lang.h"

typedef struct Inst Inst;
typedef struct Part Part;
typedef struct Val Val;

/* ---- values of expressions ---- */

typedef enum {
    V_error, /* a mistake was reported: silent from here on */
    V_none,
    V_size,  /* a number known before run time; dim, if it names one */
    V_bool,
    V_string,
    V_json,  /* an object or list of config.json */
    V_node,
    V_dots,  /* .. */
    V_inst,  /* a module's instance */
    V_part,  /* an array of instances */
    V_pick,  /* an array with an index: expert[i] */
    V_models, /* other models, a parameter `other: model[N]` or one of them */
    V_place, /* part(neurons, e, E): neurons dealt out */
    V_list
} ValKind;

struct Val {
    ValKind kind;
    const Size *size;
    const Dim *dim;
    bool truth;
    const char *string;
    const cJSON *json;
    Node *node;
    Inst *inst;
    Part *part;
    const struct Others *others;
    Val *list;
    int nlist;
    const char *field; /* of config.json, where it came from there; or NULL */
};

/* ---- instances ---- */

typedef struct {
    const char *name;
    Val value;
} Named;
typedef LIST(Named) Names;

typedef struct {
    const char *name; /* its name in the module */
    Weight *w;
    const Ast *decl;
    bool absent; /* `unless` held */
    enum { GIVEN_no, GIVEN_with_part, GIVEN_itself } given;
    bool excused; /* none is needed: a mistake about it was reported */
} Slot;

struct Part {
    const char *name;
    const Ast *decl;
    const Dim *array; /* NULL: one instance */
    bool unrolled;    /* an instance per index; else all are inst[0] */
    int n;
    Inst **inst;
};

struct Inst {
    const Ast *def; /* AST_module or AST_model */
    const Spec *spec;
    Inst *parent;
    const char *path; /* "layer[3].ffn"; "" for the model */
    const char *file; /* "model.layers.3.mlp" */
    int nstack;       /* dims of the stacked arrays around it */
    const Dim *stack[MAX_RANK];
    Names param;
    LIST(Slot) slot;
    LIST(Part) part;
    Names spoilt; /* declared, but not to be made: reported already */
    const struct Applied *by; /* the transform that put it here, or NULL */
    const Ast *renames; /* its weights' names in files, or NULL */
    const Ast *site; /* where its module was called, for messages */
    const Inst *like; /* whose parameters it has where none is given, or NULL */
};

/* ---- specs ---- */

typedef struct {
    const char *key; /* its path, or <library>/NAME.graft */
    bool reading;    /* it stands above in the chain of `use` */
    bool used;       /* read because another uses it */
    const Ast *tree;
} SpecFile;

struct Spec {
    Arena *arena;
    Diags *diags;
    LIST(SpecFile *) seen;
    LIST(const Ast *) file; /* in order of reading: used ones first */
    LIST(struct Made {
        struct Model *model;
        const Ast *at; /* the call of a recipe that made it */
    }) made;
    bool alone;  /* its texts use the library, no file beside them */
    bool unread; /* a text has mistakes of syntax: it is not checked */
    SpecWatch *watch; /* or NULL */
    void *watcher;
    const char **spent; /* what a text asked for more of than there may be */
    SpecText *text; /* or NULL */
    void *texts;
    LIST(const Ast *) def;  /* module model transform recipe prove rule */
};

/* The files that a definition needs, nearest first: its own, those it uses,
 * what they use. (spec.c) */
typedef LIST(const Ast *) Trees;
Trees spec_needs(const Spec *s, const Ast *def);

/* ---- models ---- */

/* A transform that was applied, with the parameters it had. */
typedef struct Applied {
    const char *name;
    const Spec *spec;
    const Ast *def;
    Names param;
    Names scope; /* its names, for config { } */
} Applied;

/* What `other: model[N]` stands for: leaves are stacked over dim. */
typedef struct Others {
    const char *name;
    const Dim *dim; /* NULL: a single model */
    Model *model; /* their common shape */
} Others;

struct Model {
    const Spec *spec;
    Arena *arena;
    Inst *root;
    Dtype dtype;   /* of weights and what modules return */
    Graph *weights; /* formulas of weights */
    const cJSON *config; /* as its architecture takes it; in the arena */
    const cJSON *aside;  /* fields that only other architectures read */
    const char *unknown; /* fields that nobody knows, or NULL */
    const char *filled;  /* sizes that it lacked: "hidden_size 4096"; or NULL */
    LIST(Applied *) applied;
    Names written; /* config fields that defaults filled in */
    int parts, steps; /* made and run so far (budget.c) */
    bool symbolic;
    struct Symbols *symbols; /* of what is unknown; copies share them */
};

/* ---- scopes ---- */

typedef struct Scope {
    const Spec *spec;
    Model *model; /* dtype, arena; never NULL */
    Graph *g;
    Inst *inst;   /* whose parts and parameters are seen; may be NULL */
    Names local;
    Names dims;   /* by name: topk's, T */
    int nlifted;  /* dims that the module's own rules do not see */
    const Dim *lifted[MAX_RANK];
    const Dim *routed; /* expert[i]: each weight w is w[routed: index] */
    Node *index;
    const Slot *each;  /* `each`: what w stands for */
    const char *each_at; /* where in its module: "", "norm1" */
    Inst *each_from;   /* where a bare w is looked up */
    const char *each_name;
    bool formula;      /* a weight's value: all f32 */
    const Dim *const *own; /* `..` in a formula: the weight's dims */
    int nown;
    const Weight *target; /* of an initialiser */
    struct Body *body; /* inside a repeated layer */
    bool effects;       /* losses and stats become outputs */
    const Inst *top;    /* whose forward is run */
    const Ast *site;
    const struct Applied *applying;
    const char *at; /* the path of a transform's match; NULL: of none */
    int depth;
} Scope;

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
/* Weights and parts; `own` sees the instance's parameters. */
void inst_build(Model *m, Inst *inst, Scope *own);
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

