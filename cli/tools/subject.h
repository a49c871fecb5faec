/* What `show` looks at: a definition of a .graft file with every parameter
 * unknown, a module with its parameters given, or a model of a checkpoint,
 * before and after a transform. */
#pragma once
#include "cli/driver/driver.h"
#include "cli/tools/svg.h"

typedef struct {
    const char *what;      /* FILE.graft, FILE.graft:NAME or a model */
    bool sized;            /* what's parameters are `arg`, not unknown */
    const char *transform; /* of --transform: a library's or FILE.graft:NAME */
    ArgList arg, with;        /* name=value, other=MODEL */
} SubjectArgs;

typedef struct {
    Arena arena;
    Diags diags;
    const SubjectArgs *args;
    Spec *spec;     /* of the file, or of the transform; or NULL */
    const Ast *def; /* NAME's, or the transform's; or NULL */
    LIST(struct Sketched {
        const Ast *def;
        int n; /* 2: before and after a transform */
        const Sketch *side;
    }) sketched; /* of a file: NAME, or all that it defines */
    int nmodel;     /* of a model or a sized module: it, those of --with */
    Loaded *model;
    Model *made;    /* the first, transformed; or NULL */
} Subject;

/* Reads and checks it. False with err set (mistakes of a text are reported
 * where they are); subject_close in any case. */
bool subject_open(Subject *s, const SubjectArgs *args, const Common *common,
                  Err *err);
void subject_close(Subject *s);
/* How many pictures there are: a transform that matches several modules has
 * one for each; and the i-th. */
int subject_pictures(const Subject *s);
Picture subject_picture(Subject *s, int i);
