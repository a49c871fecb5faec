/* Private to the room: warnings about what is allowed, but hardly meant. */
#pragma once
#include "compiler/check/attempt.h"
#include "compiler/prove/term.h"

typedef struct {
    Spec *spec;
    const Rules *rules;
    Arena *arena; /* for one definition */
} Lint;


/* lint_text.c: from the text alone */
void lint_text(const Ast *def);

/* lint_flow.c: from what reaches the result and the losses */
void lint_flow(const Inst *inst, const Graph *g, Node *y);
void lint_losses(Lint *l, const Inst *inst, const Graph *g);
/* All nodes under n; `gradient`: those that a gradient of n reaches. */
bool *flow_under(const Graph *g, Node *n, bool gradient);
void flow_add(Node *n, bool gradient, bool *seen);
/* Does a weight of inst or its parts stand under `seen`? */
bool flow_reads(const Graph *g, const bool *seen, const Inst *inst);

/* lint_route.c: experts and their weights */
void lint_routing(Lint *l, Model *m, Inst *inst, Graph *g, Node *y);
/* `fresh` as the transform of `at` puts it in, with numbers for parameters. */
void lint_dead(Lint *l, Model *m, Inst *fresh, const Ast *at);

/* lint_start.c: the first step after a transform */
void lint_start(Lint *l, const Ast *def, Attempt *t);
