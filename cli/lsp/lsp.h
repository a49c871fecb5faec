/* Room lsp: a language server: an editor's questions about .graft files,
 * answered from what `check` finds (Language Server Protocol 3.17). */
#pragma once
#include <stdbool.h>
#include <stdio.h>

/* Answers messages of `in` until `exit` or the end. The exit status: 0 if
 * `shutdown` was asked for before. */
int lsp_serve(FILE *in, FILE *out);
