/* Private to the room: documents, what is known of them, answers. */
#pragma once
#include "cli/lsp/lsp.h"
#include "compiler/check/check.h"
#include <cjson/cJSON.h>

/* What an expression is, as it was evaluated. */
typedef struct {
    const Ast *at;
    const char *what;  /* "f32[T, D]" */
    const Ast *module; /* whose parts `.` names; or NULL */
} Seen;

/* A text with all that was found in it. */
typedef struct {
    Arena arena;
    Diags diags;
    Claims claims;
    Spec *spec;
    const Ast *tree;   /* of the text itself; NULL: it is not UTF-8 */
    const Source *src; /* which is a copy of the text */
    LIST(Seen) seen;
} Analysis;

typedef struct {
    char *uri, *path, *text;
    bool changed;  /* since the analysis */
    bool untold;   /* what is wrong with it was not sent since */
    Analysis *now; /* of the text as it was last looked at */
} Document;

typedef struct {
    FILE *out;
    bool utf16; /* columns count UTF-16 units; else bytes */
    bool stopped, ended;
    struct {
        Document *at;
        int n, room;
    } open;
} Server;

/* ---- messages (rpc.c) ---- */

/* The next message: malloc'ed, NUL-terminated. NULL: the input has ended, or
 * what came is no message. */
char *rpc_read(FILE *in);
/* Sends and frees. */
void rpc_send(FILE *out, cJSON *message);
/* A request's answer; `result` is taken, NULL stands for null. */
void rpc_answer(FILE *out, const cJSON *id, cJSON *result);
void rpc_fail(FILE *out, const cJSON *id, int code, const char *why);
/* "file:///a%20b" as "/a b", malloc'ed; others as they are; and back. */
char *uri_path(const char *uri);
char *path_uri(const char *path);

/* ---- places (place.c) ---- */

int place_at(const Server *s, const char *text, const cJSON *position);
cJSON *place_range(const Server *s, const char *text, Loc loc);

/* ---- what is known (analysis.c) ---- */

Analysis *analysis_new(const Server *s, const Document *d);
void analysis_free(Analysis *a); /* NULL is fine */
/* Nodes that hold the place, outermost first: how many. */
int analysis_chain(const Analysis *a, int at, const Ast **chain, int most);
const Seen *analysis_seen(const Analysis *a, const Ast *at); /* or NULL */

/* A declaration: its name's place, and the whole. */
typedef struct {
    const Ast *at; /* NULL: none */
    Loc name;
    const char *file; /* it is all of this file of `use`; or NULL */
} Found;
/* What the name at `at` stands for. */
Found analysis_find(const Analysis *a, int at);
/* What a module, model or transform declares under the name. */
Found analysis_member(const Ast *def, const char *name);
/* Calls visit for each name that a definition declares. */
typedef void Visit(void *user, const Ast *decl, const char *name);
void analysis_members(const Ast *def, Visit *visit, void *user);

/* ---- answers: JSON, or NULL (answer.c, complete.c) ---- */

cJSON *answer_diagnostics(const Server *s, const Document *d);
cJSON *answer_hover(const Document *d, int at);
cJSON *answer_definition(const Server *s, const Document *d, int at);
cJSON *answer_symbols(const Server *s, const Document *d);
cJSON *answer_format(const Server *s, const Document *d);
cJSON *answer_completion(const Document *d, int at);
