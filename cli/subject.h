/* What `show` looks at: a definition of a .graft file with every parameter
 * unknown, or a model of a checkpoint, before and after a transform. */
#pragma once
#include "cli/loaded.h"
#include "cli/svg.h"

typedef LIST(Arg) Args;

typedef struct {
    const char *what;      /* FILE.graft, FILE.graft:NAME or a model */
    const char *transform; /* of --transform: a library's or FILE.graft:NAME */
    Args arg, with;        /* name=value, other=MODEL */
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
    int nmodel;     /* of a model: it, then those of --with */
    Loaded *model;
    Model *made;    /* the first, transformed; or NULL */
} Subject;

/* Is it a .graft file, or FILE.graft:NAME (then *name is NAME)? */
bool is_graft_file(const char *what, const char **name);
/* Reads and checks it. False with err set (mistakes of a text are reported
 * where they are); subject_close in any case. */
bool subject_open(Subject *s, const SubjectArgs *args, const Common *common,
                  Err *err);
void subject_close(Subject *s);
/* How many pictures there are: a transform that matches several modules has
 * one for each; and the i-th. */
int subject_pictures(const Subject *s);
Picture subject_picture(Subject *s, int i);
