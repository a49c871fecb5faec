/* Room compiler: names, sizes and types; models and transforms; the graph, its
 * text, its reference interpreter; proofs. */
#pragma once
#include "base/base.h"
#include "dsl/dsl.h"
#include <cjson/cJSON.h>

/* ---- sizes (size.c): integers and other scalars known before run time ----
 * Polynomials over parameters (D, E, rate, T), with min, max, ceil, floor and
 * such as atoms. Interned for the life of the process: equal ones are one
 * pointer. An unknown stands for a positive number. */

typedef struct Size Size;
const Size *size_num(double n);
const Size *size_sym(const char *name); /* "T" is known at run time only */
const Size *size_add(const Size *a, const Size *b);
const Size *size_sub(const Size *a, const Size *b);
const Size *size_mul(const Size *a, const Size *b);
const Size *size_div(const Size *a, const Size *b); /* the real quotient */
const Size *size_pow(const Size *a, const Size *b);
const Size *size_mod(const Size *a, const Size *b);
const Size *size_min(const Size *a, const Size *b);
const Size *size_max(const Size *a, const Size *b);
const Size *size_ceil(const Size *a);
const Size *size_floor(const Size *a);
const Size *size_sqrt(const Size *a);
bool size_is_num(const Size *s, double *n); /* no unknown; n may be NULL */
bool size_has(const Size *s, const char *sym);
const char *size_text(const Size *s); /* "E - 1"; interned */
const Size *size_subst(const Size *s, const char *sym, const Size *by);
/* The value with T given (BUG if another unknown is left); size_at rounds. */
double size_value(const Size *s, int64_t T);
int64_t size_at(const Size *s, int64_t T);
bool size_is_term(const Size *s); /* a number times powers, not a sum */
bool size_positive(const Size *s); /* known to be above 0 */
const Size *size_quotient(const Size *a, const Size *b); /* exact, or NULL */
/* s = above / below, if it has a quotient by a sum. */
bool size_over(const Size *s, const Size **above, const Size **below);

/* ---- dims and types (type.c) ---- */

/* A dim has an identity: two dims of one name and size may differ. */
typedef struct {
    const char *name; /* interned */
    const Size *size;
    int id;
} Dim;
const Dim *dim_new(const char *name, const Size *size); /* kept for good */

enum { MAX_ARGS = 4 };
typedef struct {
    Dtype dtype;              /* f64 f32 bf16 f16; i32 an index; bool */
    const Dim *index_of;      /* i32: which dim it points into */
    int rank;                 /* 0: a scalar */
    const Dim *dim[MAX_RANK]; /* outermost first; none twice */
} Type;
int type_dim(const Type *t, const Dim *d);    /* its position, or -1 */
bool type_has(const Type *t, int n, const Dim *const *d); /* these and no
                                                           * other, any order */
bool dim_among(const Dim *d, int n, const Dim *const *list);
bool dims_same(int n, const Dim *const *a, int m, const Dim *const *b);
int64_t type_count(const Type *t, int64_t T); /* elements */
const char *type_text(const Type *t);         /* "f32[T, D]"; interned */

/* ---- the graph (graph.c) ---- */

typedef enum {
#define OP(name, ...) OP_##name,
#include "compiler/ops.def"
#undef OP
    OP_COUNT
} Op;

typedef struct Node Node;
typedef struct Graph Graph;

/* Rows of a file's tensor that are a weight: `as "qkv" transposed rows a .. b`.
 * The tensor's first dims are the last `packed` of the stacked ones; of what is
 * left the first (of the matrix turned, if `transposed`) counts the rows. */
typedef struct {
    const char *tensor; /* with a {} for each stacked dim that is not packed */
    int packed;
    bool transposed;
    int64_t first, step, count; /* count 0: all rows */
} FilePart;

/* A weight: a tensor of a checkpoint, or what a transform makes. */
typedef struct Weight {
    const char *path;  /* in the text: "layer[3].ffn.expert.gate" */
    const char *file;  /* the tensor: "model.layers.3.mlp.experts.{}.w1.weight";
                        * a {} for each of the first `stacked` dims; of a part
                        * what it is of, and which */
    const FilePart *part; /* NULL: a tensor of its own */
    int stacked;       /* leading dims that are arrays of modules */
    Type type;
    Node *value;       /* how a transform makes it; NULL: read from the file */
    const char *other; /* read from these other models; NULL: the model's own */
} Weight;

typedef enum { ROPE_default, ROPE_linear, ROPE_llama3, ROPE_yarn } RopeKind;
typedef struct {
    double theta;
    int rotary; /* leading elements of a head that turn; the rest pass */
    double pairs; /* 1: elements 2j and 2j + 1 turn together */
    RopeKind kind;
    double factor, low, high, original;     /* as in Hugging Face configs */
    double beta_fast, beta_slow, attention; /* yarn */
} Rope;
/* Fills inv_freq[rotary / 2]; *scale multiplies cos and sin (1 but for yarn).
 * Elements j and j + rotary / 2 (or 2j and 2j + 1) turn together, by
 * pos * inv_freq[j]. */
void rope_frequencies(const Rope *r, double *inv_freq, double *scale);

/* One pass of a repeated layer: a body, and the weights for its slots. */
typedef struct {
    Graph *body;
    const Weight **weight; /* body->nslots of them */
} Iteration;
typedef struct {
    int n;
    Iteration *at;
} Repeat;

struct Node {
    Op op;
    int id;    /* its place in graph->node: its arguments' are smaller */
    Type type; /* as its rule gives it */
    Node *arg[MAX_ARGS];
    /* attributes; which of them count is the op's affair (ops.def); the rest
     * are zero */
    int ndim;
    const Dim *dim[MAX_RANK];
    double num;
    const Size *size;
    const char *name; /* interned */
    const Weight *weight;
    int slot; /* OP_weight in a body: its column from 1; else 0 */
    const Rope *rope;
    const Repeat *repeat;
    /* not part of what it computes */
    const char *label; /* a name from the text, for printing; may be NULL */
    const Source *src; /* where it came from; may be NULL */
    Loc loc;
    const char *path; /* the instance it is of: "layer[0].ffn"; may be NULL */
};

/* Nodes in order of dependence. Equal nodes are one (hash-consing): equal
 * terms are one pointer. A graph owns nothing but its lists in `arena`. */
struct Graph {
    Arena *arena;
    const char *name;
    LIST(Node *) node;
    LIST(struct Output {
        const char *name; /* "y", "loss.balance", "stat.usage" */
        Node *node;
    }) output;
    int nslots; /* of a body: its weight columns */
    Node **table;
    int ntable; /* graph.c's own: hash-consing */
    struct Place {
        const Source *src;
        Loc loc;
        const char *path;
    } here; /* what graph_add notes in nodes that have no place yet */
};

Graph *graph_new(Arena *a, const char *name);
/* The node, or its equal that is there already. Its type is computed by its
 * rule (`declared`: n.type is taken). BUG where the rule refuses: callers
 * check first, in the user's terms. */
Node *graph_add(Graph *g, Node n);
void graph_output(Graph *g, const char *name, Node *n);
Node *graph_find_output(const Graph *g, const char *name); /* or NULL */
/* Any of the ops that attend. */
static inline bool op_attends(Op op)
{
    return op == OP_attend || op == OP_attend_sink || op == OP_attend_slope ||
           op == OP_attend_bias;
}
/* Why its rule refuses the node, or NULL with *type filled in. */
const char *op_type(const Node *n, Type *type);
/* A new graph with each node that outputs need rebuilt through `map` (NULL:
 * as it is). map sees a node whose arguments are already the new graph's. */
Graph *graph_map(const Graph *g, Arena *a,
                 Node *(*map)(Graph *to, Node n, const Node *old, void *user),
                 void *user);

/* Shorthands of graph_add. */
Node *g_num(Graph *g, Dtype t, double v);
Node *g_scalar(Graph *g, Dtype t, const Size *s); /* a number when known */
Node *g_map1(Graph *g, Op op, Node *a);
Node *g_map2(Graph *g, Op op, Node *a, Node *b);
Node *g_select(Graph *g, Node *c, Node *a, Node *b);
Node *g_cast(Graph *g, Dtype t, Node *a); /* a itself where it has the type */
Node *g_along(Graph *g, Op op, Node *a, int n, const Dim *const *dim);
Node *g_contract(Graph *g, Node *a, Node *b, int n, const Dim *const *dim);
Node *g_gather(Graph *g, Node *a, const Dim *d, Node *index);
Node *g_weight(Graph *g, const Weight *w);

typedef enum { FACT_none, FACT_pos, FACT_pos1, FACT_row } Fact;
typedef struct {
    const char *name;
    int nargs;
    Fact fact;
} OpInfo;
extern const OpInfo op_info[OP_COUNT];
bool op_find(const char *name, Op *out);
double op_value(Op op, double a, double b, double c); /* of a `row` op */

/* ---- text of a graph, and what always holds of one (ir*.c) ---- */

/* Bodies first, then the graph with its repeat tables. Reads back, and then
 * prints the same bytes. */
void ir_print(const Graph *g, FILE *out);
/* The same with what `mark` writes at the start of each line of a node. */
void ir_print_marked(const Graph *g, FILE *out,
                     void (*mark)(FILE *out, const Node *n, void *user),
                     void *user);
Graph *ir_read(Arena *a, const Source *src); /* NULL: mistakes were reported */
/* BUG naming the pass, the node and the rule that is broken. Trusts nothing
 * that a pass may have left behind; goes into bodies. */
void ir_verify(const Graph *g, const char *after_pass);
/* Equal for graphs that differ only in their dims' identities, their labels
 * and which weights fill the slots. */
uint64_t graph_hash(const Graph *g);

/* ---- counted random numbers (random.c): the same on every target ---- */

uint64_t random_key(uint64_t seed, const char *name);
uint64_t random_bits(uint64_t key, uint64_t counter);
double random_uniform(uint64_t key, uint64_t counter);  /* [0, 1), 24 bits */
double random_gaussian(uint64_t key, uint64_t counter); /* no libm */
void random_shuffle(uint64_t key, int n, int *out);     /* a permutation */
/* The key of a uniform, gaussian or shuffle node, whose element i (row-major)
 * is draw i. `place` tells the passes of a repeat apart: 0 outside, and in
 * iteration i of a repeat at place p it is random_place(p, i). */
uint64_t random_draw_key(const Node *n, uint64_t seed, uint64_t place);
uint64_t random_place(uint64_t place, int iteration);

/* ---- the reference interpreter (interp*.c) ---- */

typedef struct {
    Type type;
    int64_t shape[MAX_RANK], count;
    double *at; /* row-major; indices and bools as numbers */
} Tensor;

typedef struct {
    int64_t T;          /* tokens in flight */
    const int32_t *pos; /* [T] position in its sequence, which is a run of
                         * tokens from position 0; NULL: all one sequence */
    bool exact;         /* all in f64, casts do nothing; else every node is
                         * rounded to its type */
    bool training;      /* the flag of that name */
    uint64_t seed;      /* for draws */
    void *user;
    /* Fill out[count] with an input column or a weight, widened. */
    bool (*input)(void *user, const char *name, const Type *t, double *out);
    bool (*weight)(void *user, const Weight *w, double *out);
} InterpEnv;

/* Runs the graph; out[g->output.n] tensors live in `arena`. False with err
 * set: a callback failed, or an index was out of range. */
bool interp_run(const Graph *g, const InterpEnv *env, Arena *arena,
                Tensor **out, Err *err);

/* ---- proofs (prove*.c, rules*.c) ---- */

/* The algebra of a rules.graft, compiled. The prover normalises with it; what
 * is not in it is not believed. */
typedef struct Rules Rules;
Rules *rules_new(Arena *a); /* none yet; lives in `a` */
/* Adds each AST_rule among the file's items. False: a rule that cannot be read
 * or matched was reported at its place, and left out. */
bool rules_add(Rules *r, const Ast *file);
/* Tries each rule on `rounds` sets of random tensors through the interpreter;
 * one whose sides differ is reported at its place (error_at), and dropped.
 * False if any was. */
bool rules_try(Rules *r, int rounds, uint64_t seed);
void rules_join(Rules *r, const Rules *more); /* those of other names */
int rules_count(const Rules *r);

/* A parameter of the transform: an unknown of the sizes. */
typedef struct {
    const char *sym; /* interned */
    double value;    /* its default, tried first; NAN: none */
} ProveParam;
typedef struct { /* `when K == E`: K stands for E in all sizes */
    const char *sym;
    const Size *is;
} ProveEqual;

typedef struct {
    Arena *arena; /* what a Proof points to lives here */
    const Rules *rules;
    int nequal, nparam;
    const ProveEqual *equal;
    const ProveParam *param; /* unknowns not listed are small whole numbers */
    /* What `require` says of these values; NULL: all are allowed. */
    bool (*allowed)(void *user, int n, const char *const *sym,
                    const double *value);
    void *user;
    const char *name; /* how messages call b: "ffn(x)"; NULL: "the other" */
    int fuel;         /* steps before it gives up; 0: a good number */
    bool untried;     /* normal forms only, nothing is run */
} ProveEnv;

typedef enum { PROOF_proved, PROOF_refuted, PROOF_open } ProofResult;
typedef struct {
    ProofResult result;
    int nrule;
    const char **rule;   /* names of those used, in order of first use */
    const char *why;     /* one line: what was found; never NULL */
    const char *factor;  /* a = factor * b: "sum(a, k)"; or NULL */
    const char *uniform; /* that factor where its weights (the router's) are
                          * all 0: "K/E"; or NULL */
    double at_uniform;   /* its value at the defaults; NAN: unknown */
    double low, high;    /* the factor as measured; NAN: not measured */
    const char *instance;   /* of the counterexample: "D = 3, E = 4, T = 5" */
    const char *derivation; /* lines, for `check -v`; never NULL */
    /* max |a - b| / max |b| over the instances tried: in real numbers, in f32,
     * in bf16; NAN: not tried */
    double diff_exact, diff_f32, diff_bf16;
} Proof;
/* Does a compute what b does, whatever the leaves? Two nodes of one graph over
 * the same leaves. */
Proof prove_equal(const ProveEnv *env, Node *a, Node *b);

/* A new graph of the given nodes (outputs "0", "1", ...) with numbers for the
 * unknowns of all sizes but T; NULL: a dim's size would not be a whole number
 * above 0. Leaves of f32 become `leaf` (TYPE_f32: as they are). */
Graph *graph_at(Arena *a, int n, Node *const *node, int nsym,
                const char *const *sym, const double *value, Dtype leaf);

/* The graph rewritten by the same rules wherever that makes it cheaper; goes
 * into bodies. */
Graph *rules_simplify(const Rules *r, const Graph *g, Arena *a);
const Rules *rules_library(void); /* those of the library's rules.graft */

/* ---- specs: files and their definitions (spec.c) ---- */

typedef struct Spec Spec;
Spec *spec_new(Arena *arena, Diags *diags);
/* Reads a file and what it uses. False: mistakes went to diags, or err says
 * why the file could not be read (err->text is empty in the first case). */
bool spec_file(Spec *s, const char *path, Err *err);
bool spec_text(Spec *s, const char *label, const char *text);
bool spec_library(Spec *s, const char *name); /* false: none of that name */
void spec_whole_library(Spec *s);
const Ast *spec_find(const Spec *s, AstKind kind, const char *name);
const char *spec_nearest(const Spec *s, AstKind kind, const char *name);
/* All files without `use` and recipes: what a folder carries to be read
 * without the library. malloc'ed. */
char *spec_closure(const Spec *s);

/* ---- models: modules with sizes filled in (bind.c, transform.c) ---- */

typedef struct Model Model;
typedef struct {
    const char *name, *value; /* value as the user wrote it; "8" */
} Arg;

/* The model that config.json (kept by the caller while the model lives) asks
 * for: by its architectures, with the transforms that a folder of ours names
 * applied. `graft_text` is the folder's model.graft, or NULL. Weights and
 * modules compute in `dtype`. NULL: err, or diags, says why. */
Model *model_bind(Arena *arena, Diags *diags, const cJSON *config,
                  const char *graft_text, Dtype dtype, Err *err);
/* A module of the spec on its own, as a model: its parameters as given, else
 * their defaults; weights and what it computes are of `dtype`. model_graph has
 * an input for each of forward's arguments (`..` is T) and for its `input`
 * columns, and the output "y"; losses and stats are left out. A weight's path
 * and file begin in the module. NULL: diags or err say why. */
Model *module_model(Spec *s, const Ast *def, const Arg *arg, int narg,
                    Dtype dtype, Err *err);
/* Every weight has its tensor, of the right shape, and every tensor is read,
 * but for the habitual ones. From headers alone. */
bool model_check_tensors(const Model *m, const TensorInfo *tensor, int n,
                         Err *err);
/* A new model: `name` of the spec applied, with the parameters given. NULL:
 * diags or err say why. `with`: what `other` stands for, nwith models of one
 * shape. */
Model *model_transform(Spec *spec, Model *m, const char *name, const Arg *arg,
                       int narg, Model *const *with, int nwith, Err *err);
/* All weights in the order of the text, once each. A weight with ->value is
 * made by a formula over weights that have none. */
int model_weights(const Model *m, const Weight *const **out);
/* Name of the tensor for indices of the stacked dims ("{}" filled in). */
const char *weight_tensor(const Weight *w, const int64_t *index);
/* Steps the indices of the stacked dims; false after the last. */
bool weight_next(const Weight *w, int64_t *index);
/* config.json of the model as it is now. The caller frees it. */
cJSON *model_config(const Model *m);
/* Does it need its model.graft to be read? Then its text (malloc'ed). */
char *model_graft_text(const Model *m);
void model_print(const Model *m, FILE *out); /* show --stage model */
/* The forward pass: input "token" [T], output "y" [T, V]. */
Graph *model_graph(const Model *m, Arena *arena);
/* Numbers of the config as bound: size of a parameter of the model text ("V",
 * "L"), false if it has none of the name. */
bool model_size(const Model *m, const char *name, int64_t *out);

/* ---- looking at models, for pictures and pages (view.c) ---- */

typedef struct {
    const char *name; /* in the module */
    const Weight *w;
    const char *origin; /* "copy of layer[0].ffn.gate" */
    const Ast *decl;
    bool made; /* a transform gives it a value */
} ViewWeight;

/* A module's instance with what is in it. */
typedef struct View View;
struct View {
    const char *name;   /* "layer[3]", "expert"; "" for the whole */
    const char *path;   /* "layer[3].ffn.expert" */
    const char *params; /* "D: 576, F: 1536" */
    const Dim *array;   /* it stands for one of each of these; or NULL */
    const Ast *def;     /* of the module or model; its text is the name */
    const Ast *decl;    /* of the part; NULL for the whole */
    bool fresh;         /* a transform put it here */
    int nweight, npart;
    ViewWeight *weight;
    View *part;
};
View *model_view(const Model *m, Arena *a);
void view_print(const View *v, FILE *out); /* what is in it, indented */
/* Do two compute alike but for the numbers in [] of their paths? */
bool view_alike(const View *a, const View *b);
const View *view_find(const View *v, const char *path); /* or NULL */
/* The forward pass as if the model had been saved and read back: weights that
 * transforms make are leaves too. */
Graph *model_graph_saved(const Model *m, Arena *arena);

/* A definition on its own, every parameter unknown. Of a transform there are
 * two for each module that it matches: before, after. */
typedef struct {
    const char *name; /* of the matched module, or of the definition */
    View *view;
    Graph *graph;
} Sketch;
/* How many there are in *out; 0: mistakes were reported, or it is of a kind
 * that has none (recipes, transforms of whole models). */
int spec_sketch(Spec *s, const Ast *def, Sketch **out);
/* Its module, model or transform of the name; NULL: there is none. */
const Ast *spec_define(const Spec *s, const char *name);
/* Definitions of the files read, used ones and the library's first. */
int spec_definitions(const Spec *s, const Ast *const **out);
/* Trees of the files read, used ones first. */
int spec_files(const Spec *s, const Ast *const **out);
const Spec *model_spec(const Model *m);

/* ---- checking a spec (check.c) ---- */

typedef struct {
    const char *name; /* the transform, or the prove's text */
    const char *text; /* the claim: "preserves", "a == b" */
    const Ast *at;
    bool silent; /* no claim made: a note */
    const Proof *proof;
} Claim;
typedef LIST(Claim) Claims;
/* Every module, model, transform of the files read (the library's only where
 * used), then the claims if no mistake was found. */
bool spec_check(Spec *s, Claims *claims);

#include "compiler/ir_text.h"
