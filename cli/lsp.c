/* graft lsp: a language server for editors, on stdin and stdout. */
#include "cli/cli.h"
#include "cli/lsp/lsp.h"

static error_t key(int k, char *arg, struct argp_state *state)
{
    (void)state;
    return k == ARGP_KEY_ARG && arg ? (argp_error(state, "takes no argument"),
                                       0)
                                    : ARGP_ERR_UNKNOWN;
}

static const struct argp argp = {
    NULL, key, "",
    "Answer an editor's questions about .graft files: mistakes as you type, "
    "types, definitions, completion, layout (Language Server Protocol on "
    "stdin and stdout). docs/editors has what starts it.",
    NULL, NULL, NULL};

int command_lsp(int argc, char **argv)
{
    Common common = {0};
    options_parse(&argp, argc, argv, NULL, &common);
    terminal_exact();
    return lsp_serve(stdin, stdout);
}
