/* Room lang: specs, and what their names mean: modules and models with sizes
 * filled in, transforms applied, graphs made of them. */
#pragma once
#include "dsl/dsl.h"
#include "compiler/graph/graph.h"
#include <cjson/cJSON.h>

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
/* A module, model or transform of the name; NULL: there is none. */
const Ast *spec_define(const Spec *s, const char *name);
/* Definitions of the files read, used ones and the library's first. */
int spec_definitions(const Spec *s, const Ast *const **out);
/* Trees of the files read, used ones first. */
int spec_files(const Spec *s, const Ast *const **out);
/* For editors. Each expression that is evaluated from now on: what it is
 * ("f32[T, D]", "the module `swiglu`"), and the module whose parts `.` after it
 * names, or NULL. An expression may be seen several times. */
typedef void SpecWatch(void *user, const Ast *at, const char *what,
                       const Ast *module);
void spec_watch(Spec *s, SpecWatch *watch, void *user);
/* The text that stands in for a file, or NULL: the file is read. */
typedef const char *SpecText(void *user, const char *path);
void spec_overlay(Spec *s, SpecText *text, void *user);
/* The library's files by place: a name, or NULL after the last; its text. */
/* Built-in functions by place: a name, or NULL after the last. */
const char *builtin_name(int i);
const char *spec_library_name(int i);
const char *spec_library_text(int i);

/* All files without `use` and recipes: what a folder carries to be read
 * without the library. malloc'ed. */
char *spec_closure(const Spec *s);

/* ---- models: modules with sizes filled in (bind.c, transform.c) ---- */

typedef struct Model Model;
typedef struct {
    const char *name, *value; /* value as the user wrote it; "8" */
} Arg;

/* The model that config.json asks for: by its model_type or architectures, with
 * the transforms that a folder of ours names applied. `graft_text` is the
 * folder's model.graft, or NULL. Weights and modules compute in `dtype`. NULL:
 * err, or diags, says why. */
Model *model_bind(Arena *arena, Diags *diags, const cJSON *config,
                  const char *graft_text, Dtype dtype, Err *err);
/* Fields of its config that no table knows ("a, b"): the model may need them.
 * NULL: none. */
const char *model_unknown(const Model *m);
/* The longest text that its config provides for: its positions, or those that
 * rope's scaling makes of what it was trained with, if they are more. 0: it
 * does not say. */
int model_positions(const Model *m);
/* Is its rope another one for texts of so many tokens? Then CONFIG_LENGTH,
 * a field of the config that it is bound to, makes it that one. */
bool model_stretches(const Model *m, int64_t tokens);
#define CONFIG_LENGTH "graft_text_length"
/* A module of the spec on its own, as a model: its parameters as given, else
 * their defaults; weights and what it computes are of `dtype`. model_graph has
 * an input for each of forward's arguments (`..` is T) and for its `input`
 * columns, and the output "y"; losses and stats are left out. A weight's path
 * and file begin in the module. NULL: diags or err say why. */
Model *module_model(Spec *s, const Ast *def, const Arg *arg, int narg,
                    Dtype dtype, Err *err);
/* The tensors of the embedding and of the head, as its architecture calls them;
 * true where the config makes them one. */
bool model_tied(const Model *m, const char **embed, const char **head);
/* Every weight has its tensor, of the right shape, and every tensor is read,
 * but for the habitual ones. From headers alone. */
bool model_check_tensors(const Model *m, const TensorInfo *tensor, int n,
                         Err *err);
/* What a parameter that is a model stands for; several of one name where it
 * takes several. */
typedef struct {
    const char *name;
    Model *model;
} With;
/* A new model: `name` of the spec applied, with the parameters given. NULL:
 * diags or err say why. Models of one name in `with` have one shape. */
Model *model_transform(Spec *spec, Model *m, const char *name, const Arg *arg,
                       int narg, const With *with, int nwith, Err *err);
/* All weights in the order of the text, once each. A weight with ->value is
 * made by a formula over weights that have none. */
int model_weights(const Model *m, const Weight *const **out);
/* Name of the tensor for indices of the stacked dims ("{}" filled in). */
const char *weight_tensor(const Weight *w, const int64_t *index);
/* Steps the indices of the stacked dims; false after the last. */
bool weight_next(const Weight *w, int64_t *index);
/* What a model is written as: config.json, and model.graft where the library
 * alone does not read it (else NULL). */
typedef struct {
    cJSON *config;
    char *text;
} Written;
/* False: nothing that could be written would be read as this model again. */
bool model_write(const Model *m, Written *out, Err *err);
void written_free(Written *w);
/* The forward pass: input "token" [T], output "y" [T, V]. */
Graph *model_graph(const Model *m, Arena *arena);
/* Besides y: an output "loss.NAME" for the sum of the losses of that name, and
 * "stat.PATH.NAME" for the stat of a module, of those of a repeated layer along
 * the passes that have it. */
Graph *model_graph_whole(const Model *m, Arena *arena);
/* Numbers of the config as bound: size of a parameter of the model text ("V",
 * "L"), false if it has none of the name. */
bool model_size(const Model *m, const char *name, int64_t *out);
const Spec *model_spec(const Model *m);
