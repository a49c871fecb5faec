/* Room check: specs checked, their claims judged, models looked at. */
#pragma once
#include "compiler/lang/lang.h"
#include "compiler/prove/prove.h"
#include "compiler/check/train_options.h" /* options of recipes */

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
/* Of one transform, whichever file it is of: its claims, and warnings about it
 * and the modules that it puts in. */
void spec_check_transform(Spec *s, const Ast *def, Claims *claims);
/* Of one recipe that is about to run: its folders will say what they have.
 * False: mistakes were reported. */
bool spec_check_recipe(Spec *s, const Ast *def);
/* The transform that a recipe's call applies, or NULL: `split` of data is the
 * function, of a model the library's transform. */
const Ast *recipe_transform(const Spec *s, const Ast *call);
/* Reports what became of a claim at its place: refuted is a mistake, open a
 * warning. True: it was refuted. */
bool claim_report(const Claim *c);


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
void model_print(const Model *m, FILE *out); /* show --stage model */
/* Do two compute alike but for the numbers in [] of their paths? */
bool view_alike(const View *a, const View *b);
const View *view_find(const View *v, const char *path); /* or NULL */
/* The forward pass as if the model had been saved and read back: weights that
 * transforms make are leaves too. whole: with losses and stats. */
Graph *model_graph_saved(const Model *m, Arena *arena, bool whole);

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
