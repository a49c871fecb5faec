/* graft fmt: .graft files in the one layout; comments stay. */
#include "cli/cli.h"
#include "dsl/dsl.h"
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct {
    bool write, check;
    char **files;
    int count;
} Fmt;

static const struct argp_option options[] = {
    {"write", 'i', 0, 0, "Change the files instead of printing them", 1},
    {"check", 'c', 0, 0,
     "Name the files that are not in the layout; exit 1 if there are any", 1},
    {0}};

static error_t key(int k, char *arg, struct argp_state *state)
{
    Fmt *f = state->input;
    (void)arg;
    switch (k) {
    case 'i':
        f->write = true;
        break;
    case 'c':
        f->check = true;
        break;
    case ARGP_KEY_ARGS:
        f->files = state->argv + state->next;
        f->count = state->argc - state->next;
        break;
    case ARGP_KEY_NO_ARGS:
        argp_error(state, "needs a file (- is stdin)");
        break;
    case ARGP_KEY_END:
        if (f->write && f->check)
            argp_error(state, "--write and --check exclude each other");
        break;
    default:
        return ARGP_ERR_UNKNOWN;
    }
    return 0;
}

static const struct argp argp = {
    options, key, "FILE...",
    "Print .graft files in the one layout. Comments and blank lines stay. "
    "FILE may be - for stdin.",
    NULL, NULL, NULL};

static bool write_all(int fd, const char *text, size_t len)
{
    while (len > 0) {
        ssize_t n = write(fd, text, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return false;
        text += n;
        len -= (size_t)n;
    }
    return true;
}

/* The file is the old or the new text, whatever happens: a temporary file
 * beside it, synced, takes its name and its mode. */
static bool replace_file(const char *path, const char *text, Err *err)
{
    struct stat st;
    char *real = realpath(path, NULL);
    Arena a = {0};
    bool fine = false;
    if (!real || stat(real, &st) != 0) {
        err_set(err, "%s: %s", path, strerror(errno));
        free(real);
        return false;
    }
    char *temp = arena_printf(&a, "%s.XXXXXX", real);
    int fd = mkstemp(temp);
    if (fd >= 0) {
        fine = write_all(fd, text, strlen(text)) &&
               fchmod(fd, st.st_mode & 07777) == 0 && fsync(fd) == 0;
        fine = close(fd) == 0 && fine && rename(temp, real) == 0;
    }
    if (!fine) {
        err_set(err, "%s: cannot write: %s", path, strerror(errno));
        if (fd >= 0)
            unlink(temp);
    }
    free(real);
    arena_free(&a);
    return fine;
}

/* The layout is wrong if what it prints reads as another tree. */
static void hold_against(Arena *arena, const Ast *tree, const Source *src,
                         const char *text)
{
    Diags diags = {.quiet = true};
    Source again = {src->path, text, (int)strlen(text), &diags};
    const Ast *back = dsl_parse(arena, &again);
    if (diags.errors > 0 || !dsl_equal(tree, back))
        BUG("fmt: %s would not mean the same any more", src->path);
    diags_free(&diags);
}

static int format_one(const Fmt *f, const Common *common, const char *path)
{
    Arena arena = {0};
    Diags diags = {0};
    Source src;
    Err err;
    int status = EXIT_wrong_input;
    if (!source_read(&arena, path, &diags, &src, &err)) {
        report_error(common, &err);
        goto done;
    }
    Ast *tree = dsl_parse(&arena, &src);
    if (diags.errors > 0)
        goto done;
    char *text = dsl_format(tree);
    bool same = !strcmp(text, src.text);
    hold_against(&arena, tree, &src, text);
    status = EXIT_done;
    if (f->check && !same) {
        printf("%s\n", path);
        status = EXIT_wrong_input;
    } else if (f->write && strcmp(path, "-")) {
        if (!same && !replace_file(path, text, &err))
            status = report_error(common, &err);
        else if (!same)
            report_note(common, "%s: changed", path);
    } else if (!f->check) {
        terminal_exact();
        fputs(text, stdout);
    }
    free(text);
done:
    diags_free(&diags);
    arena_free(&arena);
    return status;
}

int command_fmt(int argc, char **argv)
{
    Fmt f = {0};
    Common common = {0};
    options_parse(&argp, argc, argv, &f, &common);
    int status = EXIT_done;
    for (int i = 0; i < f.count; i++)
        if (format_one(&f, &common, f.files[i]) != EXIT_done)
            status = EXIT_wrong_input;
    return status;
}
