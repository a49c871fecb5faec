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
} Attempt;

typedef struct {
    Spec *spec;
    const Rules *rules;
    Claims *claims;
} Judge;

bool is_asked(const Spec *s, const Ast *def); /* of a file asked for */
bool check_text(const Ast *def); /* check_text.c; false: reported */
const Ast *first_of(const Ast *def, AstKind kind);
Model *symbolic_model(const Spec *s, const Ast *def);
/* The modules that a transform's patterns match, at most `most`; a pattern that
 * matches none is reported. */
enum { MATCHED = 64 };
int matched_modules(Spec *s, const Ast *def, const Ast **out, int most);
/* One of them; with its parameters' defaults, or unknown. */
bool try_pattern(Spec *s, const Ast *def, const Ast *module, bool defaults,
                 Attempt *t);
bool transform_has(const Ast *def, const Ast *arg); /* claims.c */
void lint_spec(Spec *s, const Rules *rules); /* lint.c */
void check_recipe(Spec *s, const Ast *def); /* recipe.c */
void judge_transform(Judge *j, const Ast *def); /* claims.c */
void judge_prove(Judge *j, const Ast *def);
