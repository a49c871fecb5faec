/* graft build: a model's kernels as an object file, with the C that runs them,
 * a header and an example caller. */
#include "cli/loaded.h"
#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { KEY_name = 1, KEY_tokens, KEY_capacity };

typedef struct {
    const char *model, *out;
    BuildOptions build;
} Args;

static const struct argp_option options[] = {
    {"output", 'o', "DIR", 0, "Where to write: a folder to be made", 1},
    {"name", KEY_name, "NAME", 0,
     "Of files and functions, a C identifier (model)", 1},
    {"tokens", KEY_tokens, "N", 0, "Most that one call may have (512)", 1},
    {"capacity", KEY_capacity, "N", 0,
     "Tokens that attention may remember (2048, or what tokens needs)", 1},
    {0}};

static error_t key(int k, char *arg, struct argp_state *state)
{
    Args *a = state->input;
    switch (k) {
    case 'o': a->out = arg; break;
    case KEY_name: a->build.name = arg; break;
    case KEY_tokens:
        a->build.tokens = option_int(state, "tokens", arg, 1, 65536);
        break;
    case KEY_capacity:
        a->build.capacity = option_int(state, "capacity", arg, 1, 1 << 24);
        break;
    case ARGP_KEY_ARG:
        if (a->model)
            argp_error(state, "takes one model, got `%s` too", arg);
        a->model = arg;
        break;
    case ARGP_KEY_END:
        if (!a->model || !a->out)
            argp_error(state, "needs a model and -o DIR");
        break;
    default: return ARGP_ERR_UNKNOWN;
    }
    return 0;
}

static const struct argp argp = {
    options, key, "MODEL",
    "Write a model's code for use in other programs: NAME.o (the kernels), "
    "NAME.c and NAME.h (what runs them), example.c. Weights are not part of "
    "it: the caller sets them.",
    NULL, NULL, NULL};

static void drop_folder(const char *path)
{
    DIR *d = opendir(path);
    for (struct dirent *e; d && (e = readdir(d));)
        if (e->d_name[0] != '.')
            unlinkat(dirfd(d), e->d_name, 0);
    if (d)
        closedir(d);
    rmdir(path);
}

/* Under another name first: a folder is whole or absent. */
static bool build_into(const Args *a, const Graph *g, const Common *common,
                       Err *err)
{
    char temp[4096];
    struct stat s;
    if (!lstat(a->out, &s))
        return err_set(err, "%s: is there already", a->out);
    snprintf(temp, sizeof temp, "%s.XXXXXX", a->out);
    if (!mkdtemp(temp))
        return err_set(err, "%s: %s", a->out, strerror(errno));
    BuildOptions b = a->build;
    b.dir = temp;
    const CpuOptions o = {.threads = common->threads};
    bool fine = cpu_build(g, &o, &b, err);
    fine = fine && (!chmod(temp, 0755) || err_set(err, "%s: %s", temp,
                                                  strerror(errno)));
    fine = fine && (!rename(temp, a->out) ||
                    err_set(err, "%s: %s", a->out, strerror(errno)));
    if (!fine)
        drop_folder(temp);
    return fine;
}

static void say(const Args *a, const Common *common)
{
    if (!common->json) {
        report_note(common, "%s: %s.o, %s.c, %s.h, example.c", a->out,
                    a->build.name, a->build.name, a->build.name);
        return;
    }
    cJSON *o = cJSON_CreateObject();
    cJSON_AddStringToObject(o, "out", a->out);
    cJSON_AddStringToObject(o, "name", a->build.name);
    cJSON_AddNumberToObject(o, "tokens", (double)a->build.tokens);
    cJSON_AddNumberToObject(o, "capacity", (double)a->build.capacity);
    report_json(o);
}

int command_build(int argc, char **argv)
{
    Args a = {.build = {.name = "model", .tokens = 512, .capacity = 2048}};
    Common common = {0};
    options_parse(&argp, argc, argv, &a, &common);
    if (a.build.capacity < a.build.tokens)
        a.build.capacity = a.build.tokens;
    Loaded l;
    Err err;
    bool fine = loaded_open(&l, a.model, &common, &err) &&
                build_into(&a, model_graph(l.model, &l.arena), &common, &err);
    if (fine)
        say(&a, &common);
    loaded_close(&l);
    return fine ? EXIT_done : report_error(&common, &err);
}
