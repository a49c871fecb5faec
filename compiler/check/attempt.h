/* Private to the room: transforms tried on unknowns, claims judged. */
#pragma once
#include "compiler/check/check.h"
#include "compiler/lang/elab.h"

/* One pattern of a transform with its replacement; both over unknowns. */
typedef struct {
    Model *m;
    Scope scope;
    Applied applied;
    Inst *match, *fresh;
    Follow follow; /* of the match's defaults */
} Attempt;

typedef struct {
    const Ast *def;
    const char *name;
    unsigned role;
} Role;
typedef struct {
    Spec *spec;
    LIST(Role) known; /* roles.c's own */
} Roles;

typedef struct {
    Spec *spec;
    const Rules *rules;
    Claims *claims;
    Roles roles;
} Judge;

/* Mistakes made between the two are not told; unhush says if there were none.*/
typedef struct {
    int errors, told, said;
    bool quiet;
} Hush;
Hush hush(Spec *s);
bool unhush(Spec *s, Hush h);

bool is_asked(const Spec *s, const Ast *def); /* of a file asked for */
bool check_text(const Ast *def); /* check_text.c; false: reported */
const Ast *first_of(const Ast *def, AstKind kind);
Model *symbolic_model(const Spec *s, const Ast *def);
/* The modules that a transform's patterns match, at most `most`; a pattern that
 * matches none is reported. */
enum { MATCHED = 64 };
int matched_modules(Spec *s, const Ast *def, const Ast **out,
                    const Ast **by, int most); /* by: the pattern of each */
/* One of them; with its parameters' defaults, or unknown. */
bool try_pattern(Spec *s, const Ast *def, const Ast *module,
                 const Ast *call, bool defaults, Attempt *t);
bool transform_has(const Ast *def, const Ast *arg); /* claims.c */
void lint_spec(Spec *s, const Rules *rules); /* lint.c */
/* A transform, and the modules that it puts in with their parts. */
void lint_put_in(Spec *s, const Rules *rules, const Ast *transform);
void check_recipe(Spec *s, const Ast *def, bool runs); /* recipe.c */
/* Names of its forward's arguments; how many (at most 16). */
int input_names(const Inst *inst, const char **out);
void add_claim(Judge *j, const Ast *def, const Ast *at, const char *text,
               bool silent, Proof p);
/* Why one of two cannot stand in for the other (their types, those of the n
 * inputs of these names), or NULL. */
const char *misfit_text(const Graph *g, const Node *a, const Node *b, int n,
                        const char *const *names);
void judge_transform(Judge *j, const Ast *def); /* claims.c */
void judge_prove(Judge *j, const Ast *def);
