/* Private to written*.c: the text that a model's folder carries. */
#pragma once
#include "compiler/lang/elab.h"

/* Definitions of several specs in one text. Where two differ under one name,
 * the later one gets another (`moe__2`), and so does what its spec calls so. */
typedef struct ModelText ModelText;
ModelText *defs_new(const Model *m);
/* def with all that it needs of its files, used ones first. */
void defs_add(ModelText *t, const Spec *spec, const Ast *def);
/* What the text calls a definition that was added. */
const char *defs_name(const ModelText *t, const Spec *spec, const Ast *def);
char *defs_print(const ModelText *t); /* malloc'ed */
void defs_free(ModelText *t);
