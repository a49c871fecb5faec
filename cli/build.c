/* graft build: the kernels of a model or a module as an object file, with the C
 * that runs them, a header and an example caller; a library if asked. */
#include "codegen/build/build.h"
#include "cli/driver/driver.h"
#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { KEY_name = 1, KEY_tokens, KEY_capacity, KEY_lib, KEY_cpu };

typedef struct {
    const char *what, *out;
    ArgList arg;
    Arena arena;
    const struct Target *target; /* NULL: this machine */
    BuildOptions build;
} Args;

static const struct argp_option options[] = {
    {"output", 'o', "DIR", 0, "Where to write: a folder to be made", 1},
    {"name", KEY_name, "NAME", 0,
     "Of files and functions, a C identifier (model, layer)", 1},
    {"tokens", KEY_tokens, "N", 0, "Most that one call may have (512)", 1},
    {"capacity", KEY_capacity, "N", 0,
     "Tokens that attention may remember (2048, or what tokens needs)", 1},
    {"lib", KEY_lib, "static|shared", 0,
     "Make libNAME.a or libNAME.so too, by the system's compiler ($CC, $AR)",
     1},
    {"cpu", KEY_cpu, "CPU", 0,
     "What it must run on: native, x86-64, x86-64-v3, x86-64-v4, "
     "sapphirerapids (with AMX), aarch64 (native: any that has what this one "
     "has)",
     1},
    {0}};

static const struct Target *find_cpu(struct argp_state *state, const char *name)
{
    enum { MOST = 16 };
    const char *names[MOST] = {"native"};
    int n = 1;
    for (; n < MOST && target_name(n - 1); n++)
        names[n] = target_name(n - 1);
    return target_find(names[option_word(state, "CPU", name, names, n)]);
}

static LibraryKind find_kind(struct argp_state *state, const char *name)
{
    static const char *const names[] = {"static", "shared"};
    return option_word(state, "library", name, names, 2) ? LIBRARY_shared
                                                         : LIBRARY_static;
}

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
    case KEY_lib: a->build.library = find_kind(state, arg); break;
    case KEY_cpu: a->target = find_cpu(state, arg); break;
    case ARGP_KEY_ARG:
        if (a->what)
            args_add(&a->arg, &a->arena, "a parameter", arg, state);
        else
            a->what = arg;
        break;
    case ARGP_KEY_END:
        if (!a->what || !a->out)
            argp_error(state, "needs a model or FILE:MODULE, and -o DIR");
        break;
    default: return ARGP_ERR_UNKNOWN;
    }
    return 0;
}

static const struct argp argp = {
    options, key, "MODEL|FILE:MODULE [name=value...]",
    "Write the code of a model, or of one module with its parameters given, "
    "for use in other programs: NAME.o (the kernels), NAME.c and NAME.h (what "
    "runs them), example.c. Weights are not part of it: the caller sets them, "
    "quantised ones widened. A name alone is a module of the library.",
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
static bool build_into(const Args *a, Loaded *l, Err *err)
{
    char temp[4096];
    snprintf(temp, sizeof temp, "%s.XXXXXX", a->out);
    if (!mkdtemp(temp))
        return err_set(err, "%s: %s", a->out, strerror(errno));
    BuildOptions b = a->build;
    b.dir = temp;
    CpuOptions o = loaded_options(l);
    o.target = a->target;
    bool fine = cpu_build(model_graph(l->model, &l->arena), &o, &b, err);
    fine = fine && (!chmod(temp, 0755) || err_set(err, "%s: %s", temp,
                                                  strerror(errno)));
    fine = fine && (!rename(temp, a->out) ||
                    err_set(err, "%s: %s", a->out, strerror(errno)));
    if (!fine)
        drop_folder(temp);
    return fine;
}

static const char *library_file(const BuildOptions *b)
{
    switch (b->library) {
    case LIBRARY_static: return intern_printf("lib%s.a", b->name);
    case LIBRARY_shared: return intern_printf("lib%s.so", b->name);
    case LIBRARY_none: break;
    }
    return NULL;
}

static void say(const Args *a, const Common *common)
{
    const char *name = a->build.name, *library = library_file(&a->build);
    if (!common->json) {
        report_note(common, "%s: %s.o, %s.c, %s.h, example.c%s%s", a->out,
                    name, name, name, library ? ", " : "",
                    library ? library : "");
        report_note(common, "compile the example there: %s",
                    build_command(name));
        return;
    }
    cJSON *o = cJSON_CreateObject();
    cJSON_AddStringToObject(o, "out", a->out);
    cJSON_AddStringToObject(o, "name", name);
    cJSON_AddNumberToObject(o, "tokens", (double)a->build.tokens);
    cJSON_AddNumberToObject(o, "capacity", (double)a->build.capacity);
    cJSON_AddStringToObject(o, "library", library ? library : "");
    cJSON_AddStringToObject(o, "compile", build_command(name));
    report_json(o);
}

/* What is not there is no checkpoint: with parameters, or where the library has
 * it, a module is meant. */
static bool open_subject(Loaded *l, Args *a, const Common *common, Err *err)
{
    const char *name;
    struct stat s;
    bool spec = is_spec(a->what, &name);
    *l = (Loaded){0};
    if (!lstat(a->out, &s))
        return err_set(err, "%s: is there already", a->out);
    if (spec && !name)
        return err_set(err, "%s: which module? %s:NAME says", a->what, a->what);
    bool module = spec || (a->arg.n && access(a->what, F_OK));
    if (!module && a->arg.n)
        return err_set(err, "%s: a model takes no name=value", a->what);
    if (!a->build.name)
        a->build.name = module ? "layer" : "model";
    return module ? loaded_module(l, a->what, &a->arg, common, err)
                  : loaded_open(l, a->what, common, err);
}

int command_build(int argc, char **argv)
{
    Args a = {.build = {.tokens = 512, .capacity = 2048}};
    Common common = {.compiled = true};
    options_parse(&argp, argc, argv, &a, &common);
    if (a.build.capacity < a.build.tokens)
        a.build.capacity = a.build.tokens;
    Loaded l;
    Err err;
    bool fine = open_subject(&l, &a, &common, &err) &&
                build_into(&a, &l, &err);
    if (fine)
        say(&a, &common);
    loaded_close(&l);
    arena_free(&a.arena);
    return fine ? EXIT_done : report_error(&common, &err);
}
