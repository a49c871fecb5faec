/* Golden cases in one text file, each a test of its own:
 *   === name
 *   what goes in
 *   ---
 *   what must come out
 * With BLESS=1 in the environment the file is rewritten with what came out;
 * read the diff. */
#pragma once
#include "dsl/dsl.h"
#include <setjmp.h>

#include <cmocka.h>

/* The case's answer; malloc'ed. */
typedef char *CaseAnswer(const char *input);
/* Runs all cases of a file of tests/dsl; the number that failed. */
int cases_run(const char *file, CaseAnswer *answer);

/* A text and its tree. */
typedef struct {
    Arena arena;
    Diags diags;
    Source src;
    Ast *file;
} Parsed;
void parse_text(Parsed *p, const char *path, const char *text, size_t len);
void parsed_free(Parsed *p);
/* A file of ../shared/examples, or NULL (and says so) where it is not. */
char *example_text(const char *name, size_t *len);
extern const char *const example_name[7];
