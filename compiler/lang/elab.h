/* Private to the room: values, instances of modules, models, scopes; and what
 * is done with them. */
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

#include "compiler/lang/elab_eval.h"
#include "compiler/lang/elab_inst.h"
#include "compiler/lang/elab_model.h"
